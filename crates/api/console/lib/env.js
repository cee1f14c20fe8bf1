// How to connect, as a URL and as a `.env` file.

/** The connection URL of a login. */
export function databaseUrl({ host, port, database, user, password, parameters = "" }) {
  const authority = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}`;
  return `postgresql://${authority}/${encodeURIComponent(database)}${parameters}`;
}

/** The lines of a `.env` file that the usual readers (libpq's variables, dotenv libraries, shells) all take. */
export function envFile(login) {
  const lines = {
    DATABASE_URL: databaseUrl(login),
    PGHOST: login.host,
    PGPORT: String(login.port),
    PGDATABASE: login.database,
    PGUSER: login.user,
    PGPASSWORD: login.password,
  };
  return Object.entries(lines).map(([key, value]) => `${key}=${quoted(value)}\n`).join("");
}

/** Plain where nothing in it has a meaning; in single quotes where it has; in double quotes where it has those, or line breaks. */
export function quoted(value) {
  if (/^[\w.@%+:/=-]*$/.test(value)) return value;
  if (!/['\n\r]/.test(value)) return `'${value}'`;
  const escaped = value.replace(/[\\"$`]/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r");
  return `"${escaped}"`;
}

/** Gives the reader a file to save. */
export function download(fileName, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

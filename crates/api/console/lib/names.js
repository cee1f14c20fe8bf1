// What can be said about a name before the server is asked. The server has the last word.

const RESERVED_USERS = [
  "neon_superuser", "cloud_admin", "zenith_admin", "public", "none", "postgres", "web_access", "neon_service", "neon_auth",
];
const RESERVED_PREFIXES = ["pg_", "databricks_"];
const RESERVED_DATABASES = ["postgres", "template0", "template1"];
const BYTES_MAX = 63;

/** The length in bytes of UTF-8, which is what PostgreSQL counts. */
export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

function check(text, reserved) {
  const bytes = byteLength(text);
  const counted = `${bytes} of ${BYTES_MAX} bytes`;
  if (bytes === 0) return { ok: false, empty: true, text: `1 to ${BYTES_MAX} bytes` };
  if (bytes > BYTES_MAX) return { ok: false, text: `${counted}: ${bytes - BYTES_MAX} too many` };
  if (text.includes("\0")) return { ok: false, text: "a name cannot have a NUL character" };
  if (reserved(text)) return { ok: false, text: `“${text}” is reserved for the system; choose another` };
  return { ok: true, text: counted };
}

/** Checks a user's name: `{ ok, text, empty? }`. */
export function checkUserName(text) {
  return check(text, (text) => RESERVED_USERS.includes(text) || RESERVED_PREFIXES.some((prefix) => text.startsWith(prefix)));
}

/** Checks a database's name. */
export function checkDatabaseName(text) {
  return check(text, (text) => RESERVED_DATABASES.includes(text));
}

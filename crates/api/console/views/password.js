// The dialog that shows a password, once.

import { api, path, query } from "../lib/api.js";
import { openDialog } from "../lib/dialog.js";
import { h, name, replace } from "../lib/dom.js";
import { databaseUrl, download, envFile } from "../lib/env.js";
import { operationsProgress } from "../lib/operations.js";
import { branchPath } from "../lib/project.js";
import { button, copyButton, field, notice } from "../lib/ui.js";

const PORT = 5432;

/** Shows `role`'s password and how to connect with it; resolves when the dialog is closed, and nothing keeps the password then. */
export async function showPassword({ title, intro, branch, role, databases, endpoints, operations }) {
  [databases, endpoints] = await Promise.all([
    databases ?? api.get(`${branchPath(branch)}/databases`).then((answer) => answer.databases, () => []),
    endpoints ?? api.get(`${branchPath(branch)}/endpoints`).then((answer) => answer.endpoints, () => []),
  ]);
  const owned = databases.find((database) => database.owner_name === role.name) ?? databases[0];
  const endpoint = endpoints.find(({ type }) => type === "read_write") ?? endpoints[0];
  const select = h("select", {}, databases.map((database) => h("option", { value: database.name, selected: database === owned }, database.name)));
  const connection = h("div", {});
  let login = null;

  const connect = async () => {
    const database = select.value || "postgres";
    login = { user: role.name, password: role.password, database, ...(await address(branch, endpoint, database, role.name)) };
    replace(connection, login.host
      ? secret("Connection string", databaseUrl(login), "the connection string")
      : notice("This branch has no compute, so there is no host to connect to yet. Add one under Computes; the password stays the same."));
  };
  select.addEventListener("change", connect);
  await connect();

  await openDialog(title, (close) => h("div", {},
    h("div", { class: "body" },
      h("p", {}, intro),
      secret("Password", role.password, "the password"),
      h("p", { class: "hint" }, "Keep it now: once this is closed, this page can't show it again. A lost password is reset."),
      databases.length > 1 && field("Database", select),
      connection,
      operations?.length > 0 && operationsProgress(branch.project_id, operations, "Applied: the password works now.")),
    h("footer", {},
      button("Download .env", { symbol: "download", onclick: () => download(".env", envFile(login)) }),
      button("Done", { kind: "primary", onclick: close }))));
  login = null;
}

/** A text to be kept secret, with its copy button. */
function secret(label, value, what) {
  const input = h("input", { type: "text", class: "code", readonly: true, value, spellcheck: "false", onfocus: () => input.select() });
  return field(label, input, null, copyButton(() => value, `Copy ${what}`, { hidden: true }));
}

/** Where to connect to: as the server's own connection string says, else as the endpoint's host does, which may have a port. */
async function address(branch, endpoint, database, user) {
  if (!endpoint) return { host: "", port: PORT };
  const asked = query({ branch_id: branch.id, endpoint_id: endpoint.id, database_name: database, role_name: user });
  try {
    const { uri } = await api.get(path`/projects/${branch.project_id}/connection_uri` + asked);
    const url = new URL(uri);
    return { host: url.hostname, port: Number(url.port || PORT), parameters: url.search };
  } catch {
    const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(endpoint.host);
    return { host, port: Number(port ?? PORT) };
  }
}

export function userIntro(verb, user, branch) {
  return ["The user ", name(user), ` was ${verb} on the branch `, name(branch.name), "."];
}

// Who did what and when: the history of a branch, and that of one user.

import { api, path } from "../lib/api.js";
import { h, name } from "../lib/dom.js";
import { time } from "../lib/format.js";
import { branchPath } from "../lib/project.js";
import { emptyState, table } from "../lib/ui.js";

const WORDS = {
  project_create: "created the project",
  branch_create: "created the branch",
  branch_restore: "restored the branch",
  snapshot_restore: "restored the snapshot",
  role_create: "created the user",
  role_delete: "deleted the user",
  role_reset_password: "reset the password of",
  database_create: "created the database",
  database_update: "changed the database",
  database_delete: "deleted the database",
};

/** What kind of change an action is: "added", "removed" or "changed". */
export function changeKind(action) {
  if (/create/.test(action)) return "added";
  return /delete|drop|remove/.test(action) ? "removed" : "changed";
}

/** What a version did, in words. */
export function actionWords(version) {
  const [action, ...rest] = (version.action ?? version.change ?? "").split(" ");
  const subject = version.subject ?? rest.join(" ");
  const words = WORDS[action] ?? action.replaceAll("_", " ");
  return [words, subject && [" ", h("strong", {}, name(subject))]];
}

let keyNames;

/** The names of API keys by their ids, as far as they can be asked for. */
export function apiKeyNames() {
  keyNames ??= api.get("/api_keys").then(
    (keys) => new Map(keys.map((key) => [String(key.id), key.name])),
    () => ((keyNames = undefined), new Map()));
  return keyNames;
}

export function forgetApiKeyNames() {
  keyNames = undefined;
}

export function whoWords(version, keys) {
  const id = version.api_key_id;
  if (id === undefined || id === null) return h("span", { class: "muted" }, "the system");
  const known = keys.get(String(id));
  return h("span", { title: `API key ${id}` }, known ? name(known) : `key ${id}`);
}

export async function roleHistory(branch, role) {
  const [{ history }, keys] = await Promise.all([
    api.get(`${branchPath(branch)}${path`/roles/${role}/history`}`), apiKeyNames(),
  ]);
  return { history, keys };
}

export function changesTable({ history, keys }) {
  if (history.length === 0) return emptyState("No changes are kept", "What is older than the project's retention is forgotten.");
  return table("Changes", [
    { label: "When", cell: (change) => time(change.committed_at), kind: "when" },
    { label: "What", cell: (change) => [h("span", { class: `mark ${changeKind(change.change ?? change.action)}` }), what(change)], kind: "wrap" },
    { label: "Who", cell: (change) => whoWords(change, keys) },
    { label: "LSN", cell: (change) => h("code", {}, change.lsn) },
    { label: "Request", cell: (change) => (change.request_id ? h("code", { class: "request", title: change.request_id }, change.request_id) : "–") },
  ], history);
}

function what(change) {
  const details = [change.what].flat().filter(Boolean).join(", ").replaceAll("_", " ");
  return [change.change ?? actionWords(change), details && ` (${details})`];
}

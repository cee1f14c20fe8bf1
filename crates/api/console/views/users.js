// Settings > Users: the roles of one branch.

import { api, path } from "../lib/api.js";
import { confirm, openDialog, openForm } from "../lib/dialog.js";
import { h, name } from "../lib/dom.js";
import { count, list, time } from "../lib/format.js";
import { checkUserName } from "../lib/names.js";
import { operationsBegan } from "../lib/operations.js";
import { branchPicker } from "../lib/picker.js";
import { branchPath, chosenBranch, loadProject } from "../lib/project.js";
import { rolePage } from "../lib/roles.js";
import { go } from "../lib/router.js";
import { announce, badge, button, choice, emptyState, field, foundTable, heading, region } from "../lib/ui.js";
import { changesTable, roleHistory } from "./changes.js";
import { showPassword, userIntro } from "./password.js";

export default async function users({ params, query }) {
  const state = await loadProject(params.project);
  const branch = chosenBranch(state, query.branch);
  const picker = branchPicker("Branch", state.branches, {
    value: branch ?? null, onpick: (branch) => go(path`/projects/${params.project}/settings/users?branch=${branch.id}`),
  });
  const create = button("New User", { kind: "primary", symbol: "plus", onclick: () => newUser(state, branch, reload) });
  const body = h("div", {});
  const reload = () => body.replaceChildren(region(() => userTable(branch, reload)));
  if (branch) reload();
  else body.append(emptyState("There is no such branch", "It may have been deleted. Choose another one above."));
  const node = h("div", { class: "page" },
    heading("Users", { lead: "Who can log in to the databases of a branch. Each branch has users of its own from the moment it is created.", actions: [branch && create].filter(Boolean) }),
    h("div", { class: "toolbar" }, picker.node), body);
  return { title: "Users", node };
}

async function userTable(branch, reload) {
  const [first, { databases }] = await Promise.all([rolePage(branch), api.get(`${branchPath(branch)}/databases`)]);
  const owned = Map.groupBy(databases, (database) => database.owner_name);
  const columns = [
    { label: "Name", cell: (role) => [h("span", { class: "strong" }, name(role.name)), marks(role)] },
    { label: "Owns", cell: (role) => ownedNames(owned.get(role.name)), kind: "wrap" },
    { label: "Created", cell: (role) => time(role.created_at), kind: "when" },
    { label: "Changed", cell: (role) => time(role.updated_at), kind: "when" },
    { label: "Actions", hidden: true, kind: "does", cell: (role) => actions(branch, role, owned.get(role.name) ?? [], reload) },
  ];
  return [foundTable(`Users of ${branch.name}`, columns, first, (part) => rolePage(branch, part)), h("p", { class: "foot" }, count(first.total, "user"))];
}

function marks(role) {
  return [
    role.protected && badge("protected", "", "It belongs to the system: it can't be deleted, altered or reset."),
    role.authentication_method === "no_login" && badge("no login", "", "It has no password and cannot log in."),
  ];
}

function ownedNames(databases) {
  if (!databases) return h("span", { class: "muted" }, "–");
  return databases.map((database, index) => [index > 0 && ", ", name(database.name)]);
}

function actions(branch, role, databases, reload) {
  const history = button(`History of ${role.name}`, { kind: "quiet", symbol: "history", hidden: true, "data-key": `history ${role.name}`, onclick: () => showHistory(branch, role) });
  if (role.protected) return history;
  return [
    role.authentication_method !== "no_login" &&
      button("Reset password", { "data-key": `reset ${role.name}`, "aria-label": `Reset password of ${role.name}`, onclick: () => resetPassword(branch, role, reload) }),
    history,
    button(`Delete ${role.name}`, { kind: "quiet", symbol: "trash", hidden: true, "data-key": `delete ${role.name}`, onclick: () => deleteUser(branch, role, databases, reload) }),
  ];
}

/** The dialog behind "New User": the branch, a name checked while it is typed, and the server's own word when it refuses. */
async function newUser(state, branch, reload) {
  const picker = branchPicker("Branch", state.branches, { value: branch });
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autofocus: true });
  const verdict = h("p", { class: "hint", role: "status" });
  const noLogin = h("input", { type: "checkbox" });
  const check = () => {
    const checked = checkUserName(input.value);
    verdict.textContent = checked.text;
    verdict.classList.toggle("wrong", !checked.ok && !checked.empty);
    return checked.ok;
  };
  const created = await openForm("New User", {
    content: [
      picker.node, field("Name", input, verdict),
      choice("Without login", noLogin, "A user that owns things or groups others: it gets no password."),
    ],
    action: "Create",
    ready: () => check() && picker.value !== null,
    submit: async () => {
      const role = { name: input.value, no_login: noLogin.checked || undefined };
      return { branch: picker.value, ...(await api.post(`${branchPath(picker.value)}/roles`, { role })) };
    },
  });
  if (!created) return;
  operationsBegan();
  if (created.branch === branch) reload();
  else go(path`/projects/${branch.project_id}/settings/users?branch=${created.branch.id}`);
  const { role, operations } = created;
  if (!role.password) return announce("The user ", name(role.name), " was created.");
  await showPassword({ title: "User created", intro: userIntro("created", role.name, created.branch), branch: created.branch, role, operations });
}

async function resetPassword(branch, role, reload) {
  const changed = await openForm("Reset password", {
    content: h("p", {}, "Reset the password of ", h("strong", {}, name(role.name)), " on the branch ", h("strong", {}, name(branch.name)), "? The present password will stop working."),
    action: "Sure, reset",
    submit: () => api.post(`${branchPath(branch)}${path`/roles/${role.name}/reset_password`}`),
  });
  if (!changed) return;
  reload();
  await showPassword({
    title: "Password reset", intro: ["The user ", name(role.name), " has a new password on the branch ", name(branch.name), "."],
    branch, role: changed.role, operations: changed.operations,
  });
}

async function deleteUser(branch, role, databases, reload) {
  const who = h("strong", {}, name(role.name));
  if (databases.length > 0) {
    const names = list(databases.map((database) => `“${database.name}”`));
    return openDialog("This user can't be deleted", (close) => h("div", {},
      h("div", { class: "body" },
        h("p", {}, who, ` owns ${databases.length === 1 ? "the database" : "the databases"} `, name(names), " on this branch. Give them another owner, or delete them, first.")),
      h("footer", {}, button("Close", { onclick: close }), h("a", { class: "button primary", href: path`/projects/${branch.project_id}/databases?branch=${branch.id}`, onclick: close }, "Databases"))));
  }
  const deleted = await confirm("Delete user", {
    content: h("p", {}, "Delete ", who, " from the branch ", h("strong", {}, name(branch.name)), "? It will not be able to log in any more. Other branches keep theirs."),
    action: "Delete",
    submit: async () => {
      await api.delete(`${branchPath(branch)}${path`/roles/${role.name}`}`);
      return true;
    },
  });
  if (!deleted) return;
  operationsBegan();
  announce("The user ", name(role.name), " was deleted.");
  reload();
}

function showHistory(branch, role) {
  return openDialog("History of a user", (close) => h("div", {},
    h("div", { class: "body" }, h("p", {}, name(role.name), ", as seen from the branch ", name(branch.name), "."), region(async () => changesTable(await roleHistory(branch, role.name)))),
    h("footer", {}, button("Close", { onclick: close }))), { wide: true });
}

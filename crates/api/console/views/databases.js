// The databases of one branch.

import { api, path } from "../lib/api.js";
import { confirmByName, openForm } from "../lib/dialog.js";
import { h, name } from "../lib/dom.js";
import { count, time } from "../lib/format.js";
import { checkDatabaseName } from "../lib/names.js";
import { operationsBegan } from "../lib/operations.js";
import { branchPicker, rolePicker } from "../lib/picker.js";
import { branchPath, chosenBranch, loadProject } from "../lib/project.js";
import { rolePage } from "../lib/roles.js";
import { go } from "../lib/router.js";
import { announce, button, emptyState, field, heading, longTable, region } from "../lib/ui.js";

export default async function databases({ params, query }) {
  const state = await loadProject(params.project);
  const branch = chosenBranch(state, query.branch);
  const picker = branchPicker("Branch", state.branches, {
    value: branch ?? null, onpick: (branch) => go(path`/projects/${params.project}/databases?branch=${branch.id}`),
  });
  const body = h("div", {});
  const reload = () => body.replaceChildren(region(() => databaseTable(branch, reload)));
  if (branch) reload();
  else body.append(emptyState("There is no such branch", "It may have been deleted. Choose another one above."));
  const actions = branch ? [button("New database", { kind: "primary", symbol: "plus", onclick: () => edit(branch, null, reload) })] : [];
  const node = h("div", { class: "page" },
    heading("Databases", { lead: "Each database belongs to a branch, and to a user of that branch.", actions }),
    h("div", { class: "toolbar" }, picker.node), body);
  return { title: "Databases", node };
}

async function databaseTable(branch, reload) {
  const { databases } = await api.get(`${branchPath(branch)}/databases`);
  if (databases.length === 0) {
    return emptyState("No databases on this branch", "Create one, and one of the branch's users will own it.",
      button("New database", { kind: "primary", symbol: "plus", onclick: () => edit(branch, null, reload) }));
  }
  const columns = [
    { label: "Name", cell: (database) => h("span", { class: "strong" }, name(database.name)) },
    { label: "Owner", cell: (database) => name(database.owner_name) },
    { label: "Created", cell: (database) => time(database.created_at), kind: "when" },
    {
      label: "Actions", hidden: true, kind: "does", cell: (database) => [
        button(`Change ${database.name}`, { kind: "quiet", symbol: "edit", hidden: true, onclick: () => edit(branch, database, reload) }),
        button(`Delete ${database.name}`, { kind: "quiet", symbol: "trash", hidden: true, onclick: () => remove(branch, database, reload) }),
      ],
    },
  ];
  return [longTable(`Databases of ${branch.name}`, columns, databases, (database) => database.name), h("p", { class: "foot" }, count(databases.length, "database"))];
}

/** The user who is to own a new database unless somebody else is chosen; none where there is none. */
async function firstUser(branch) {
  const { rows } = await rolePage(branch, { limit: 2 }).catch(() => ({ rows: [] }));
  return rows.find((role) => !role.protected) ?? null;
}

/** The dialog for a new database, or for another name or owner of one. */
async function edit(branch, database, reload) {
  const owner = rolePicker("Owner", branch, { value: database ? { name: database.owner_name } : await firstUser(branch), hint: "A user of this branch." });
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autofocus: true, value: database?.name ?? "" });
  const verdict = h("p", { class: "hint", role: "status" });
  const saved = await openForm(database ? "Change database" : "New database", {
    content: [field("Name", input, verdict), owner.node],
    action: database ? "Save" : "Create",
    ready: () => {
      const checked = checkDatabaseName(input.value);
      verdict.textContent = checked.text;
      verdict.classList.toggle("wrong", !checked.ok && !checked.empty);
      return checked.ok && owner.value !== null;
    },
    submit: () => {
      const body = { database: { name: input.value, owner_name: owner.value.name } };
      const at = `${branchPath(branch)}/databases`;
      return database ? api.patch(at + path`/${database.name}`, body) : api.post(at, body);
    },
  });
  if (!saved) return;
  operationsBegan();
  announce("The database ", name(saved.database.name), database ? " was changed." : " was created.");
  reload();
}

async function remove(branch, database, reload) {
  const deleted = await confirmByName("Delete database", {
    content: h("p", {}, "Delete ", h("strong", {}, name(database.name)), " from the branch ", h("strong", {}, name(branch.name)), ", with everything in it? Other branches keep theirs."),
    action: "Delete database", label: "Type the database's name to confirm", expected: database.name,
    submit: async () => {
      await api.delete(`${branchPath(branch)}/databases${path`/${database.name}`}`);
      return true;
    },
  });
  if (!deleted) return;
  operationsBegan();
  announce("The database ", name(database.name), " was deleted.");
  reload();
}

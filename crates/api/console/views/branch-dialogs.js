// What can be done with branches, each with its dialog.

import { api, path } from "../lib/api.js";
import { confirm, openDialog, openForm } from "../lib/dialog.js";
import { h, name } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { operationsBegan } from "../lib/operations.js";
import { branchPicker } from "../lib/picker.js";
import { HEAD, pointChooser, pointFields, pointWords } from "../lib/point.js";
import { branchPath, forgetProject } from "../lib/project.js";
import { go } from "../lib/router.js";
import { announce, button, choice, field } from "../lib/ui.js";

/** Creates a branch from a parent's head, an LSN or a time, and goes to it. */
export async function newBranch(state, { parent, point = HEAD }, reload) {
  const input = h("input", { type: "text", maxlength: "256", autocomplete: "off", spellcheck: "false", autofocus: true });
  const picker = branchPicker("Parent", state.branches, { value: parent });
  const where = pointChooser("Begin with the parent as of", { value: point });
  const compute = h("input", { type: "checkbox", checked: true });
  const created = await openForm("New branch", {
    content: [
      field("Name", input, "Left empty, it is the branch's id."), picker.node, where.node,
      choice("Add a compute", compute, "To connect to the branch's databases."),
    ],
    action: "Create branch",
    ready: () => picker.value !== null && where.value !== null,
    submit: () => api.post(path`/projects/${state.project.id}/branches`, {
      branch: { name: input.value.trim() || undefined, parent_id: picker.value.id, ...pointFields(where.value, "parent_") },
      endpoints: compute.checked ? [{ type: "read_write" }] : [],
    }),
  });
  if (!created) return;
  operationsBegan();
  announce("The branch ", name(created.branch.name), " was created.");
  await reload();
  go(path`/projects/${state.project.id}/branches/${created.branch.id}`);
}

/** Gives a branch the users and databases of another point or another branch, and keeps what it has under another name. */
export async function restoreBranch(state, branch, { source = branch, point = HEAD }, reload) {
  const children = state.children.get(branch.id) ?? [];
  const picker = branchPicker("Restore from", state.branches, { value: source, hint: "Itself at an earlier point, its parent, or any other branch." });
  const where = pointChooser("As of", { value: point });
  const keep = h("input", { type: "text", maxlength: "256", autocomplete: "off", spellcheck: "false", value: backupName(branch) });
  const credentials = h("input", { type: "checkbox" });
  const needsPoint = () => picker.value === branch && where.value?.kind === "head";
  const verdict = h("p", { class: "hint", role: "status" });
  const restored = await openForm("Restore branch", {
    content: [
      h("p", {}, h("strong", {}, name(branch.name)), " gets other users and databases. Its id, its name and its computes stay, and what it has now is kept as a branch of its own."),
      picker.node, where.node, verdict,
      field("Keep what is replaced under the name", keep, children.length > 0 ? `Its ${count(children.length, "child", "children")} will be found below that branch.` : undefined),
      choice("Keep the present passwords", credentials, "Users that are on both sides keep the passwords they have now."),
    ],
    action: "Restore", danger: true,
    ready: () => {
      verdict.textContent = needsPoint() ? "Choose a point: the branch is at its latest state already." : "";
      return picker.value !== null && where.value !== null && !needsPoint();
    },
    submit: () => api.post(`${branchPath(branch)}/restore`, {
      source_branch_id: picker.value.id, ...pointFields(where.value, "source_"),
      preserve_under_name: keep.value.trim() || undefined, preserve_credentials: credentials.checked || undefined,
    }),
  });
  if (!restored) return;
  operationsBegan();
  announce("The branch ", name(branch.name), ` is being restored to ${pointWords(where.value)}.`);
  await reload();
}

function backupName(branch) {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "_");
  return `${branch.name}_old_${stamp}`;
}

export async function renameBranch(branch, reload) {
  const input = h("input", { type: "text", maxlength: "256", autocomplete: "off", spellcheck: "false", value: branch.name, autofocus: true });
  const renamed = await openForm("Rename branch", {
    content: field("Name", input), action: "Rename", ready: () => input.value.trim() !== "" && input.value !== branch.name,
    submit: () => api.patch(branchPath(branch), { branch: { name: input.value } }),
  });
  if (!renamed) return;
  announce("The branch is called ", name(renamed.branch.name), " now.");
  await reload();
}

export async function protectBranch(branch, reload) {
  const words = branch.protected
    ? "It can then be deleted and restored, and new branches of it get the same passwords."
    : "It can't be deleted or restored then, and its users get new passwords on branches that are made of it.";
  const changed = await openForm(branch.protected ? "Unprotect branch" : "Protect branch", {
    content: h("p", {}, branch.protected ? "Lift the protection of " : "Protect ", h("strong", {}, name(branch.name)), "? ", words),
    action: branch.protected ? "Unprotect" : "Protect",
    submit: () => api.patch(branchPath(branch), { branch: { protected: !branch.protected } }),
  });
  if (!changed) return;
  announce("The branch ", name(branch.name), changed.branch.protected ? " is protected." : " is not protected any more.");
  await reload();
}

export async function setDefaultBranch(branch, reload) {
  const changed = await openForm("Make default", {
    content: h("p", {}, "Make ", h("strong", {}, name(branch.name)), " the project's default branch: the one that is meant where none is named?"),
    action: "Make default",
    submit: () => api.post(`${branchPath(branch)}/set_as_default`),
  });
  if (!changed) return;
  announce("The branch ", name(branch.name), " is the default one now.");
  await reload();
}

/** Deletes a branch, or says why it can't be. */
export async function deleteBranch(state, branch, reload) {
  const reasons = refusals(state, branch);
  if (reasons.length > 0) {
    return openDialog("This branch can't be deleted", (close) => h("div", {},
      h("div", { class: "body" }, h("ul", {}, reasons.map((reason) => h("li", {}, reason)))), h("footer", {}, button("Close", { onclick: close }))));
  }
  const deleted = await confirm("Delete branch", {
    content: h("p", {}, "Delete ", h("strong", {}, name(branch.name)), " with its users, databases and computes? Other branches are not touched. For 7 days it can be recovered, in the project's settings."),
    action: "Delete branch",
    submit: async () => {
      await api.delete(branchPath(branch));
      return true;
    },
  });
  if (!deleted) return;
  operationsBegan();
  announce("The branch ", name(branch.name), " was deleted.");
  forgetProject(state.project.id);
  await reload();
  const parent = branch.parent_id ?? state.default.id;
  go(path`/projects/${state.project.id}/branches/${parent}`);
}

const NAMED_MAX = 5;

function refusals(state, branch) {
  const children = state.children.get(branch.id) ?? [];
  const named = children.slice(0, NAMED_MAX).map((child, index) => [index > 0 && ", ", name(child.name)]);
  const rest = children.length > NAMED_MAX && ` and ${(children.length - NAMED_MAX).toLocaleString()} more`;
  return [
    branch.default && "It is the project's default branch. Make another branch the default first.",
    branch.protected && "It is protected. Unprotect it first.",
    children.length > 0 && ["It has children: ", named, rest, ". Delete them first."],
  ].filter(Boolean);
}

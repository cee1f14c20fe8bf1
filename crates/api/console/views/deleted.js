// What was deleted and can be recovered: a project's branches, or the account's projects.

import { api, path } from "../lib/api.js";
import { h, name } from "../lib/dom.js";
import { time } from "../lib/format.js";
import { announce, button, code, errorBox, table } from "../lib/ui.js";

/** The deleted branches of a project, with a way back; nothing where there are none. */
export async function deletedBranches(project, recovered) {
  const { branches } = await api.get(`${path`/projects/${project.id}/branches`}?include_deleted=true`);
  const rows = branches.filter((branch) => branch.recovery).map((branch) => ({ ...branch, until: branch.recovery.recoverable_until }));
  return section("Deleted branches", rows, async (branch) => {
    await api.post(path`/projects/${project.id}/branches/${branch.id}/recover`);
    announce("The branch ", name(branch.name), " is back.");
    await recovered(branch);
  });
}

const PROJECTS_MAX = 100;

/** The account's deleted projects, with a way back; nothing where there are none. */
export async function deletedProjects(recovered, signal) {
  const { projects } = await api.get(`/projects?recoverable=true&limit=${PROJECTS_MAX}`, { signal });
  return section("Deleted projects", projects.map((project) => ({ ...project, until: project.recoverable_until })), async (project) => {
    await api.post(path`/projects/${project.id}/recover`);
    announce("The project ", name(project.name), " is back.");
    await recovered(project);
  });
}

function section(title, rows, recover) {
  if (rows.length === 0) return null;
  const trouble = h("div", {});
  return h("section", {}, h("h2", {}, title), trouble, table(title, [
    { label: "Name", cell: (row) => h("strong", {}, name(row.name)) },
    { label: "Id", cell: (row) => code(row.id) },
    { label: "Can be recovered until", cell: (row) => time(row.until), kind: "when" },
    { label: "Recover", hidden: true, cell: (row) => recoverButton(row, recover, trouble) },
  ], rows));
}

function recoverButton(row, recover, trouble) {
  const back = button("Recover", {
    "aria-label": `Recover ${row.name}`,
    onclick: async () => {
      back.disabled = true;
      trouble.replaceChildren();
      try {
        await recover(row);
      } catch (error) {
        trouble.replaceChildren(errorBox(error));
        back.disabled = false;
      }
    },
  });
  return back;
}

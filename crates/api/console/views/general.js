// Settings > General: the project's name, its retention, and its end.

import { api, path } from "../lib/api.js";
import { confirmByName } from "../lib/dialog.js";
import { h, name } from "../lib/dom.js";
import { count, time } from "../lib/format.js";
import { forgetProject, loadProject } from "../lib/project.js";
import { go } from "../lib/router.js";
import { announce, button, code, errorBox, facts, field, heading } from "../lib/ui.js";
import { deletedBranches } from "./deleted.js";

const HOUR = 3600;

export default async function general({ params }) {
  const { project, branches } = await loadProject(params.project, { fresh: true });
  const deleted = await deletedBranches(project, (branch) => {
    forgetProject(project.id);
    go(path`/projects/${project.id}/branches/${branch.id}`);
  });
  const node = h("div", { class: "page narrow" }, heading("General"),
    facts([
      ["Project id", code(project.id)], ["PostgreSQL", String(project.pg_version)],
      ["Created", time(project.created_at)], ["Branches", branches.length.toLocaleString()],
      ["Passwords", project.store_passwords ? "kept, sealed" : "not kept: only what checks them is"],
    ]),
    setting(project, "Name", {
      input: h("input", { type: "text", maxlength: "256", value: project.name, autocomplete: "off" }),
      change: (text) => ({ name: text }),
    }),
    setting(project, "History, in hours", {
      input: h("input", { type: "number", class: "short", min: "0", max: "720", step: "any", value: String(project.history_retention_seconds / HOUR) }),
      hint: "How far back branches can be created and restored: up to 720 hours, which are 30 days.",
      change: (text) => ({ history_retention_seconds: Math.round(Number(text) * HOUR) }),
    }),
    deleted,
    h("section", { class: "panel danger" }, h("h2", {}, "Delete this project"),
      h("p", {}, `Everything in it goes: ${count(branches.length, "branch", "branches")} with their users, databases and computes.`),
      button("Delete project", { kind: "danger", onclick: () => remove(project) })));
  return { title: "General", node };
}

/** A setting with a form of its own. */
function setting(project, label, { input, hint, change }) {
  const trouble = h("div", {});
  const send = button("Save", { type: "submit" });
  return h("form", {
    class: "panel", novalidate: true,
    onsubmit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      trouble.replaceChildren();
      try {
        await api.patch(path`/projects/${project.id}`, { project: change(input.value) });
        forgetProject(project.id);
        announce("Saved.");
      } catch (error) {
        trouble.replaceChildren(errorBox(error));
      }
      send.disabled = false;
    },
  }, field(label, input, hint), trouble, send);
}

async function remove(project) {
  const deleted = await confirmByName("Delete project", {
    content: h("p", {}, "Delete ", h("strong", {}, name(project.name)), " with all of its branches, users, databases and computes? For 7 days it can be recovered, below the list of projects."),
    action: "Delete project", label: "Type the project's name to confirm", expected: project.name,
    submit: async () => {
      await api.delete(path`/projects/${project.id}`);
      return true;
    },
  });
  if (!deleted) return;
  forgetProject(project.id);
  announce("The project ", name(project.name), " was deleted.");
  go("/projects");
}

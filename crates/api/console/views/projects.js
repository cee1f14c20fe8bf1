// All projects: find one, make one.

import { api, path, query as queryOf } from "../lib/api.js";
import { h, name } from "../lib/dom.js";
import { openForm } from "../lib/dialog.js";
import { time } from "../lib/format.js";
import { go } from "../lib/router.js";
import { button, code, emptyState, errorBox, field, heading, progress, table } from "../lib/ui.js";
import { deletedProjects } from "./deleted.js";
import { showPassword } from "./password.js";

const PAGE = 50;

export default async function projects({ query, signal }) {
  let search = query.search ?? "";
  const list = h("div", {});
  const input = h("input", { type: "search", value: search, placeholder: "Search by name or id", "aria-label": "Search projects", "data-key": "search" });
  let asked = 0;

  const load = async () => {
    const mine = (asked += 1);
    const waiting = setTimeout(() => list.replaceChildren(progress()), 250);
    try {
      const first = await page(search, undefined, signal);
      if (mine === asked) show(first.projects, first.pagination?.cursor);
    } catch (error) {
      if (error.name !== "AbortError" && mine === asked) list.replaceChildren(errorBox(error, { retry: load }));
    } finally {
      clearTimeout(waiting);
    }
  };
  const show = (rows, cursor) => {
    list.replaceChildren(rows.length === 0 ? empty(search) : projectTable(rows));
    if (rows.length === 0 || rows.length % PAGE !== 0 || !cursor) return;
    const more = button("More projects", {
      onclick: async () => {
        more.disabled = true;
        try {
          const next = await page(search, cursor, signal);
          show([...rows, ...next.projects], next.projects.length > 0 ? next.pagination?.cursor : undefined);
        } catch (error) {
          more.replaceWith(errorBox(error));
        }
      },
    });
    list.append(more);
  };
  let typing;
  input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      search = input.value.trim();
      history.replaceState(null, "", `/projects${queryOf({ search })}`);
      load();
    }, 200);
  });
  const deleted = deletedProjects((project) => go(path`/projects/${project.id}/branches`), signal);
  await load();
  const node = h("div", { class: "page" },
    heading("Projects", { actions: [button("New project", { kind: "primary", symbol: "plus", onclick: createProject })] }),
    h("div", { class: "toolbar" }, input), list, await deleted);
  return { title: "Projects", node };
}

function page(search, cursor, signal) {
  return api.get(`/projects${queryOf({ limit: PAGE, search, cursor })}`, { signal });
}

function empty(search) {
  if (search) return emptyState("No project matches", "A project is found by a part of its name or of its id.");
  return emptyState("Make your first project",
    "A project holds branches. It begins with the branch main, which has a user and a database to connect to; every other branch starts from there.",
    button("New project", { kind: "primary", symbol: "plus", onclick: createProject }));
}

function projectTable(rows) {
  return table("Projects", [
    { label: "Name", cell: (project) => h("a", { class: "strong", href: path`/projects/${project.id}/branches` }, name(project.name)) },
    { label: "Id", cell: (project) => code(project.id) },
    { label: "PostgreSQL", cell: (project) => project.pg_version, kind: "number" },
    { label: "Created", cell: (project) => time(project.created_at), kind: "when" },
  ], rows);
}

async function createProject() {
  const title = h("input", { type: "text", autocomplete: "off", maxlength: "256", autofocus: true });
  const version = h("select", {}, [18, 17, 16, 15, 14].map((number) => h("option", { value: number, selected: number === 17 }, `PostgreSQL ${number}`)));
  const role = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const database = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "neondb" });
  const content = [
    field("Project name", title, "Left empty, it is the project's id."),
    field("PostgreSQL version", version),
    h("details", {}, h("summary", {}, "First user and database"),
      field("User", role, "Left empty, it is named after your account."), field("Database", database)),
  ];
  const created = await openForm("New project", {
    content, action: "Create project",
    submit: () => api.post("/projects", {
      project: {
        name: title.value.trim() || undefined,
        pg_version: Number(version.value),
        branch: { role_name: role.value || undefined, database_name: database.value || undefined },
      },
    }),
  });
  if (!created) return;
  const first = created.roles.find((role) => role.password);
  if (first) {
    await showPassword({
      title: "Your project is ready", intro: ["The project ", name(created.project.name), " has a first user, ", name(first.name), "."],
      branch: created.branch, role: first, databases: created.databases, endpoints: created.endpoints, operations: created.operations,
    });
  }
  go(path`/projects/${created.project.id}/branches`);
}

// The frame around every page: who is signed in, where one is, and what is shown.

import { path } from "./lib/api.js";
import { h, name } from "./lib/dom.js";
import { icon, logo } from "./lib/icons.js";
import { operationsPill } from "./lib/operations.js";
import { loadProject } from "./lib/project.js";
import { current, go, start } from "./lib/router.js";
import { session } from "./lib/session.js";
import { themeButton } from "./lib/theme-button.js";
import { button, emptyState, errorBox, linkButton, progress } from "./lib/ui.js";
import signIn from "./views/signin.js";

const projects = () => import("./views/projects.js");
const branches = () => import("./views/branches.js");

/** Each address with what loads its page; pages are loaded when they are first shown. */
const PAGES = [
  ["/", projects],
  ["/projects", projects],
  ["/projects/:project", branches],
  ["/projects/:project/branches", branches],
  ["/projects/:project/branches/:branch", branches],
  ["/projects/:project/databases", () => import("./views/databases.js")],
  ["/projects/:project/computes", () => import("./views/computes.js")],
  ["/projects/:project/operations", () => import("./views/operations.js")],
  ["/projects/:project/settings/users", () => import("./views/users.js")],
  ["/projects/:project/settings", () => import("./views/general.js")],
  ["/keys", () => import("./views/keys.js")],
];

const app = document.getElementById("app");
/** What is shown: `{ load, project, view, leave, frame }`. */
let shown = null;

async function show({ moved }) {
  // A dialog belongs to the page that it was opened on.
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  if (!session.key) return showSignIn();
  const { page, params, query } = current();
  if (shown?.load === page && shown?.project === params.project && shown?.view?.update && moved !== "again") {
    const title = shown.view.update({ params, query });
    setTitle(title ?? shown.view.title);
    markCurrent();
    return;
  }
  shown?.leave.abort();
  const leave = new AbortController();
  const frame = shown?.frame && shown.project === params.project ? shown.frame : buildFrame(params.project);
  const here = (shown = { load: page, project: params.project, leave, frame });
  markCurrent();
  // Another page may have been chosen by then, and be there already.
  const waiting = setTimeout(() => shown === here && frame.main.replaceChildren(progress()), 250);
  let view;
  try {
    view = page ? await (await page()).default({ params, query, signal: leave.signal }) : missing();
  } catch (error) {
    if (error.name === "AbortError") return;
    view = { title: "Error", node: h("div", { class: "page" }, h("h1", { tabindex: "-1" }, "This page can't be shown"), errorBox(error, { retry: () => show({ moved: "again" }) })) };
  } finally {
    clearTimeout(waiting);
  }
  if (shown !== here || !session.key) return;
  here.view = view;
  frame.main.replaceChildren(view.node);
  setTitle(view.title);
  if (moved === "forward") scrollTo(0, 0);
  // A screen reader is told where it is by the heading; somebody who types somewhere already is left alone.
  if (moved !== "start" && !frame.main.contains(document.activeElement)) frame.main.querySelector("h1")?.focus({ preventScroll: true });
}

function missing() {
  const node = h("div", { class: "page" }, emptyState("There is no such page", "The address may be mistyped, or what it led to is gone.", linkButton("Projects", "/projects")));
  return { title: "Not found", node };
}

function setTitle(title) {
  document.title = `${title} · Offshoot`;
}

function showSignIn() {
  shown?.leave.abort();
  shown = null;
  const view = signIn();
  setTitle(view.title);
  app.replaceChildren(h("main", { id: "main", class: "signin" }, view.node, h("div", { class: "corner" }, themeButton())));
  view.focus();
}

const SECTIONS = [
  ["Branches", "branch", (p) => path`/projects/${p}/branches`],
  ["Databases", "database", (p) => path`/projects/${p}/databases`],
  ["Computes", "compute", (p) => path`/projects/${p}/computes`],
  ["Operations", "operation", (p) => path`/projects/${p}/operations`],
];
const SETTINGS = [
  ["Users", "user", (p) => path`/projects/${p}/settings/users`],
  ["General", "settings", (p) => path`/projects/${p}/settings`],
];

/** The header and, in a project, its sections; kept while one stays in the project. */
function buildFrame(project) {
  shown?.frame?.leave.abort();
  const leave = new AbortController();
  const main = h("main", { id: "main", tabindex: "-1" });
  const skip = h("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), main.focus()) }, "Skip to the content");
  const header = h("header", { class: "top" },
    h("a", { class: "brand", href: "/projects", "aria-label": "Offshoot: projects" }, logo(), h("span", {}, "Offshoot")),
    project && projectName(project),
    h("div", { class: "spread" }),
    project && operationsPill(project, leave.signal),
    h("a", { class: "toplink", href: "/docs", title: "API" }, icon("document"), h("span", {}, "API")),
    h("a", { class: "toplink", href: "/keys", title: "API keys" }, icon("key"), h("span", {}, "API keys")),
    themeButton(),
    button("Sign out", { kind: "quiet", onclick: () => session.end() }));
  const entry = ([label, symbol, at]) => h("li", {}, h("a", { href: at(project) }, icon(symbol), label));
  const sections = project && h("nav", { class: "sections", "aria-label": "Project" },
    h("ul", {}, SECTIONS.map(entry)), h("h2", { id: "settings" }, "Settings"), h("ul", { "aria-labelledby": "settings" }, SETTINGS.map(entry)));
  app.replaceChildren(skip, header, h("div", { class: project ? "with-sections" : "" }, sections, main));
  return { main, leave, sections };
}

function projectName(id) {
  const link = h("a", { href: path`/projects/${id}/branches` }, h("span", {}, id));
  loadProject(id).then(({ project }) => link.replaceChildren(name(project.name)), () => {});
  return h("div", { class: "crumb" }, h("span", { "aria-hidden": "true" }, "/"), link);
}

/** Marks the section that is shown, and makes the links to others keep the chosen branch. */
function markCurrent() {
  const { params, query } = current();
  const branch = params.branch ?? query.branch;
  for (const link of shown.frame.sections?.querySelectorAll("a") ?? []) {
    const url = new URL(link.href);
    const here = location.pathname === url.pathname || (url.pathname.endsWith("/branches") && /^\/projects\/[^/]+(\/branches.*)?$/.test(location.pathname));
    if (here) {
      link.setAttribute("aria-current", "page");
      // On a narrow screen the sections lie side by side, and some out of sight.
      const strip = shown.frame.sections;
      strip.scrollLeft = link.offsetLeft - (strip.clientWidth - link.offsetWidth) / 2;
    } else link.removeAttribute("aria-current");
    if (!/\/(users|databases|branches.*)$/.test(url.pathname)) continue;
    if (url.pathname.includes("/branches")) link.href = path`/projects/${params.project}/branches` + (branch ? path`/${branch}` : "");
    else link.href = url.pathname + (branch ? path`?branch=${branch}` : "");
  }
}

session.addEventListener("change", () => {
  shown?.frame?.leave.abort();
  show({ moved: "start" });
});
start(PAGES, show);
if (location.pathname === "/" && session.key) go("/projects", { replaces: true });
else show({ moved: "start" });

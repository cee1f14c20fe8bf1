// The branches of a project: the picture, and beside it the branch that is selected.

import { api, path, query as queryOf } from "../lib/api.js";
import { h, uniqueId } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { parsePoint, pointText } from "../lib/point.js";
import { branchPath, chosenBranch, forgetProject, loadProject } from "../lib/project.js";
import { current, go } from "../lib/router.js";
import { button, heading, pause } from "../lib/ui.js";
import { Histories } from "../picture/histories.js";
import { Picture } from "../picture/picture.js";
import { newBranch } from "./branch-dialogs.js";
import { inspector } from "./inspector.js";

const SETTLING_MS = 1000;
const SETTLING_MAX = 20;

export default async function branches({ params, query, signal }) {
  const project = params.project;
  let state = await loadProject(project, { fresh: true });
  const histories = new Histories(signal, () => picture.draw());
  const address = (branch, more) => path`/projects/${project}/branches/${branch.id}` + queryOf(more);
  const picture = new Picture(state, histories, {
    onselect: (branch) => go(address(branch, { tab: current().query.tab }), { replaces: true }),
    onpick: (branch, point) => go(address(branch, { tab: current().query.tab, point: pointText(point) }), { replaces: true }),
  });
  const side = h("aside", { class: "inspector", "aria-label": "Selected branch" });
  const total = h("span", {});

  const show = ({ params, query }) => {
    const branch = chosenBranch(state, params.branch);
    const point = parsePoint(query.point);
    picture.select(branch, point);
    const go = (more) => address(branch, more);
    side.replaceChildren(inspector({ state, branch, query, point, address: go, reload, signal, wanted: params.branch }));
    return branch ? `${branch.name} · Branches` : "Branches";
  };
  const arrived = (next) => {
    state = next;
    picture.show(state);
    total.replaceChildren(`${count(state.branches.length, "branch", "branches")}. Each begins with its parent's users and databases as they were at one point, and goes its own way from there.`);
  };
  const reload = async () => {
    forgetProject(project);
    histories.forget();
    arrived(await loadProject(project));
    if (!signal.aborted) show(current());
  };

  arrived(state);
  const title = show({ params, query });
  settle(() => state, reload, signal).catch(() => {});
  const node = h("div", { class: "page wide" },
    heading("Branches", { lead: total, actions: [button("New branch", { kind: "primary", symbol: "plus", onclick: () => newBranch(state, { parent: chosenBranch(state, current().params.branch) ?? state.default }, reload) })] }),
    tools(picture),
    h("div", { class: "split" }, picture.node, side));
  return { title, node, update: show };
}

/** Looks again at branches that are still being made, until they are. */
async function settle(state, reload, signal) {
  for (;;) {
    await pause(SETTLING_MS, signal);
    const unsettled = state().branches.filter((branch) => branch.pending_state).slice(0, SETTLING_MAX);
    if (unsettled.length === 0 || document.visibilityState !== "visible") continue;
    const now = await Promise.all(unsettled.map((branch) => api.get(branchPath(branch), { signal }).catch(() => ({ branch: null }))));
    if (now.some(({ branch }) => !branch?.pending_state)) await reload();
  }
}

function tools(picture) {
  const found = h("span", { class: "hint", role: "status" });
  const search = h("input", {
    type: "search", placeholder: "Search by name or id", "aria-label": "Search branches",
    oninput: () => {
      const number = picture.search(search.value);
      found.textContent = search.value.trim() === "" ? "" : `${number.toLocaleString()} found`;
    },
  });
  const group = uniqueId("axis");
  const axis = (value, label, checked) => h("label", {}, h("input", { type: "radio", name: group, value, checked, onchange: () => (picture.axis = value) }), h("span", {}, label));
  return h("div", { class: "toolbar" }, search, found, h("div", { class: "spread" }),
    h("div", { class: "legend", "aria-hidden": "true" }, ["added", "changed", "removed"].map((kind) => h("span", {}, h("span", { class: `mark ${kind}` }), kind))),
    h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Axis"), axis("time", "Time", true), axis("lsn", "LSN", false)),
    h("div", { class: "segments" },
      button("Zoom out", { kind: "quiet", symbol: "minus", hidden: true, onclick: () => picture.zoom(2) }),
      button("Fit", { kind: "quiet", title: "Show everything", onclick: () => picture.zoom(null) }),
      button("Zoom in", { kind: "quiet", symbol: "plus", hidden: true, onclick: () => picture.zoom(0.5) })));
}

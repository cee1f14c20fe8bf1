// The operations of a project, live.

import { api, path, query } from "../lib/api.js";
import { h, name, replace } from "../lib/dom.js";
import { duration, time } from "../lib/format.js";
import { describe, hasFailed, isActive } from "../lib/operations.js";
import { loadProject } from "../lib/project.js";
import { announce, button, emptyState, errorBox, heading, keepLive, pause, state as stateOf, table } from "../lib/ui.js";

const PAGE = 100;
const BUSY_MS = 700;
const IDLE_MS = 3000;

export default async function operations({ params, signal }) {
  const project = params.project;
  const state = await loadProject(project);
  const body = h("div", {});
  const older = h("div", {});
  const fetchPage = (cursor) => api.get(path`/projects/${project}/operations` + query({ limit: PAGE, cursor }), { signal });
  let before = "";
  let running = new Set();

  const refresh = async () => {
    const { operations, pagination } = await fetchPage();
    const now = JSON.stringify(operations);
    if (now === before) return running.size > 0;
    replace(body, operations.length === 0 ? empty() : operationTable(state, operations));
    if (before === "" && operations.length === PAGE && pagination) showOlder(pagination.cursor);
    before = now;
    for (const operation of operations.filter((operation) => running.has(operation.id) && hasFailed(operation))) {
      announce(`${describe(operation.action)} failed.`);
    }
    running = new Set(operations.filter(isActive).map((operation) => operation.id));
    return running.size > 0;
  };
  const showOlder = (cursor) => {
    const more = button("Older operations", {
      onclick: async () => {
        more.disabled = true;
        const page = await fetchPage(cursor).catch((error) => more.replaceWith(errorBox(error)));
        if (!page) return;
        more.replaceWith(operationTable(state, page.operations));
        if (page.operations.length === PAGE && page.pagination) showOlder(page.pagination.cursor);
      },
    });
    older.append(more);
  };
  const failed = (error) => {
    before = "";
    body.replaceChildren(errorBox(error));
    return false;
  };
  keepLive({ refresh, failed, rest: (busy) => pause(busy ? BUSY_MS : IDLE_MS, signal) });
  const node = h("div", { class: "page" },
    heading("Operations", { lead: "What makes changes true on storage and computes. The list keeps itself up to date." }), body, older);
  return { title: "Operations", node };
}

function empty() {
  return emptyState("No operations yet", "Whatever you change that a compute has to know of shows up here.");
}

function operationTable(state, operations) {
  const branchName = (id) => name(state.byId.get(id)?.name ?? id);
  return table("Operations", [
    { label: "Action", cell: (operation) => h("span", { class: "strong", title: operation.id }, describe(operation.action)) },
    { label: "Branch", cell: (operation) => (operation.branch_id ? branchName(operation.branch_id) : "–") },
    { label: "Compute", cell: (operation) => (operation.endpoint_id ? h("code", {}, operation.endpoint_id) : "–") },
    { label: "Status", cell: status, kind: "wrap" },
    { label: "Began", cell: (operation) => time(operation.created_at), kind: "when" },
    { label: "Took", cell: (operation) => (isActive(operation) ? "–" : duration(operation.total_duration_ms)), kind: "number" },
  ], operations);
}

function status(operation) {
  const failures = operation.failures_count > 0 && !hasFailed(operation);
  return [
    stateOf(operation.status),
    operation.error && h("p", { class: "wrong" }, operation.error),
    failures && h("p", { class: "hint" }, `tried ${operation.failures_count + 1} times`, operation.retry_at && [", again at ", time(operation.retry_at)]),
  ];
}

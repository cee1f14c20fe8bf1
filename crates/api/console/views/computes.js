// The computes (endpoints) of a project, as they are at each moment.

import { api, path } from "../lib/api.js";
import { confirm, openForm } from "../lib/dialog.js";
import { h, name, replace } from "../lib/dom.js";
import { duration, time } from "../lib/format.js";
import { operationsBegan } from "../lib/operations.js";
import { branchPicker } from "../lib/picker.js";
import { loadProject } from "../lib/project.js";
import { announce, badge, button, code, emptyState, errorBox, field, heading, keepLive, pause, state as stateOf, table } from "../lib/ui.js";

const BUSY_MS = 1000;
const IDLE_MS = 4000;

export default async function computes({ params, signal }) {
  const project = params.project;
  const state = await loadProject(project);
  const body = h("div", {});
  let hurry = () => {};
  const soon = () => (operationsBegan(), hurry());
  const add = () => create(state, soon);

  let before = "";
  const refresh = async () => {
    const { endpoints } = await api.get(path`/projects/${project}/endpoints`, { signal });
    const now = JSON.stringify(endpoints);
    if (now !== before) replace(body, endpoints.length === 0 ? empty(add) : endpointTable(state, endpoints, soon));
    before = now;
    return endpoints.some((endpoint) => endpoint.pending_state || endpoint.current_state === "init");
  };
  const failed = (error) => {
    before = "";
    body.replaceChildren(errorBox(error));
    return true;
  };
  const rest = (busy) => Promise.race([pause(busy ? BUSY_MS : IDLE_MS, signal), new Promise((resolve) => (hurry = resolve))]);
  keepLive({ refresh, failed, rest });
  const node = h("div", { class: "page" },
    heading("Computes", {
      lead: "A compute runs PostgreSQL for a branch. A branch has at most one that writes, and any number that only read.",
      actions: [button("New compute", { kind: "primary", symbol: "plus", onclick: add })],
    }), body);
  return { title: "Computes", node };
}

function empty(add) {
  return emptyState("No computes", "Add one to a branch to connect to its databases.", button("New compute", { kind: "primary", symbol: "plus", onclick: add }));
}

function endpointTable(state, endpoints, soon) {
  const project = state.project.id;
  return table("Computes", [
    {
      label: "Branch", cell: (endpoint) => h("a", { class: "strong", href: path`/projects/${project}/branches/${endpoint.branch_id}` },
        name(state.byId.get(endpoint.branch_id)?.name ?? endpoint.branch_id)),
    },
    { label: "State", cell: (endpoint) => stateOf(endpoint.current_state, endpoint.pending_state) },
    { label: "Kind", cell: (endpoint) => badge(endpoint.type.replace("_", "-")) },
    { label: "Host", cell: (endpoint) => code(endpoint.host) },
    { label: "Suspends after", cell: (endpoint) => suspendWords(endpoint.suspend_timeout_seconds) },
    { label: "Created", cell: (endpoint) => time(endpoint.created_at), kind: "when" },
    { label: "Actions", hidden: true, kind: "does", cell: (endpoint) => actions(endpoint, soon) },
  ], endpoints);
}

function suspendWords(seconds) {
  if (seconds === -1) return "never";
  return seconds === 0 ? "5 min" : duration(seconds * 1000);
}

function actions(endpoint, soon) {
  const at = path`/projects/${endpoint.project_id}/endpoints/${endpoint.id}`;
  const act = (verb, words, symbol) => {
    const press = button(`${words} ${endpoint.id}`, {
      kind: "quiet", symbol, hidden: true, "data-key": `${verb} ${endpoint.id}`,
      onclick: async () => {
        press.disabled = true;
        try {
          await api.post(`${at}/${verb}`);
        } catch (error) {
          await failed(`${words} compute`, error);
        }
        press.disabled = false;
        soon();
      },
    });
    return press;
  };
  const active = endpoint.current_state === "active";
  return [
    active ? act("suspend", "Suspend", "stop") : act("start", "Start", "play"),
    active && act("restart", "Restart", "refresh"),
    button(`Change ${endpoint.id}`, { kind: "quiet", symbol: "edit", hidden: true, "data-key": `change ${endpoint.id}`, onclick: () => change(endpoint, at, soon) }),
    button(`Delete ${endpoint.id}`, { kind: "quiet", symbol: "trash", hidden: true, "data-key": `delete ${endpoint.id}`, onclick: () => remove(endpoint, at, soon) }),
  ];
}

function failed(title, error) {
  return openForm(title, { content: errorBox(error), action: null, submit: () => {}, cancel: "Close" });
}

function timeoutField(value) {
  const input = h("input", { type: "number", class: "short", min: "-1", max: "604800", value: String(value) });
  return [input, field("Suspend after, in seconds", input, "0 is the default of 5 minutes, and -1 never; otherwise at least 60.")];
}

async function create(state, soon) {
  const picker = branchPicker("Branch", state.branches, { value: state.default });
  const kind = h("select", {}, h("option", { value: "read_write" }, "Read and write"), h("option", { value: "read_only" }, "Read only"));
  const [timeout, timeoutNode] = timeoutField(0);
  const created = await openForm("New compute", {
    content: [picker.node, field("Kind", kind), timeoutNode], action: "Create", ready: () => picker.value !== null,
    submit: () => api.post(path`/projects/${state.project.id}/endpoints`, {
      endpoint: { branch_id: picker.value.id, type: kind.value, suspend_timeout_seconds: Number(timeout.value) },
    }),
  });
  if (!created) return;
  announce(`The compute ${created.endpoint.id} was created.`);
  soon();
}

async function change(endpoint, at, soon) {
  const [timeout, timeoutNode] = timeoutField(endpoint.suspend_timeout_seconds);
  const changed = await openForm("Change compute", {
    content: timeoutNode, action: "Save",
    submit: () => api.patch(at, { endpoint: { suspend_timeout_seconds: Number(timeout.value) } }),
  });
  if (!changed) return;
  announce(`The compute ${endpoint.id} was changed.`);
  soon();
}

async function remove(endpoint, at, soon) {
  const deleted = await confirm("Delete compute", {
    content: h("p", {}, "Delete ", h("code", {}, endpoint.id), "? Its connections end, and its host leads nowhere any more. The branch and its data stay."),
    action: "Delete compute",
    submit: async () => {
      await api.delete(at);
      return true;
    },
  });
  if (!deleted) return;
  announce(`The compute ${endpoint.id} was deleted.`);
  soon();
}

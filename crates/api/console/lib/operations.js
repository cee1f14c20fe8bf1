// Following operations: the pill in the header that tells of a project's, and the progress of those that one change began.

import { api, path } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { pause } from "./ui.js";

const ACTIVE = ["scheduling", "running", "cancelling"];
const FAILED = ["failed", "error"];
const BUSY_MS = 1000;
const IDLE_MS = 10_000;

export const isActive = (operation) => ACTIVE.includes(operation.status);
export const hasFailed = (operation) => FAILED.includes(operation.status);

/** What an operation does, in words. */
export function describe(action) {
  const text = action.replaceAll("_", " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

let hurry = () => {};

/** Something has begun: the pill looks now instead of later. */
export function operationsBegan() {
  hurry();
}

/** A link to a project's operations, which says how many run. Polls until `signal` ends it. */
export function operationsPill(project, signal) {
  const text = h("span", {});
  const pill = h("a", { class: "pill", href: path`/projects/${project}/operations` }, h("span", { class: "dot" }), text);
  poll(project, signal, (operations) => {
    const active = operations.filter(isActive).length;
    const failed = !active && operations[0] && hasFailed(operations[0]);
    pill.className = `pill ${active ? "busy" : failed ? "bad" : ""}`;
    text.textContent = active ? `${count(active, "operation")} running` : failed ? "An operation failed" : "Up to date";
    return active > 0;
  }).catch((error) => {
    if (error.name !== "AbortError") pill.hidden = true;
  });
  return pill;
}

async function poll(project, signal, seen) {
  while (!signal.aborted) {
    if (document.visibilityState === "visible") {
      const { operations } = await api.get(path`/projects/${project}/operations?limit=50`, { signal });
      const busy = seen(operations);
      await Promise.race([pause(busy ? BUSY_MS : IDLE_MS, signal), new Promise((resolve) => (hurry = resolve))]);
    } else {
      await pause(BUSY_MS, signal);
    }
  }
}

/** A line that follows the operations of one change until all have ended; `done` is what it says then. */
export function operationsProgress(project, operations, done) {
  const line = h("p", { class: "progress", role: "status" });
  const say = (kind, text) => line.replaceChildren(h("span", { class: kind }), text);
  operationsBegan();
  const follow = async () => {
    let open = operations;
    while (open.length > 0) {
      say("spinner", `${describe(open[0].action)}${open[0].endpoint_id ? ` on ${open[0].endpoint_id}` : ""}…`);
      await pause(700);
      if (!line.isConnected) return;
      const now = await Promise.all(open.map(({ id }) => api.get(path`/projects/${project}/operations/${id}`)));
      const failed = now.map(({ operation }) => operation).find(hasFailed);
      if (failed) {
        say("dot bad", `${describe(failed.action)} failed: ${failed.error ?? "the operation says no more"}`);
        return;
      }
      open = now.map(({ operation }) => operation).filter(isActive);
    }
    say("dot good", done);
  };
  follow().catch(() => say("dot bad", "What became of the change could not be asked; see the operations."));
  return line;
}

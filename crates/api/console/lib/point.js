// A point in a branch's history: its head, an LSN, or a time. In addresses it is written `lsn:0/5` or `time:2026-01-31T23:59:59.000Z`.

import { h, uniqueId } from "./dom.js";
import { localTime, parseLsn, toLocalInput } from "./format.js";
import { choice } from "./ui.js";

export const HEAD = { kind: "head" };

export function parsePoint(text) {
  const [, kind, value] = /^(lsn|time):(.+)$/.exec(text ?? "") ?? [];
  if (kind === "lsn" && parseLsn(value) !== null) return { kind, value };
  if (kind === "time" && !Number.isNaN(Date.parse(value))) return { kind, value };
  return HEAD;
}

export function pointText(point) {
  return point.kind === "head" ? "" : `${point.kind}:${point.value}`;
}

/** "its latest state", "LSN 0/5", "24 Nov, 18:02". */
export function pointWords(point) {
  if (point.kind === "head") return "its latest state";
  return point.kind === "lsn" ? `LSN ${point.value}` : localTime(new Date(point.value));
}

/** The point as fields of a request: `pointFields(point, "parent_")` gives `{ parent_lsn }`, `{ parent_timestamp }` or `{}`. */
export function pointFields(point, prefix) {
  if (point.kind === "head") return {};
  return { [`${prefix}${point.kind === "lsn" ? "lsn" : "timestamp"}`]: point.value };
}

/** Chooses a point: `{ node, value }`, where `value` is null while what is typed is none. */
export function pointChooser(legend, { value = HEAD, head = "Its latest state" } = {}) {
  const group = uniqueId("point");
  const radio = (kind) => h("input", { type: "radio", name: group, value: kind, checked: value.kind === kind });
  const lsn = h("input", {
    type: "text", class: "short code", "aria-label": "LSN", placeholder: "0/16B3748", autocomplete: "off", spellcheck: "false",
    value: value.kind === "lsn" ? value.value : "",
  });
  const shown = value.kind === "time" ? toLocalInput(new Date(value.value)) : "";
  const time = h("input", { type: "datetime-local", class: "short", "aria-label": "Date and time", step: "1", value: shown });
  const radios = { head: radio("head"), lsn: radio("lsn"), time: radio("time") };
  lsn.addEventListener("focus", () => (radios.lsn.checked = true));
  time.addEventListener("focus", () => (radios.time.checked = true));
  const node = h("fieldset", {}, h("legend", {}, legend),
    choice(head, radios.head),
    h("div", { class: "line" }, choice("LSN", radios.lsn), lsn),
    h("div", { class: "line" }, choice("Time", radios.time), time),
    h("p", { class: "hint" }, `Times are those of your zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`));
  const read = () => {
    if (radios.head.checked) return HEAD;
    if (radios.lsn.checked) return parseLsn(lsn.value) === null ? null : { kind: "lsn", value: lsn.value.trim() };
    // What came as an exact instant stays exact until somebody changes it.
    if (value.kind === "time" && time.value === shown) return value;
    return time.value === "" ? null : { kind: "time", value: new Date(time.value).toISOString() };
  };
  return { node, get value() { return read(); } };
}

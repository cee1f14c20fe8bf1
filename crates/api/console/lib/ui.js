// The parts that pages are made of.

import { ApiError } from "./api.js";
import { h, replace, uniqueId } from "./dom.js";
import { icon } from "./icons.js";

/** A button. `kind` is "primary", "danger", "quiet" or nothing; with `hidden` the label is for screen readers and on hover only. */
export function button(label, { kind, symbol, hidden = false, type = "button", ...props } = {}) {
  const shape = ["button", kind, hidden && "bare"].filter(Boolean).join(" ");
  const naming = hidden ? { "aria-label": label, title: label } : {};
  return h("button", { type, class: shape, ...naming, ...props }, symbol && icon(symbol), hidden ? null : h("span", {}, label));
}

/** A link to a page of ours that looks like a button. */
export function linkButton(label, href, { kind, symbol } = {}) {
  return h("a", { class: ["button", kind].filter(Boolean).join(" "), href }, symbol && icon(symbol), h("span", {}, label));
}

/** An input with its label above it, a hint below it, and a button `beside` it. */
export function field(label, input, hint, beside) {
  input.id ||= uniqueId("field");
  const help = hint && (hint instanceof Node ? hint : h("p", { class: "hint" }, hint));
  if (help) {
    help.id ||= uniqueId("hint");
    input.setAttribute("aria-describedby", help.id);
  }
  return h("div", { class: "field" }, h("label", { for: input.id }, label), beside ? h("div", { class: "joined" }, input, beside) : input, help);
}

/** A checkbox or a radio button with its label beside it. */
export function choice(label, input, hint) {
  input.id ||= uniqueId("choice");
  return h("div", { class: "choice" }, input, h("div", {}, h("label", { for: input.id }, label), hint && h("p", { class: "hint" }, hint)));
}

export function badge(text, kind = "", title) {
  return h("span", { class: `badge ${kind}`, title }, text);
}

const GOOD = ["ready", "active", "finished"];
const BUSY = ["init", "scheduling", "running", "resetting", "cancelling"];
const BAD = ["failed", "error"];

/** A state with a dot whose shape and colour say whether it is good, busy, bad or none of these. */
export function state(word, pending) {
  const busy = pending && pending !== word;
  const kind = busy || BUSY.includes(word) ? "busy" : GOOD.includes(word) ? "good" : BAD.includes(word) ? "bad" : "";
  return h("span", { class: `state ${kind}` }, h("span", { class: "dot" }), busy ? `${word} → ${pending}` : word);
}

/** A button that copies `text`, and says that it has. */
export function copyButton(text, label = "Copy", { hidden = false } = {}) {
  return button(label, {
    symbol: "copy", kind: hidden ? "quiet" : undefined, hidden,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text());
        announce("Copied.");
      } catch {
        announce("The browser does not let this page copy; select the text and copy it yourself.");
      }
    },
  });
}

/** An id or an LSN, in the font for such, with a button that copies it. */
export function code(text) {
  return h("span", { class: "copyable" }, h("code", {}, text), copyButton(() => text, `Copy ${text}`, { hidden: true }));
}

/** A page's heading with its actions. The heading takes the focus when the page is opened. */
export function heading(title, { lead, actions = [] } = {}) {
  return h("header", { class: "heading" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), lead && h("p", { class: "lead" }, lead)),
    actions.length > 0 && h("div", { class: "actions" }, actions));
}

/** What stands where nothing is: what this place is for and what to do first. */
export function emptyState(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), actions.length > 0 && h("div", { class: "actions" }, actions));
}

/** What a server without a call answers with: that says nothing to a person. */
const UNKNOWN = ["ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"];

/** What the person is told about a failure. */
export function errorBox(error, { retry } = {}) {
  if (error instanceof ApiError && error.unsupported) {
    return h("div", { class: "notice", role: "status" }, icon("warning"), h("div", {},
      h("strong", {}, "This server doesn't do that yet."), !UNKNOWN.includes(error.code) && h("p", {}, sentence(error.message))));
  }
  if (!(error instanceof ApiError)) console.error(error);
  const text = error instanceof ApiError ? error.message : "This page met a mistake of its own; the browser's console has the details.";
  const id = error.requestId;
  return h("div", { class: "notice bad", role: "alert" }, icon("warning"), h("div", {},
    h("p", {}, sentence(text)), id && h("p", { class: "hint" }, "Request ", h("code", {}, id)),
    retry && button("Try again", { symbol: "refresh", onclick: retry })));
}

/** A message of the server, whose messages begin in lower case, as a sentence. */
export function sentence(text) {
  const first = text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export function notice(...children) {
  return h("div", { class: "notice", role: "note" }, icon("warning"), h("div", {}, children));
}

/** Rows of label and value. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));
}

/**
 * A table: `columns` are `{ label, cell(row), kind?, hidden? }`, where `kind` is a class of the cells and `hidden` a label for screen
 * readers only. On a narrow screen each row becomes a card, so the roles are named.
 */
export function table(caption, columns, rows) {
  const head = columns.map(({ label, kind, hidden }) =>
    h("th", { scope: "col", role: "columnheader", class: kind }, hidden ? h("span", { class: "unseen" }, label) : label));
  return h("div", { class: "table" }, h("table", { role: "table" },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h("tbody", { role: "rowgroup" }, tableRows(columns, rows))));
}

function tableRows(columns, rows) {
  const cells = (row) => columns.map(({ label, cell, kind, hidden }) =>
    h("td", { role: "cell", class: kind, "data-label": hidden ? null : label }, cell(row)));
  return rows.map((row) => h("tr", { role: "row" }, cells(row)));
}

const ROWS_AT_ONCE = 200;
const ROWS_TO_SEARCH = 20;

/** A table of however many rows: it shows some hundred at first, and finds rows by what `text(row)` says of them. */
export function longTable(caption, columns, rows, text) {
  const body = h("div", {});
  const draw = (found, shown) => {
    const rest = found.length - shown;
    const more = rest > 0 && button(`More (${rest.toLocaleString()})`, { onclick: () => draw(found, shown + ROWS_AT_ONCE) });
    replace(body, found.length > 0 ? table(caption, columns, found.slice(0, shown)) : nothingMatches(), more && h("p", { class: "more" }, more));
  };
  draw(rows, ROWS_AT_ONCE);
  if (rows.length < ROWS_TO_SEARCH) return body;
  const search = h("input", {
    type: "search", placeholder: "Search by name", "aria-label": `Search: ${caption}`,
    oninput: () => {
      const wanted = search.value.trim().toLowerCase();
      draw(rows.filter((row) => text(row).toLowerCase().includes(wanted)), ROWS_AT_ONCE);
    },
  });
  return h("div", {}, h("div", { class: "toolbar" }, search), body);
}

/**
 * A table of rows that the server finds, however many there are: `load({ search, cursor })` gives `{ rows, total, next }`, and `first` is what it gave when
 * it was asked for neither. While one search is on its way, only the latest of those that are typed waits for it.
 */
export function foundTable(caption, columns, first, load) {
  const body = h("div", {});
  let waiting = null;
  let searching = false;
  const draw = (search, { rows, total, next }) => {
    const found = table(caption, columns, rows);
    const foot = h("div", { class: "more" });
    let shown = rows.length;
    const offer = (cursor) => foot.replaceChildren(...(cursor ? [button(`More (${(total - shown).toLocaleString()})`, { onclick: () => append(cursor) })] : []));
    const append = async (cursor) => {
      foot.replaceChildren(progress());
      try {
        const page = await load({ search, cursor });
        found.querySelector("tbody").append(...tableRows(columns, page.rows));
        shown += page.rows.length;
        offer(page.next);
      } catch (error) {
        foot.replaceChildren(errorBox(error, { retry: () => append(cursor) }));
      }
    };
    offer(next);
    replace(body, rows.length > 0 ? [found, foot] : nothingMatches());
  };
  const find = async (search) => {
    waiting = search;
    if (searching) return;
    searching = true;
    while (waiting !== null) {
      const wanted = waiting;
      waiting = null;
      try {
        const page = await load({ search: wanted });
        if (waiting === null) draw(wanted, page);
      } catch (error) {
        replace(body, errorBox(error, { retry: () => find(wanted) }));
      }
    }
    searching = false;
  };
  draw("", first);
  if (first.total < ROWS_TO_SEARCH) return body;
  const search = h("input", {
    type: "search", placeholder: "Search by name", "aria-label": `Search: ${caption}`, oninput: () => find(search.value.trim()),
  });
  return h("div", {}, h("div", { class: "toolbar" }, search), body);
}

function nothingMatches() {
  return emptyState("Nothing matches", "Search for a part of a name.");
}

/** Tells everybody, screen readers included, what has just happened. */
export function announce(...children) {
  const toast = h("div", { class: "toast" }, children);
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), 6000);
}

/** A region of a page that shows progress, then what `load` gives, or why it gives nothing. */
export function region(load, props) {
  const element = h("section", { class: "region", ...props });
  const run = async () => {
    const waiting = setTimeout(() => element.replaceChildren(progress()), 200);
    element.setAttribute("aria-busy", "true");
    try {
      const nodes = await load();
      element.replaceChildren(...[nodes].flat(Infinity).filter(Boolean));
    } catch (error) {
      if (error.name !== "AbortError") element.replaceChildren(errorBox(error, { retry: error.unsupported ? undefined : run }));
    } finally {
      clearTimeout(waiting);
      element.removeAttribute("aria-busy");
    }
  };
  run();
  return element;
}

/** Shows that something takes a while. */
export function progress(text = "Loading…") {
  return h("p", { class: "progress", role: "status" }, h("span", { class: "spinner" }), text);
}

/**
 * Calls `refresh` again and again, with a `rest` in between, until the page is left. Both learn from what came before: `refresh` says whether something is
 * on its way, or else `failed` does, which shows the error; `rest` waits the shorter for it.
 */
export async function keepLive({ refresh, failed, rest }) {
  try {
    for (;;) {
      const busy = await refresh().catch((error) => {
        if (error.name === "AbortError") throw error;
        return failed(error);
      });
      await rest(busy);
    }
  } catch {
    // The page was left.
  }
}

/** Waits `ms`, or until `signal` ends everything. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const ended = () => (clearTimeout(timer), reject(new DOMException("left", "AbortError")));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", ended), resolve()), ms);
    signal?.addEventListener("abort", ended, { once: true });
  });
}

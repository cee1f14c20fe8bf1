// Choosing one of many branches: a text field that searches, with a list of what it finds.

import { h, name, replace, uniqueId } from "./dom.js";

const SHOWN_MAX = 50;

/** A field that chooses a branch: `{ node, value }`, where `value` is the branch, and `onpick(branch)` is called when it changes. */
export function branchPicker(label, branches, { value = null, onpick = () => {}, hint } = {}) {
  const picker = { value };
  const listId = uniqueId("list");
  const inputId = uniqueId("field");
  const list = h("ul", { id: listId, role: "listbox", "aria-label": label, hidden: true });
  const input = h("input", {
    id: inputId, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list", value: value?.name ?? "", placeholder: "Search branches",
  });
  let found = [];
  let at = -1;

  const open = (text) => {
    const wanted = text.toLowerCase();
    found = branches.filter((branch) => `${branch.name}\n${branch.id}`.toLowerCase().includes(wanted)).slice(0, SHOWN_MAX);
    at = Math.max(0, found.indexOf(picker.value));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    draw();
  };
  const draw = () => {
    const option = (branch, index) => h("li", {
      id: `${listId}-${index}`, role: "option", "aria-selected": String(index === at),
      onpointerdown: (event) => (event.preventDefault(), pick(branch)),
    }, name(branch.name), branch.name !== branch.id && h("span", { class: "hint" }, branch.id));
    const none = h("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No branch has that in its name or id");
    replace(list, found.length > 0 ? found.map(option) : none);
    if (found.length > 0) input.setAttribute("aria-activedescendant", `${listId}-${at}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    input.value = picker.value?.name ?? "";
  };
  const pick = (branch) => {
    const changed = picker.value !== branch;
    picker.value = branch;
    close();
    if (changed) onpick(branch);
    input.dispatchEvent(new Event("check", { bubbles: true }));
  };
  const keys = {
    ArrowDown: () => (list.hidden ? open("") : ((at = Math.min(at + 1, found.length - 1)), draw())),
    ArrowUp: () => (list.hidden ? open("") : ((at = Math.max(at - 1, 0)), draw())),
    Enter: () => !list.hidden && found[at] && pick(found[at]),
    Escape: () => !list.hidden && (close(), true),
  };
  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => list.hidden && open(""));
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const key = keys[event.key];
    const wasOpen = !list.hidden;
    if (!key) return;
    key();
    // Enter on a closed list sends the form, and Escape closes the dialog.
    if (wasOpen || event.key.startsWith("Arrow")) event.preventDefault();
  });

  picker.node = h("div", { class: "field picker" }, h("label", { for: inputId }, label), input, list, hint && h("p", { class: "hint" }, hint));
  return picker;
}

// Choosing one of many: a text field that searches, with a list of what it finds.

import { h, name, replace, uniqueId } from "./dom.js";
import { rolePage } from "./roles.js";

const SHOWN_MAX = 50;

/** A field that chooses a branch: `{ node, value }`, where `value` is the branch, and `onpick(branch)` is called when it changes. */
export function branchPicker(label, branches, more) {
  const find = (text) => {
    const wanted = text.toLowerCase();
    return branches.filter((branch) => `${branch.name}\n${branch.id}`.toLowerCase().includes(wanted)).slice(0, SHOWN_MAX);
  };
  const words = (branch) => [name(branch.name), branch.name !== branch.id && h("span", { class: "hint" }, branch.id)];
  return picker(label, find, { ...more, words, search: "Search branches", none: "No branch has that in its name or id" });
}

/** A field that chooses a user of a branch who is not the system's. */
export function rolePicker(label, branch, more) {
  const find = async (text) => {
    const { rows } = await rolePage(branch, { search: text, limit: SHOWN_MAX });
    return rows.filter((role) => !role.protected);
  };
  return picker(label, find, { ...more, words: (role) => name(role.name), search: "Search users", none: "No user has that in its name" });
}

/** `find(text)` gives some of what can be chosen, at once or later; each has a `name`, and is shown as `words(it)`. */
function picker(label, find, { value = null, onpick = () => {}, hint, words, search, none }) {
  const picker = { value };
  const listId = uniqueId("list");
  const inputId = uniqueId("field");
  const list = h("ul", { id: listId, role: "listbox", "aria-label": label, hidden: true });
  const input = h("input", {
    id: inputId, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list", value: value?.name ?? "", placeholder: search,
  });
  let found = [];
  let at = -1;
  let asked = 0;

  const open = async (text) => {
    asked += 1;
    const mine = asked;
    const fits = find(text);
    const now = fits instanceof Promise ? await fits.catch(() => []) : fits;
    // Something else was typed meanwhile, or the field was left.
    if (mine !== asked) return;
    found = now;
    at = Math.max(0, found.findIndex(({ name }) => name === picker.value?.name));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    draw();
  };
  const draw = () => {
    const option = (each, index) => h("li", {
      id: `${listId}-${index}`, role: "option", "aria-selected": String(index === at),
      onpointerdown: (event) => (event.preventDefault(), pick(each)),
    }, words(each));
    const nothing = h("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, none);
    replace(list, found.length > 0 ? found.map(option) : nothing);
    if (found.length > 0) input.setAttribute("aria-activedescendant", `${listId}-${at}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    asked += 1;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    input.value = picker.value?.name ?? "";
  };
  const pick = (each) => {
    const changed = picker.value !== each;
    picker.value = each;
    close();
    if (changed) onpick(each);
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

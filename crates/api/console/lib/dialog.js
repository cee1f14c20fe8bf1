// Dialogs: the browser's own, which keep the focus inside and give it back.

import { h, uniqueId } from "./dom.js";
import { button, errorBox } from "./ui.js";

/** Opens a dialog; resolves when it is closed. `body` gets `close`. */
export function openDialog(title, body, { wide = false } = {}) {
  return new Promise((resolve) => {
    const id = uniqueId("dialog");
    const dialog = h("dialog", { "aria-labelledby": id, class: wide ? "wide" : "" });
    const close = () => dialog.close();
    dialog.append(h("header", {}, h("h2", { id }, title), button("Close", { kind: "quiet", symbol: "close", hidden: true, onclick: close })));
    dialog.append(body(close));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  });
}

/**
 * Opens a form; resolves to what `submit` gave, or to undefined when it was cancelled. A refusal stays on show, with all that was typed.
 * `ready`, called after every change, says whether the form can be sent.
 */
export async function openForm(title, { content, action, danger = false, submit, ready = () => true, cancel = "Cancel" }) {
  let result;
  await openDialog(title, (close) => {
    const trouble = h("div", {});
    const send = button(action, { kind: danger ? "danger" : "primary", type: "submit" });
    const check = () => (send.disabled = !ready());
    const form = h("form", {
      novalidate: true,
      oninput: check,
      onchange: check,
      onsubmit: async (event) => {
        event.preventDefault();
        if (send.disabled) return;
        send.disabled = true;
        send.classList.add("waiting");
        trouble.replaceChildren();
        try {
          result = await submit();
          close();
        } catch (error) {
          trouble.replaceChildren(errorBox(error));
          trouble.scrollIntoView({ block: "nearest" });
        }
        send.classList.remove("waiting");
        check();
      },
    }, h("div", { class: "body" }, content, trouble), h("footer", {}, button(cancel, { onclick: close }), action && send));
    check();
    form.addEventListener("check", check);
    return form;
  });
  return result;
}

/** Asks before something that cannot be undone. */
export function confirm(title, { content, action, submit }) {
  return openForm(title, { content, action, danger: true, submit });
}

/** A form in which a name has to be typed before anything is destroyed. */
export function confirmByName(title, { content, action, expected, label, submit }) {
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autofocus: true });
  const id = (input.id = uniqueId("field"));
  const typed = h("div", { class: "field" }, h("label", { for: id }, label), input);
  return openForm(title, { content: [content, typed], action, danger: true, submit, ready: () => input.value === expected });
}

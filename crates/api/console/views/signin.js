// Signing in with an API key.

import { ApiError, api } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { logo } from "../lib/icons.js";
import { session } from "../lib/session.js";
import { button, choice, errorBox, field } from "../lib/ui.js";

export default function signIn() {
  const key = h("input", { type: "password", name: "key", autocomplete: "current-password", spellcheck: "false", class: "code", required: true });
  const reveal = button("Show the key", { kind: "quiet", symbol: "eye", hidden: true, onclick: () => (key.type = key.type === "password" ? "text" : "password") });
  const remember = h("input", { type: "checkbox", name: "remember" });
  const trouble = h("div", {});
  const send = button("Sign in", { kind: "primary", type: "submit" });
  if (session.reason === "expired") trouble.append(h("div", { class: "notice", role: "status" }, h("div", {}, "You were signed out: the server doesn't take your key any more.")));
  const input = field("API key", key, "“offshoot serve” shows the first one when it starts on a new data directory.", reveal);
  const form = h("form", {
    novalidate: true,
    onsubmit: async (event) => {
      event.preventDefault();
      const typed = key.value.trim();
      if (typed === "") return key.focus();
      if (!/^[\x21-\x7e]+$/.test(typed)) return trouble.replaceChildren(errorBox(new ApiError({ status: 0, code: "", message: "This can't be a key: keys are of printable ASCII characters, without spaces." })));
      send.disabled = true;
      trouble.replaceChildren();
      try {
        await api.get("/projects?limit=1", { key: typed });
        session.begin(typed, remember.checked);
      } catch (error) {
        trouble.replaceChildren(errorBox(error));
        key.focus();
      } finally {
        send.disabled = false;
      }
    },
  }, input, choice("Remember me", remember, "Keeps the key in this browser until you sign out. Otherwise it is gone with this tab."), trouble, send);
  const node = h("div", { class: "card" }, logo(), h("h1", {}, "Sign in to Offshoot"), form);
  return { title: "Sign in", node, focus: () => key.focus() };
}

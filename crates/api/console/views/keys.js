// The API keys of the account.

import { api, path } from "../lib/api.js";
import { confirm, openDialog, openForm } from "../lib/dialog.js";
import { h, name } from "../lib/dom.js";
import { time } from "../lib/format.js";
import { announce, button, copyButton, emptyState, field, heading, region, table } from "../lib/ui.js";
import { forgetApiKeyNames } from "./changes.js";

export default async function keys() {
  const body = h("div", {});
  const reload = () => (forgetApiKeyNames(), body.replaceChildren(region(() => keyTable(reload))));
  reload();
  const node = h("div", { class: "page" },
    heading("API keys", {
      lead: "Whoever has a key can do everything in this account. Give each person and each program its own.",
      actions: [button("New API key", { kind: "primary", symbol: "plus", onclick: () => create(reload) })],
    }), body);
  return { title: "API keys", node };
}

async function keyTable(reload) {
  const keys = await api.get("/api_keys");
  if (keys.length === 0) return emptyState("No API keys", "Create one for each program that uses the API.");
  return table("API keys", [
    { label: "Name", cell: (key) => h("span", { class: "strong" }, name(key.name)) },
    { label: "Id", cell: (key) => h("code", {}, String(key.id)) },
    { label: "Created", cell: (key) => time(key.created_at), kind: "when" },
    { label: "Last used", cell: (key) => (key.last_used_at ? time(key.last_used_at) : h("span", { class: "muted" }, "not known")), kind: "when" },
    { label: "Actions", hidden: true, kind: "does", cell: (key) => button("Revoke", { "aria-label": `Revoke ${key.name}`, onclick: () => revoke(key, reload) }) },
  ], keys);
}

async function create(reload) {
  const input = h("input", { type: "text", maxlength: "64", autocomplete: "off", autofocus: true });
  const created = await openForm("New API key", {
    content: field("Name", input, "Who or what it is for."), action: "Create", ready: () => input.value.trim() !== "",
    submit: () => api.post("/api_keys", { key_name: input.value.trim() }),
  });
  if (!created) return;
  reload();
  const shown = h("input", { type: "text", class: "code", readonly: true, value: created.key, spellcheck: "false", onfocus: () => shown.select() });
  const row = field("API key", shown, "Keep it now: once this is closed, nobody can show it again.", copyButton(() => created.key, "Copy the key", { hidden: true }));
  await openDialog("API key created", (close) => h("div", {},
    h("div", { class: "body" }, h("p", {}, "The key ", name(created.name), " can be used from now on."), row),
    h("footer", {}, button("Done", { kind: "primary", onclick: close }))));
}

async function revoke(key, reload) {
  const revoked = await confirm("Revoke API key", {
    content: h("p", {}, "Revoke ", h("strong", {}, name(key.name)), "? Whatever uses it is refused from then on; this page too, if you signed in with it."),
    action: "Revoke",
    submit: () => api.delete(path`/api_keys/${key.id}`),
  });
  if (!revoked) return;
  announce("The key ", name(key.name), " was revoked.");
  reload();
}

// All about one branch: what it is, its users, its history, and how it differs from others.

import { api, query as queryOf } from "../lib/api.js";
import { h, name } from "../lib/dom.js";
import { count, list, parseLsn, time } from "../lib/format.js";
import { parsePoint, pointChooser, pointFields, pointText, pointWords } from "../lib/point.js";
import { branchPicker } from "../lib/picker.js";
import { branchPath } from "../lib/project.js";
import { rolePage } from "../lib/roles.js";
import { go } from "../lib/router.js";
import { badge, button, code, emptyState, errorBox, facts, foundTable, linkButton, longTable, region, state as stateOf } from "../lib/ui.js";
import { deleteBranch, newBranch, protectBranch, renameBranch, restoreBranch, setDefaultBranch } from "./branch-dialogs.js";
import { actionWords, apiKeyNames, changeKind, whoWords } from "./changes.js";

const VERSIONS = 50;
const NAMED_MAX = 20;
const TABS = [["overview", "Overview", overview], ["users", "Users", users], ["history", "History", history], ["compare", "Compare", compare]];

/** `context` is `{ state, branch, query, point, address(query), reload, signal }`. */
export function inspector(context) {
  const { branch, query, point, address } = context;
  if (!branch) return emptyState("There is no such branch", "It may have been deleted. Select another one in the picture.");
  const [tab, , content] = TABS.find(([id]) => id === query.tab) ?? TABS[0];
  const kept = pointText(point);
  const link = ([id, label]) => h("a", {
    href: address({ tab: id === "overview" ? undefined : id, point: kept }), "data-key": `tab ${id}`, "aria-current": id === tab ? "page" : null,
  }, label);
  return h("div", {},
    h("header", {}, h("h2", {}, name(branch.name)), branch.default && badge("default", "accent"), branch.protected && badge("protected")),
    point.kind !== "head" && picked(context),
    h("nav", { class: "tabs", "aria-label": "About this branch" }, TABS.map(link)),
    content(context));
}

/** What can be done with the point that was picked. */
function picked({ state, branch, point, address, query, reload }) {
  return h("div", { class: "pickedcard" },
    h("p", {}, h("span", { class: "hint" }, "Picked point"), h("strong", { title: point.value }, pointWords(point))),
    h("div", { class: "actions" },
      button("New branch here", { kind: "primary", symbol: "branch", onclick: () => newBranch(state, { parent: branch, point }, reload) }),
      button("Restore to here", { symbol: "restore", onclick: () => restoreBranch(state, branch, { source: branch, point }, reload) }),
      linkButton("Compare with now", address({ tab: "compare", point: pointText(point), base: branch.id, at: pointText(point) }), { symbol: "compare" }),
      button("Forget the picked point", { kind: "quiet", symbol: "close", hidden: true, onclick: () => go(address({ tab: query.tab }), { replaces: true }) })));
}

function overview(context) {
  const { state, branch, address, reload } = context;
  const parent = state.byId.get(branch.parent_id);
  const children = state.children.get(branch.id) ?? [];
  return h("div", {},
    facts([
      ["State", stateOf(branch.current_state, branch.pending_state)],
      ["Id", code(branch.id)],
      branch.parent_id && ["Parent", parent ? h("a", { href: address({}).replace(encodeURIComponent(branch.id), encodeURIComponent(parent.id)) }, name(parent.name)) : h("code", {}, branch.parent_id)],
      branch.parent_lsn && ["Began at", [h("code", {}, branch.parent_lsn), branch.parent_timestamp && [" · ", time(branch.parent_timestamp)]]],
      ["Created", time(branch.created_at)],
      branch.expires_at && ["Expires", time(branch.expires_at)],
      branch.last_reset_at && ["Restored", time(branch.last_reset_at)],
      ["Children", children.length.toLocaleString()],
    ]),
    branch.parent_id && [h("h3", {}, "Changed here since then"), region(() => changedHere(context))],
    h("h3", {}, "Actions"),
    h("div", { class: "actions stacked" },
      button("New branch from here", { symbol: "branch", onclick: () => newBranch(state, { parent: branch }, reload) }),
      button("Restore", { symbol: "restore", onclick: () => restoreBranch(state, branch, {}, reload) }),
      button("Rename", { symbol: "edit", onclick: () => renameBranch(branch, reload) }),
      button(branch.protected ? "Unprotect" : "Protect", { symbol: "lock", onclick: () => protectBranch(branch, reload) }),
      !branch.default && button("Make default", { symbol: "check", onclick: () => setDefaultBranch(branch, reload) }),
      button("Delete", { symbol: "trash", kind: "danger quiet", onclick: () => deleteBranch(state, branch, reload) })));
}

/** What differs between a branch and what it began with. */
function sinceFork(branch) {
  return api.get(`${branchPath(branch)}/diff${queryOf({ base_branch_id: branch.parent_id, base_lsn: branch.parent_lsn })}`);
}

async function changedHere({ branch, address, point }) {
  const diff = await sinceFork(branch);
  const lines = [["user", diff.roles], ["database", diff.databases]].flatMap(([noun, part]) => [
    part.added.length > 0 && ["added", `${count(part.added.length, noun)} added`],
    part.changed.length > 0 && ["changed", `${count(part.changed.length, noun)} changed`],
    part.removed.length > 0 && ["removed", `${count(part.removed.length, noun)} removed`],
  ]).filter(Boolean);
  if (lines.length === 0) return h("p", { class: "muted" }, "Nothing: its users and databases are those it began with.");
  return [
    h("ul", { class: "changes" }, lines.map(([kind, text]) => h("li", {}, h("span", { class: `mark ${kind}` }), text))),
    h("p", {}, h("a", { href: address({ tab: "users", point: pointText(point) }) }, "Which users")),
  ];
}

function users(context) {
  return region(() => userList(context));
}

/** The branch's users, those of its own told apart from those that it has from its parent. */
async function userList({ state, branch }) {
  const [first, since] = await Promise.all([
    rolePage(branch),
    branch.parent_id ? sinceFork(branch).catch((error) => ({ error })) : null,
  ]);
  const parent = state.byId.get(branch.parent_id);
  const added = new Set(since?.roles?.added);
  const changed = new Map(since?.roles?.changed.map((change) => [change.name, change]));
  const origin = (role) => {
    if (!branch.parent_id || added.has(role.name)) return badge("own", "accent", "Created on this branch");
    if (since.error) return h("span", { class: "muted", title: "The server can't compare branches" }, "–");
    const change = changed.get(role.name);
    if (change) return badge(`changed: ${change.what.join(", ").replaceAll("_", " ")}`, "warm", "It came from the parent and was changed on this branch");
    return badge("inherited", "", parent ? `As it was on ${parent.name} at ${branch.parent_lsn}` : undefined);
  };
  const removed = since?.roles?.removed ?? [];
  return [
    since?.error && errorBox(since.error),
    foundTable(`Users of ${branch.name}`, [
      { label: "Name", cell: (role) => [name(role.name), role.protected && badge("protected")] },
      { label: "Origin", cell: (role) => h("span", { title: `Changed ${role.updated_at}` }, origin(role)) },
    ], first, (part) => rolePage(branch, part)),
    removed.length > 0 && h("p", {}, h("span", { class: "mark removed" }), "Removed here: ", named(removed)),
    h("p", {}, h("a", { href: `/projects/${encodeURIComponent(branch.project_id)}/settings/users?branch=${encodeURIComponent(branch.id)}` }, "Manage the users of this branch")),
  ];
}

/** Names in a row, of many the first. */
function named(names) {
  const rest = names.length - NAMED_MAX;
  return [names.slice(0, NAMED_MAX).map((each, index) => [index > 0 && ", ", name(each)]), rest > 0 && ` and ${rest.toLocaleString()} more`];
}

function history(context) {
  const { branch, signal } = context;
  const page = (cursor) => api.get(`${branchPath(branch)}/history${queryOf({ limit: VERSIONS, order: "desc", cursor })}`, { signal });
  return region(async () => {
    const [first, keys] = await Promise.all([page(), apiKeyNames()]);
    if (first.versions.length === 0) return emptyState("No changes are kept", "What is older than the project's retention is forgotten.");
    const entries = h("ol", { class: "history" });
    const more = h("div", {});
    const add = ({ versions, pagination }) => {
      entries.append(...versions.map((version) => entry(context, version, keys)));
      more.replaceChildren();
      if (!pagination?.next) return;
      more.append(button("Earlier", {
        onclick: async (event) => {
          event.currentTarget.disabled = true;
          add(await page(pagination.next).catch((error) => (entries.append(h("li", {}, errorBox(error))), { versions: [] })));
        },
      }));
    };
    add(first);
    return [entries, more];
  });
}

function entry({ state, branch, reload }, version, keys) {
  const inherited = branch.parent_lsn && parseLsn(version.lsn) <= parseLsn(branch.parent_lsn);
  const point = { kind: "lsn", value: version.lsn };
  return h("li", { class: inherited ? "inherited" : "" },
    h("span", { class: `mark ${changeKind(version.action)}` }),
    h("div", {},
      h("p", {}, actionWords(version), inherited && [" ", badge("inherited", "", "It happened before this branch began")]),
      h("p", { class: "hint" }, time(version.committed_at), " · ", whoWords(version, keys), " · ", h("code", { title: version.request_id && `Request ${version.request_id}` }, version.lsn))),
    h("div", { class: "rowactions" },
      button(`New branch at ${version.lsn}`, { kind: "quiet", symbol: "branch", hidden: true, onclick: () => newBranch(state, { parent: branch, point }, reload) }),
      button(`Restore to ${version.lsn}`, { kind: "quiet", symbol: "restore", hidden: true, onclick: () => restoreBranch(state, branch, { source: branch, point }, reload) })));
}

function compare({ state, branch, query, address, point }) {
  const base = state.byId.get(query.base) ?? state.byId.get(branch.parent_id) ?? state.default;
  const picker = branchPicker("Compare with", state.branches, { value: base });
  const before = pointChooser("As of", { value: parsePoint(query.at), head: "Its latest state" });
  const after = pointChooser("This branch as of", { value: parsePoint(query.to) });
  const form = h("form", {
    class: "compare", novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      if (!before.value || !after.value) return;
      go(address({ tab: "compare", base: picker.value.id, at: pointText(before.value), to: pointText(after.value), point: pointText(point) }));
    },
  }, picker.node, h("details", { open: Boolean(query.at || query.to) }, h("summary", {}, "At other points than the latest"), before.node, after.node),
  button("Compare", { kind: "primary", symbol: "compare", type: "submit" }));
  return h("div", {}, form, query.base && region(() => comparison(branch, base, parsePoint(query.at), parsePoint(query.to))));
}

async function comparison(branch, base, from, to) {
  const diff = await api.get(`${branchPath(branch)}/diff${queryOf({ base_branch_id: base.id, ...pointFields(from, "base_"), ...pointFields(to, "") })}`);
  const rows = [["user", diff.roles], ["database", diff.databases]].flatMap(([noun, part]) => [
    ...part.added.map((name) => ({ noun, name, kind: "added" })),
    ...part.changed.map((change) => ({ noun, name: change.name, kind: "changed", what: change.what })),
    ...part.removed.map((name) => ({ noun, name, kind: "removed" })),
  ]);
  const title = h("h3", {}, "From ", name(base.name), ` ${diff.base.lsn} to `, name(branch.name), ` ${diff.target.lsn}`);
  if (rows.length === 0) return [title, h("p", { class: "muted" }, "No difference: the users and databases are the same.")];
  return [title, longTable("Differences", [
    { label: "Name", cell: (row) => name(row.name) },
    { label: "Kind", cell: (row) => row.noun },
    { label: "Change", cell: (row) => [h("span", { class: `mark ${row.kind}` }), row.kind, row.what && ` (${list(row.what.map((word) => word.replaceAll("_", " ")))})`] },
  ], rows, (row) => row.name)];
}

// Where branches go in the picture: pure, so that it can be tried without a browser.

import { parseLsn } from "../lib/format.js";

/**
 * The rows of the tree, from top to bottom: `{ branch, depth, parent (row or -1), last (row of the last child or -1), children, open, size, position }`.
 *
 * Children stand below their parent, the latest fork first. So the line that leads to an earlier fork passes to the left of where the
 * lines above begin, and lines never cross.
 */
export function rowsOf({ branches, children }, { closed = new Set(), search = "" } = {}) {
  const wanted = search.trim().toLowerCase();
  const kept = wanted ? matching(branches, wanted) : null;
  const known = new Set(branches.map((branch) => branch.id));
  const roots = branches.filter((branch) => !known.has(branch.parent_id)).sort(byDefault);
  const rows = [];
  const pending = siblings(roots, kept, 0, -1).reverse();
  while (pending.length > 0) {
    const row = pending.pop();
    const below = siblings((children.get(row.branch.id) ?? []).toSorted(latestForkFirst), kept, row.depth + 1, rows.length);
    row.children = below.length;
    // A search opens what it finds.
    row.open = below.length > 0 && (kept !== null || !closed.has(row.branch.id));
    if (row.parent >= 0) rows[row.parent].last = rows.length;
    rows.push(row);
    if (row.open) pending.push(...below.reverse());
  }
  return rows;
}

function siblings(branches, kept, depth, parent) {
  const shown = kept ? branches.filter((branch) => kept.has(branch.id)) : branches;
  return shown.map((branch, index) => ({ branch, depth, parent, last: -1, size: shown.length, position: index + 1, found: kept?.get(branch.id) ?? true }));
}

/** Branches that match, each with true, and their ancestors, with false. */
function matching(branches, wanted) {
  const byId = new Map(branches.map((branch) => [branch.id, branch]));
  const kept = new Map();
  for (const branch of branches) {
    if (!`${branch.name}\n${branch.id}`.toLowerCase().includes(wanted)) continue;
    kept.set(branch.id, true);
    for (let above = byId.get(branch.parent_id); above && !kept.has(above.id); above = byId.get(above.parent_id)) kept.set(above.id, false);
  }
  return kept;
}

function byDefault(a, b) {
  return Number(b.default) - Number(a.default) || a.created_at.localeCompare(b.created_at);
}

function latestForkFirst(a, b) {
  return (parseLsn(b.parent_lsn) ?? 0) - (parseLsn(a.parent_lsn) ?? 0) || b.created_at.localeCompare(a.created_at);
}

const beginnings = { time: new WeakMap(), lsn: new WeakMap() };

/** Where a branch begins on an axis: in milliseconds, or as an LSN. */
export function beginning(branch, axis) {
  const known = beginnings[axis].get(branch);
  if (known !== undefined) return known;
  const begins = axis === "lsn" ? (parseLsn(branch.parent_lsn) ?? 1) : Date.parse(branch.parent_timestamp ?? branch.created_at);
  beginnings[axis].set(branch, begins);
  return begins;
}

/** The ids of a branch and of those it comes from. */
export function lineage(byId, branch) {
  const ids = [];
  for (let at = branch; at && !ids.includes(at.id); at = byId.get(at.parent_id)) ids.push(at.id);
  return ids;
}

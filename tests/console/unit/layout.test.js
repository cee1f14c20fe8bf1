// Where branches go in the picture, without a browser.

import { test } from "node:test";
import assert from "node:assert/strict";
import { beginning, lineage, rowsOf } from "../../../crates/api/console/picture/layout.js";
import { Scale } from "../../../crates/api/console/picture/scale.js";
import { formatLsn, parseLsn } from "../../../crates/api/console/lib/format.js";

const branch = (id, parent_id, lsn) => ({
  id, name: id, parent_id, default: parent_id === undefined, created_at: `2026-01-01T00:00:${String(lsn).padStart(2, "0")}Z`,
  parent_lsn: parent_id && formatLsn(lsn), parent_timestamp: parent_id && `2026-01-01T00:00:${String(lsn).padStart(2, "0")}Z`,
});

function state(branches) {
  const children = new Map(branches.map((parent) => [parent.id, branches.filter((branch) => branch.parent_id === parent.id)]));
  return { branches, children, byId: new Map(branches.map((branch) => [branch.id, branch])) };
}

/** A tree that a sequence of numbers makes: each branch has one of those before it as its parent. */
function randomTree(seed, size) {
  let at = seed;
  const next = (limit) => ((at = (at * 1103515245 + 12345) % 2 ** 31), Math.floor((at / 2 ** 31) * limit));
  const branches = [branch("b0", undefined, 0)];
  while (branches.length < size) {
    const parent = branches[next(branches.length)];
    const least = parent.parent_lsn ? parseLsn(parent.parent_lsn) : 1;
    branches.push(branch(`b${branches.length}`, parent.id, least + next(12)));
  }
  return state(branches);
}

test("every branch has one row, below its parent and above the parent's next child", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const tree = randomTree(seed, 40);
    const rows = rowsOf(tree);
    assert.equal(new Set(rows.map((row) => row.branch.id)).size, 40);
    rows.forEach((row, index) => {
      if (row.parent < 0) return;
      assert.equal(rows[row.parent].branch.id, row.branch.parent_id);
      assert.ok(row.parent < index && index <= rows[row.parent].last);
      assert.equal(row.depth, rows[row.parent].depth + 1);
    });
  }
});

test("no stem crosses the line of a branch", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const rows = rowsOf(randomTree(seed, 40));
    rows.forEach((row, index) => {
      const x = beginning(row.branch, "lsn");
      for (let between = row.parent + 1; row.parent >= 0 && between < index; between += 1) {
        assert.ok(beginning(rows[between].branch, "lsn") >= x, `seed ${seed}: ${rows[between].branch.id} lies across the stem of ${row.branch.id}`);
      }
    });
  }
});

test("what is below a closed branch has no rows, and a search opens it", () => {
  const tree = state([branch("main", undefined, 0), branch("dev", "main", 3), branch("deep", "dev", 5), branch("other", "main", 7)]);
  const ids = (options) => rowsOf(tree, options).map((row) => row.branch.id);
  assert.deepEqual(ids(), ["main", "other", "dev", "deep"]);
  assert.deepEqual(ids({ closed: new Set(["dev"]) }), ["main", "other", "dev"]);
  assert.deepEqual(ids({ closed: new Set(["dev"]), search: "DEEP" }), ["main", "dev", "deep"]);
  assert.deepEqual(rowsOf(tree, { search: "deep" }).map((row) => row.found), [false, false, true]);
  assert.deepEqual(ids({ search: "nothing" }), []);
});

test("a branch whose parent is not known is a root", () => {
  const tree = state([branch("main", undefined, 0), branch("orphan", "gone", 3)]);
  assert.deepEqual(rowsOf(tree).map((row) => [row.branch.id, row.depth]), [["main", 0], ["orphan", 0]]);
  assert.deepEqual(lineage(tree.byId, tree.byId.get("orphan")), ["orphan"]);
});

test("a scale gives back what it was given, and zooming keeps what is under the pointer", () => {
  const scale = new Scale("lsn", 0, 1000, 500);
  assert.equal(scale.value(scale.x(400)), 400);
  const near = scale.zoomed(0.25, scale.x(400));
  assert.equal(Math.round(near.x(400)), Math.round(scale.x(400)));
  assert.ok(near.to - near.from < 300);
});

test("the marks of an axis are few, in it, and in order", () => {
  for (const axis of ["time", "lsn"]) {
    for (let span = 1; span < 1e12; span *= 7) {
      const marks = new Scale(axis, 1_700_000_000_000, 1_700_000_000_000 + span, 700).marks();
      assert.ok(marks.length <= 9, `${axis} ${span}: ${marks.length}`);
      assert.ok(marks.every(({ x }, index) => x >= 0 && x <= 700.5 && (index === 0 || x > marks[index - 1].x)), `${axis} ${span}`);
    }
  }
});

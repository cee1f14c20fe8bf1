// The picture of a project's branches. Only the rows in view are drawn, and of each row only what differs on the screen, so that it costs
// the same with five branches and with five thousand.

import { h, name, s } from "../lib/dom.js";
import { formatLsn, localTime } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { actionWords, changeKind } from "../views/changes.js";
import { beginning, lineage, rowsOf } from "./layout.js";
import { Scale } from "./scale.js";

const ROW = 34;
const SPARE_ROWS = 4;
const BEND = 9;
const SNAP = 7;
const MARGIN = 14;
/** How much of the whole is left free after the last change. */
const SPARE_END = 0.08;

export class Picture {
  #state;
  #histories;
  #onselect;
  #onpick;
  #rows = [];
  #closed = new Set();
  #search = "";
  #axis = "time";
  #scale = null;
  #zoomed = false;
  #selected = null;
  #point = null;
  #drawing = 0;
  /** Whether the selected branch has yet to be brought into view. */
  #hidden = false;
  #labels = h("div", { class: "labels" });
  #svg = s("svg", { class: "lines", "aria-hidden": "true" });
  #spacer = h("div", { class: "spacer" });
  #window = h("div", { class: "window" }, this.#labels, this.#svg);
  #axisSvg = s("svg", { class: "axis", "aria-hidden": "true" });
  #cursor = s("line", { class: "cursor", visibility: "hidden" });
  #tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
  #scroller = h("div", {
    class: "scroller", role: "tree", tabindex: "0", "aria-label": "Branches",
    onscroll: () => this.draw(), onkeydown: (event) => this.#key(event), onwheel: (event) => this.#wheel(event),
  }, this.#spacer, this.#window);
  node = h("div", { class: "picture" }, h("div", { class: "axisrow" }, h("div", {}), this.#axisSvg), this.#scroller, this.#tip);

  /** `onselect(branch)` is called when a branch is chosen, `onpick(branch, point)` when a point of one is. */
  constructor(state, histories, { onselect, onpick }) {
    this.#state = state;
    this.#histories = histories;
    this.#onselect = onselect;
    this.#onpick = onpick;
    this.#svg.addEventListener("pointermove", (event) => this.#hover(event));
    this.#svg.addEventListener("pointerleave", () => this.#hover(null));
    this.#svg.addEventListener("click", (event) => this.#click(event));
    this.#labels.addEventListener("click", (event) => this.#clickLabel(event));
    new ResizeObserver(() => this.draw()).observe(this.#scroller);
    this.#arrange();
  }

  /** Shows other data in the same place. */
  show(state) {
    this.#state = state;
    this.#arrange();
  }

  select(branch, point) {
    const moved = branch?.id !== this.#selected?.id;
    this.#selected = branch ?? null;
    this.#point = point?.kind === "head" ? null : (point ?? null);
    this.#hidden ||= moved;
    this.draw();
  }

  search(text) {
    this.#search = text;
    this.#scroller.scrollTop = 0;
    this.#arrange();
    return this.#rows.filter((row) => row.found).length;
  }

  set axis(axis) {
    this.#axis = axis;
    this.#zoomed = false;
    this.draw();
  }

  zoom(factor) {
    this.#zoomed = factor !== null;
    if (this.#zoomed) this.#scale = this.#scale.zoomed(factor);
    this.draw();
  }

  #arrange() {
    this.#rows = rowsOf(this.#state, { closed: this.#closed, search: this.#search });
    this.#spacer.style.height = `${this.#rows.length * ROW}px`;
    this.#scroller.style.setProperty("--rows", String(this.#rows.length + 1));
    this.draw();
  }

  /** Draws with the next frame, once however often it is called before. */
  draw() {
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#drawNow();
    });
  }

  #drawNow() {
    const height = this.#scroller.clientHeight;
    const width = this.#svg.clientWidth - 2 * MARGIN;
    if (height === 0 || width <= 0) return;
    if (this.#hidden) this.#reveal(height);
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / ROW) - SPARE_ROWS);
    const last = Math.min(this.#rows.length, Math.ceil((this.#scroller.scrollTop + height) / ROW) + SPARE_ROWS);
    if (!this.#zoomed) this.#scale = this.#whole(width);
    else if (this.#scale.width !== width) this.#scale = new Scale(this.#axis, this.#scale.from, this.#scale.to, width);
    this.#window.style.transform = `translateY(${first * ROW}px)`;
    this.#svg.setAttribute("height", String(Math.max((last - first) * ROW, height - first * ROW)));
    const seen = this.#rows.slice(first, last);
    const above = this.#inherited();
    this.#drawLabels(seen.map((row, index) => this.#label(row, first + index, above)));
    this.#svg.replaceChildren(...this.#lines(first, last, above), this.#cursor);
    this.#drawAxis();
    const selected = this.#rows.findIndex((row) => row.branch.id === this.#selected?.id);
    if (selected >= first && selected < last) this.#scroller.setAttribute("aria-activedescendant", rowId(this.#selected));
    else this.#scroller.removeAttribute("aria-activedescendant");
    if (this.#search === "" || seen.length < 200) this.#histories.want(seen.map((row) => row.branch));
  }

  /** Puts labels in place, but keeps those that are the same: a click on one must not be lost because something was drawn meanwhile. */
  #drawLabels(labels) {
    const shown = new Map([...this.#labels.children].map((label) => [label.id, label]));
    const kept = labels.map((label) => (shown.get(label.id)?.isEqualNode(label) ? shown.get(label.id) : label));
    const same = kept.length === shown.size && kept.every((label, index) => label === this.#labels.children[index]);
    if (!same) this.#labels.replaceChildren(...kept);
  }

  /** The branches that the selected one comes from, each with where on it the one below began: up to there, its history is inherited. */
  #inherited() {
    const ids = this.#selected ? lineage(this.#state.byId, this.#selected) : [];
    return new Map(ids.slice(1).map((id, index) => [id, beginning(this.#state.byId.get(ids[index]), this.#axis)]));
  }

  /** The scale that shows everything. */
  #whole(width) {
    let [from, to] = [Infinity, -Infinity];
    for (const branch of this.#state.branches) {
      from = Math.min(from, beginning(branch, this.#axis));
      to = Math.max(to, this.#lastChange(branch));
    }
    return new Scale(this.#axis, from, to + Math.max((to - from) * SPARE_END, this.#axis === "lsn" ? 1 : 1000), width);
  }

  #lastChange(branch) {
    const last = this.#histories.of(branch)?.at(-1);
    if (this.#axis === "lsn") return last?.position ?? beginning(branch, "lsn");
    return Math.max(Date.parse(branch.created_at), Date.parse(branch.updated_at), last?.at ?? 0);
  }

  /** Where a branch ends: in the present, or at its last LSN. */
  #end(branch) {
    return this.#axis === "time" ? Date.now() : this.#lastChange(branch);
  }

  #x(value) {
    return MARGIN + this.#scale.x(value);
  }

  #at(version) {
    return this.#x(this.#axis === "lsn" ? version.position : version.at);
  }

  #label(row, index, above) {
    const { branch } = row;
    const selected = branch.id === this.#selected?.id;
    const kind = ["row", selected && "selected", above.has(branch.id) && "above", !row.found && "faint"].filter(Boolean).join(" ");
    const fold = row.children > 0 && h("span", { class: `fold ${row.open ? "open" : ""}`, "data-fold": branch.id }, icon("chevron"));
    const element = h("div", {
      id: rowId(branch), class: kind, role: "treeitem", "data-row": String(index), "aria-level": String(row.depth + 1),
      "aria-setsize": String(row.size), "aria-posinset": String(row.position), "aria-selected": String(selected),
      "aria-expanded": row.children > 0 ? String(row.open) : null,
    }, fold || h("span", { class: "fold" }), name(branch.name, { title: branch.name }),
    branch.default && h("span", { class: "badge accent" }, "default"),
    branch.protected && h("span", { class: "tiny", title: "protected" }, icon("lock"), h("span", { class: "unseen" }, "protected")),
    row.children > 0 && !row.open && h("span", { class: "badge" }, `+${this.#hiddenBelow(branch)}`));
    element.style.paddingInlineStart = `${6 + Math.min(row.depth, 8) * 14}px`;
    return element;
  }

  #hiddenBelow(branch) {
    let below = 0;
    const pending = [branch.id];
    while (pending.length > 0) {
      const children = this.#state.children.get(pending.pop()) ?? [];
      below += children.length;
      pending.push(...children.map((child) => child.id));
    }
    return below.toLocaleString();
  }

  #lines(first, last, above) {
    const middle = (row) => (row - first + 0.5) * ROW;
    const right = this.#scale.width + 2 * MARGIN;
    const paths = { before: [], plain: [], above: [], selected: [] };
    const kindOf = (branch) => (branch.id === this.#selected?.id ? "selected" : above.has(branch.id) ? "above" : "plain");
    const marks = { added: [], removed: [], changed: [] };
    const dots = new Map();
    // The stems of branches whose parent is above and whose row is in view or below: one for each pixel.
    const stems = { before: new Map(), plain: new Map(), above: new Map(), selected: new Map() };

    for (let index = 0; index < this.#rows.length; index += 1) {
      const row = this.#rows[index];
      const { branch } = row;
      const x = this.#x(beginning(branch, this.#axis));
      const kind = kindOf(branch);
      if (row.parent >= 0 && index >= first && row.parent < last && x > -BEND && x < right) {
        const stem = stems[kind];
        const pixel = Math.round(x);
        const [from, to] = [Math.max(middle(row.parent), -ROW), Math.min(middle(index) - BEND, (last - first + 1) * ROW)];
        const known = stem.get(pixel);
        stem.set(pixel, known ? [Math.min(known[0], from), Math.max(known[1], to)] : [from, to]);
        if (row.parent >= first) dots.set(`${pixel}/${row.parent}`, { x: pixel, y: middle(row.parent), kind: kind === "plain" ? "plain" : "selected" });
      }
      if (index < first || index >= last) continue;
      const y = middle(index);
      const end = this.#axis === "time" ? Math.min(this.#x(Date.now()), right) : Math.max(this.#x(this.#end(branch)), x + (row.parent >= 0 ? BEND : 0) + 8);
      const bend = row.parent >= 0 ? `M${x} ${y - BEND}Q${x} ${y} ${x + BEND} ${y}` : `M${x} ${y}`;
      // Of a branch that began with the past, what lies between that point and its creation is drawn faintly.
      const born = this.#axis === "time" && row.parent >= 0 ? Math.min(this.#x(Date.parse(branch.created_at)), right) : x;
      const begins = born > x + 2 * BEND ? `M${born} ${y}` : bend;
      if (begins !== bend) paths.before.push(`${bend}H${born}`);
      paths[kind === "above" ? "plain" : kind].push(`${begins}H${Math.max(end, x + BEND)}`);
      if (kind === "above") paths.above.push(`${bend}H${this.#x(above.get(branch.id))}`);
      this.#mark(marks, this.#histories.of(branch) ?? [], y);
    }
    const stemPath = (kind) => [...stems[kind]].map(([x, [from, to]]) => `M${x} ${from}V${to}`);
    const band = this.#rows.findIndex((row) => row.branch.id === this.#selected?.id);
    return [
      band >= first && band < last && s("rect", { class: "band", x: 0, y: (band - first) * ROW, width: right, height: ROW }),
      ...this.#scale.marks().map((mark) => s("line", { class: "grid", x1: MARGIN + mark.x, x2: MARGIN + mark.x, y1: 0, y2: "100%" })),
      ...["before", "plain", "above", "selected"].map((kind) => s("path", { class: `branch ${kind}`, d: [...stemPath(kind), ...paths[kind]].join("") })),
      ...[...dots.values()].slice(0, 400).map((dot) => s("circle", { class: `fork ${dot.kind}`, cx: dot.x, cy: dot.y, r: 3.5 })),
      ...Object.entries(marks).map(([kind, d]) => s("path", { class: `marks ${kind}`, d: d.join("") })),
      this.#pickedMark(first, middle),
    ].filter(Boolean);
  }

  /** The changes of one row: a triangle up for what was added, down for what was removed, a dot for what changed. */
  #mark(marks, versions, y) {
    const seen = new Set();
    for (const version of versions) {
      const x = Math.round(this.#at(version));
      const kind = changeKind(version.action);
      if (x < 0 || x > this.#scale.width + 2 * MARGIN || seen.has(`${kind}${x >> 3}`)) continue;
      seen.add(`${kind}${x >> 3}`);
      marks[kind].push(kind === "added" ? `M${x - 4} ${y + 3}l4 -7 4 7z` : kind === "removed" ? `M${x - 4} ${y - 3}l4 7 4 -7z` : `M${x - 3.5} ${y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z`);
    }
  }

  #pickedMark(first, middle) {
    const row = this.#rows.findIndex(({ branch }) => branch.id === this.#selected?.id);
    const value = this.#point && this.#valueOf(this.#point);
    if (row < 0 || value === null || value === undefined) return null;
    const x = this.#x(value);
    return s("g", { class: "picked" }, s("line", { x1: x, x2: x, y1: middle(row) - ROW / 2, y2: middle(row) + ROW / 2 }), s("circle", { cx: x, cy: middle(row), r: 5.5 }));
  }

  /** Where a point stands on the axis that is shown, where that can be told. */
  #valueOf(point) {
    const versions = this.#histories.of(this.#selected) ?? [];
    if (point.kind === "time") return this.#axis === "time" ? Date.parse(point.value) : versions.findLast((version) => version.at <= Date.parse(point.value))?.position;
    const lsn = versions.find((version) => version.lsn === point.value);
    if (this.#axis === "time") return lsn?.at;
    const [high, low] = point.value.split("/");
    return parseInt(high, 16) * 2 ** 32 + parseInt(low, 16);
  }

  #drawAxis() {
    const marks = this.#scale.marks();
    const anchor = (x) => (x < 24 ? "start" : x > this.#scale.width - 24 ? "end" : "middle");
    this.#axisSvg.replaceChildren(...marks.map((mark) => s("text", { x: MARGIN + mark.x, y: 15, "text-anchor": anchor(mark.x) }, mark.text)));
  }

  /** What is under the pointer: a version where one is near, else the bare time or LSN. */
  #under(event) {
    const box = this.#svg.getBoundingClientRect();
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / ROW) - SPARE_ROWS);
    const below = Math.floor((event.clientY - box.top) / ROW);
    const row = this.#rows[first + below];
    if (!row || !this.#scale) return null;
    const top = below * ROW;
    const x = event.clientX - box.left;
    const { branch } = row;
    const begins = beginning(branch, this.#axis);
    const versions = this.#histories.of(branch) ?? [];
    const near = versions.reduce((best, version) => (Math.abs(this.#at(version) - x) < Math.abs((best ? this.#at(best) : Infinity) - x) ? version : best), null);
    if (near && Math.abs(this.#at(near) - x) <= SNAP) return { branch, version: near, point: { kind: "lsn", value: near.lsn }, top, x: this.#at(near) };
    const value = this.#scale.value(x - MARGIN);
    const ends = this.#end(branch);
    if (value < begins || value > ends) return { branch, point: null };
    const point = this.#axis === "lsn" ? { kind: "lsn", value: formatLsn(value) } : { kind: "time", value: new Date(value).toISOString() };
    return { branch, point, top, x };
  }

  #hover(event) {
    const under = event && this.#under(event);
    this.#tip.hidden = !under?.point;
    this.#cursor.setAttribute("visibility", under?.point ? "visible" : "hidden");
    if (!under?.point) return;
    const { branch, version, point, top, x } = under;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: top, y2: top + ROW })) this.#cursor.setAttribute(name, String(value));
    const where = version ? `${localTime(new Date(version.committed_at))} · ${version.lsn}` : point.kind === "lsn" ? `LSN ${point.value}` : localTime(new Date(point.value));
    this.#tip.replaceChildren(h("strong", {}, name(branch.name)), h("span", {}, where), ...(version ? [h("span", {}, ...actionWords(version).flat().filter(Boolean))] : []));
    const box = this.node.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.#tip.offsetWidth - 8);
    this.#tip.style.transform = `translate(${Math.max(8, left)}px, ${event.clientY - box.top + 18}px)`;
  }

  #click(event) {
    const under = this.#under(event);
    if (!under) return;
    if (under.point) this.#onpick(under.branch, under.point);
    else this.#onselect(under.branch);
  }

  #clickLabel(event) {
    const fold = event.target.closest("[data-fold]");
    const row = this.#rows[Number(event.target.closest("[data-row]")?.dataset.row)];
    if (!row) return;
    if (fold) this.#fold(row, row.open);
    else this.#onselect(row.branch);
  }

  #fold(row, closes) {
    if (closes) this.#closed.add(row.branch.id);
    else this.#closed.delete(row.branch.id);
    this.#arrange();
  }

  #key(event) {
    const at = this.#rows.findIndex((row) => row.branch.id === this.#selected?.id);
    const row = this.#rows[at];
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / ROW) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.#rows.length - 1, PageDown: at + page, PageUp: at - page }[event.key];
    if (to !== undefined) {
      const next = this.#rows[Math.min(Math.max(to, 0), this.#rows.length - 1)];
      if (next && next !== row) this.#onselect(next.branch);
    } else if (event.key === "ArrowRight" && row) {
      if (row.children > 0 && !row.open) this.#fold(row, false);
      else if (row.open) this.#onselect(this.#rows[at + 1].branch);
    } else if (event.key === "ArrowLeft" && row) {
      if (row.open) this.#fold(row, true);
      else if (row.parent >= 0) this.#onselect(this.#rows[row.parent].branch);
    } else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else return;
    event.preventDefault();
  }

  #wheel(event) {
    if (!this.#scale || (!event.ctrlKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY))) return;
    event.preventDefault();
    const x = event.clientX - this.#svg.getBoundingClientRect().left - MARGIN;
    this.#zoomed = true;
    this.#scale = event.ctrlKey ? this.#scale.zoomed(1.0015 ** event.deltaY, x) : this.#scale.moved(event.deltaX);
    this.draw();
  }

  /** Opens what hides the selected branch, and scrolls it into view. */
  #reveal(height) {
    this.#hidden = false;
    const above = this.#selected ? lineage(this.#state.byId, this.#selected).slice(1) : [];
    if (above.some((id) => this.#closed.has(id))) {
      for (const id of above) this.#closed.delete(id);
      this.#arrange();
    }
    const row = this.#rows.findIndex(({ branch }) => branch.id === this.#selected?.id);
    if (row < 0) return;
    const top = row * ROW;
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    else if (top + 2 * ROW > this.#scroller.scrollTop + height) this.#scroller.scrollTop = top + 2 * ROW - height;
  }
}

function rowId(branch) {
  return `row-${branch.id}`;
}


// From times and LSNs to pixels and back, and the marks on the axis.

import { formatLsn } from "../lib/format.js";

const MARK_PIXELS = 84;
const ZOOM_MIN = { time: 1000, lsn: 4 };

/** A linear scale over `[from, to]` for `width` pixels, of which some are left free at both ends. */
export class Scale {
  constructor(axis, from, to, width) {
    const floor = ZOOM_MIN[axis];
    this.axis = axis;
    this.from = from;
    this.to = Math.max(to, from + floor);
    this.width = width;
  }

  x(value) {
    return ((value - this.from) / (this.to - this.from)) * this.width;
  }

  value(x) {
    const value = this.from + (x / this.width) * (this.to - this.from);
    return Math.round(value);
  }

  /** The scale that shows `factor` times as much, with what is at `x` in its place. */
  zoomed(factor, x = this.width / 2) {
    const fixed = this.from + (x / this.width) * (this.to - this.from);
    const span = Math.max((this.to - this.from) * factor, ZOOM_MIN[this.axis]);
    const from = fixed - (x / this.width) * span;
    return new Scale(this.axis, from, from + span, this.width);
  }

  /** The scale moved by `pixels`. */
  moved(pixels) {
    const by = (pixels / this.width) * (this.to - this.from);
    return new Scale(this.axis, this.from + by, this.to + by, this.width);
  }

  /** The marks of the axis: `[{ x, text }]`. */
  marks() {
    const most = Math.max(2, Math.floor(this.width / MARK_PIXELS));
    return this.axis === "lsn" ? this.#lsnMarks(most) : this.#timeMarks(most);
  }

  #lsnMarks(most) {
    let step = 1;
    while ((this.to - this.from) / step > most) step *= 2;
    const marks = [];
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) {
      if (at >= 0) marks.push({ x: this.x(at), text: formatLsn(at) });
    }
    return marks;
  }

  #timeMarks(most) {
    const span = this.to - this.from;
    const step = STEPS.find((step) => span / step <= most) ?? STEPS.at(-1) * Math.ceil(span / STEPS.at(-1) / most);
    // Marks fall on round times of the reader's zone.
    const offset = new Date(this.from).getTimezoneOffset() * MINUTE;
    const format = step >= DAY ? dayFormat : step >= MINUTE ? minuteFormat : secondFormat;
    const marks = [];
    let lastDay = "";
    for (let at = Math.ceil((this.from - offset) / step) * step + offset; at <= this.to; at += step) {
      const date = new Date(at);
      const day = date.toDateString();
      const text = step < DAY && span > DAY && day !== lastDay ? dayAndMinuteFormat.format(date) : format.format(date);
      lastDay = day;
      marks.push({ x: this.x(at), text });
    }
    return marks;
  }
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
  HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];
const secondFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayAndMinuteFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

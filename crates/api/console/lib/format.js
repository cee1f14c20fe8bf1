// How times, durations and LSNs read.

import { h } from "./dom.js";

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const year = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** A date in the reader's zone: the clock today, the day this year, the year before that. */
export function localTime(date) {
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return clock.format(date);
  return (date.getFullYear() === now.getFullYear() ? day : year).format(date);
}

/** A `<time>` in the reader's zone, with the exact instant on hover. */
export function time(instant) {
  if (!instant) return "–";
  const date = new Date(instant);
  return h("time", { datetime: instant, title: `${instant}\n${full.format(date)}` }, localTime(date));
}

/** A span of milliseconds as people say it: "340 ms", "12 s", "3 min", "5 h", "2 days". */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const steps = [["s", 1000, 60], ["min", 60_000, 60], ["h", 3_600_000, 48], ["days", 86_400_000, Infinity]];
  const [unit, size] = steps.find(([, size, limit]) => ms / size < limit);
  const amount = ms / size;
  return `${amount < 10 && unit === "s" ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
}

/** `0/16B3748` as a number, or null where the text is not an LSN. */
export function parseLsn(text) {
  const match = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text?.trim() ?? "");
  return match ? parseInt(match[1], 16) * 2 ** 32 + parseInt(match[2], 16) : null;
}

/** A number as an LSN. */
export function formatLsn(number) {
  const low = number % 2 ** 32;
  return `${((number - low) / 2 ** 32).toString(16)}/${low.toString(16)}`.toUpperCase();
}

/** The value of a `datetime-local` input for an instant, to the second, in the reader's zone. */
export function toLocalInput(date) {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

/** "1 user", "3 users". */
export function count(number, noun, plural = `${noun}s`) {
  return `${number.toLocaleString()} ${number === 1 ? noun : plural}`;
}

/** "a, b and c". */
export function list(words) {
  return new Intl.ListFormat("en-GB").format(words);
}

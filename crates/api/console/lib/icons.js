// The icons: strokes on a grid of 16.

import { s } from "./dom.js";

const PATHS = {
  branch: "M4.5 13.5V4M4.5 9.5c0-2.5 2-3.5 4-3.5h1M11.5 7.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3",
  check: "M3 8.5 6.5 12 13 4.5",
  chevron: "M6 4l4 4-4 4",
  close: "M4 4l8 8M12 4l-8 8",
  compare: "M5 2.5v11M2.5 5 5 2.5 7.5 5M11 13.5v-11M8.5 11l2.5 2.5 2.5-2.5",
  compute: "M3 3.5h10v4H3zM3 8.5h10v4H3zM5.5 5.5h.01M5.5 10.5h.01",
  copy: "M5.5 5.5h7v7h-7zM3.5 10.5v-7h7",
  database: "M3 4c0-.8 2.2-1.5 5-1.5S13 3.2 13 4v8c0 .8-2.2 1.5-5 1.5S3 12.8 3 12zM3 4c0 .8 2.2 1.5 5 1.5S13 4.8 13 4M3 8c0 .8 2.2 1.5 5 1.5S13 8.8 13 8",
  document: "M4 2.5h5.5L12 5v8.5H4zM9.5 2.5V5H12M6 8h4M6 10.5h4",
  download: "M8 2.5v7.5M4.5 7 8 10.5 11.5 7M3 13.5h10",
  edit: "M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3z",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6",
  history: "M2.5 8a5.5 5.5 0 1 0 1.8-4.1L2.5 5.5M2.5 2.5v3h3M8 5v3.2l2.2 1.3",
  key: "M6 10.5a3 3 0 1 1 2.7-4.2H14v2.2h-1.5v1.7H10V8.7H8.7A3 3 0 0 1 6 10.5M5.5 7.5h.01",
  lock: "M4 7.5h8v6H4zM5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2",
  minus: "M3.5 8h9",
  operation: "M2 8h2.5l2-5 3 10 2-5H14",
  play: "M5 3.5v9l7-4.5z",
  plus: "M8 3.5v9M3.5 8h9",
  refresh: "M13 3v3.5H9.5M13 6.5A5.3 5.3 0 1 0 13.2 9.5",
  restore: "M3 8a5 5 0 1 1 1.6 3.7M3 11.5V8h3.5",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M10.3 10.3l3.2 3.2",
  settings: "M2.5 4.5h7M12.5 4.5h1M2.5 11.5h1M6.5 11.5h7M11 6a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M5 13a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3",
  stop: "M4.5 4.5h7v7h-7z",
  theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4",
  user: "M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M3 13.5c.5-2.5 2.5-3.5 5-3.5s4.5 1 5 3.5",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3.2M8 11.7h.01",
};

/** An icon; what it means must stand beside it, or in its button's label. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

/** The mark of Offshoot. */
export function logo() {
  return s("svg", { class: "logo", viewBox: "0 0 24 24", "aria-hidden": "true" },
    s("path", { d: "M7 21V6M7 15c0-4 3.2-5.5 6-5.5h1.5" }),
    s("circle", { cx: 7, cy: 4.5, r: 2.2, class: "solid" }),
    s("circle", { cx: 17, cy: 9.5, r: 2.8 }));
}

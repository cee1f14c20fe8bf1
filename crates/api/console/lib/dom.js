// Elements from data. Every string becomes a text node: nothing here or elsewhere parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** Builds an HTML element: `h("p", { class: "note", onclick }, "text", child, null)`. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Builds an SVG element. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "value" || name === "checked") element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts `children` in place of what is in `element`, and keeps the focus on what has the same `data-key`. */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...nodes(children));
  if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  return element;
}

let ids = 0;

/** An id that no other element has. */
export function uniqueId(stem) {
  ids += 1;
  return `${stem}-${ids}`;
}

// Control characters, direction marks and blanks without width. The joiner and the variation selectors stay: emoji are made of them.
const INVISIBLE = /([\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff])/;

/**
 * A name that somebody chose. It cannot reorder what stands beside it, and its invisible characters are shown by their numbers,
 * so that two names that differ look different.
 */
export function name(text, props) {
  const parts = text.split(INVISIBLE).map((part, index) => {
    if (index % 2 === 0) return part;
    const code = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return h("span", { class: "invisible", "data-code": code, title: `the invisible character U+${code}` }, part);
  });
  return h("bdi", { class: "name", ...props }, parts);
}

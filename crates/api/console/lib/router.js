// Addresses and pages. A page is a module with `default async (context) => { title, node, update?, leave? }`.

let routes = [];
let show = () => {};

/** Installs the pages: `[["/projects/:project", load], …]`, and what is called with each match. */
export function start(table, shown) {
  routes = table.map(([pattern, page]) => {
    const names = [];
    const source = pattern.replace(/:(\w+)/g, (_, name) => (names.push(name), "([^/]+)"));
    return { expression: new RegExp(`^${source}/?$`), names, page };
  });
  show = shown;
  addEventListener("popstate", () => show({ moved: "history" }));
  document.addEventListener("click", followed);
}

/** What the address says: `{ page, params, query }`; `page` is undefined where there is none. */
export function current({ pathname, search } = location) {
  const query = Object.fromEntries(new URLSearchParams(search));
  for (const { expression, names, page } of routes) {
    const match = expression.exec(pathname);
    const params = match && decoded(match.slice(1));
    if (params) return { page, query, params: Object.fromEntries(names.map((name, index) => [name, params[index]])) };
  }
  return { page: undefined, params: {}, query };
}

/** The parts of a path, or null where they are not percent-encoded UTF-8. */
function decoded(parts) {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return null;
  }
}

/** Goes to an address of ours. */
export function go(url, { replaces = false } = {}) {
  if (url === location.pathname + location.search) return show({ moved: "again" });
  history[replaces ? "replaceState" : "pushState"](null, "", url);
  return show({ moved: replaces ? "replaced" : "forward" });
}

function followed(event) {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.hasAttribute("download") || link.target) return;
  const url = new URL(link.href);
  // What is no page of ours, such as the API's document, the browser opens itself.
  if (url.origin !== location.origin || !current(url).page) return;
  event.preventDefault();
  go(url.pathname + url.search);
}

// The switch between the system's theme, light and dark.

import { button } from "./ui.js";

const NEXT = { system: "light", light: "dark", dark: "system" };

export function themeButton() {
  const root = document.documentElement;
  const theme = () => root.dataset.theme ?? "system";
  const label = () => `Theme: ${theme()}. Switch to ${NEXT[theme()]}`;
  const element = button(label(), {
    kind: "quiet", symbol: "theme", hidden: true,
    onclick: () => {
      const next = NEXT[theme()];
      if (next === "system") delete root.dataset.theme;
      else root.dataset.theme = next;
      try {
        if (next === "system") localStorage.removeItem("offshoot.theme");
        else localStorage.setItem("offshoot.theme", next);
      } catch {
        // It lasts until the page is left.
      }
      element.title = label();
      element.setAttribute("aria-label", label());
    },
  });
  return element;
}

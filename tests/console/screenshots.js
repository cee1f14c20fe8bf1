// Takes the pictures of `docs/console`: `cargo xtask screenshots`.

import { mkdir } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { openPage, startBrowser } from "./lib/browser.js";
import { webshop } from "./lib/furnish.js";
import { startServer } from "./lib/server.js";

const directory = new URL("../../docs/console/", import.meta.url).pathname;
const server = await startServer();
const browser = await startBrowser();
try {
  await mkdir(directory, { recursive: true });
  const project = await webshop(server.api);
  for (const theme of ["light", "dark"]) {
    for (const [name, path, act] of pictures(project)) await take(`${name}-${theme}`, path, act, { dark: theme === "dark" });
  }
  await take("phone-light", `${project.path}/branches/${project.dev}`, byLsn, { phone: true });
  await take("phone-dark", `${project.path}/settings/users`, undefined, { phone: true, dark: true });
} finally {
  await browser.close();
  await server.stop();
}

function pictures(project) {
  return [
    ["branches", `${project.path}/branches/${project.dev}?tab=users`, byLsn],
    ["history", `${project.path}/branches/${project.main}?tab=history`],
    ["compare", `${project.path}/branches/${project.dev}?tab=compare&base=${project.staging}`, byLsn],
    ["users", `${project.path}/settings/users`],
    ["password", `${project.path}/settings/users`, reset],
    ["computes", `${project.path}/computes`],
    ["operations", `${project.path}/operations`],
  ];
}

function byLsn(page) {
  return page.getByRole("radio", { name: "LSN" }).check({ force: true });
}

async function reset(page) {
  await page.getByRole("button", { name: "Reset password of app" }).click();
  await page.getByRole("button", { name: "Sure, reset" }).click();
  await page.getByText("Applied: the password works now.").waitFor();
}

async function take(name, path, act = async () => {}, options) {
  const { page, close } = await openPage(browser, server, { ...options, path });
  await page.waitForLoadState("networkidle");
  await act(page);
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const file = `${directory}${name}.png`;
  await page.screenshot({ path: file, animations: "disabled" });
  execFileSync("pngquant", ["--force", "--strip", "--speed", "1", "--output", file, "--", file]);
  console.log(file);
  await close();
}

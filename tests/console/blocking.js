// How long the page blocks with five thousand branches, and with a hundred thousand users: `cargo xtask blocking`. Fails when anything blocks for longer than 200 ms.

import { openPage, startBrowser } from "./lib/browser.js";
import { manyBranches, manyUsers } from "./lib/furnish.js";
import { startServer } from "./lib/server.js";

const BRANCHES = 5000;
const USERS = 100_000;
const BLOCKED_MAX_MS = 200;
const ROUNDS = 5;

const server = await startServer({ args: ["--store", "memory"] });
const browser = await startBrowser();
try {
  const [branches, users] = [await manyBranches(server.api, BRANCHES), await manyUsers(server.api, USERS)];
  const longest = new Map();
  const told = (step, ms) => longest.set(step, [...(longest.get(step) ?? []), ms]);
  for (let round = 0; round < ROUNDS; round += 1) {
    await measure(told, (step, page, settled) => withBranches(branches, step, page, settled));
    await measure(told, (step, page) => withUsers(users, step, page));
  }
  console.log(`longest time that the page blocked, of each of ${ROUNDS} rounds (tasks of less than 50 ms are not told by the browser):`);
  for (const [step, times] of longest) console.log(`  ${step.padEnd(28)} ${times.map((ms) => `${ms} ms`.padStart(7)).join(" ")}`);
  const worst = Math.max(...[...longest.values()].flat());
  console.log(worst <= BLOCKED_MAX_MS ? `met: at most ${worst} ms of ${BLOCKED_MAX_MS}` : `MISSED: ${worst} ms, and ${BLOCKED_MAX_MS} are allowed`);
  process.exitCode = worst <= BLOCKED_MAX_MS ? 0 : 1;
} finally {
  await browser.close();
  await server.stop();
}

async function measure(told, work) {
  const { page, close } = await openPage(browser, server, { path: "/projects" });
  await page.addInitScript(() => {
    window.blocked = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (window.blocked = Math.max(window.blocked, duration)))).observe({ type: "longtask", buffered: true });
  });
  const settled = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60))));
  const step = async (name, act) => {
    await page.evaluate(() => (window.blocked = 0));
    await act();
    await settled();
    told(name, Math.round(await page.evaluate(() => window.blocked)));
  };
  await work(step, page, settled);
  await close();
}

async function withBranches(project, step, page, settled) {
  const tree = page.getByRole("tree", { name: "Branches" });
  await step("opening the picture", async () => {
    await page.goto(`${project.path}/branches`);
    await page.getByText("5,000 branches").waitFor();
  });
  await step("scrolling through it", async () => {
    for (let share = 0; share <= 1; share += 0.05) {
      await tree.evaluate((element, share) => (element.scrollTop = share * element.scrollHeight), share);
      await settled();
    }
  });
  await step("zooming", async () => {
    for (const name of ["Zoom in", "Zoom in", "Zoom out", "Fit"]) await page.getByRole("button", { name, exact: true }).click();
  });
  await step("changing the axis", () => page.getByRole("radio", { name: "LSN" }).check({ force: true }));
  await step("searching", () => page.getByLabel("Search branches").pressSequentially("branch-4900"));
  await step("selecting a branch", () => page.getByRole("treeitem", { name: "branch-4900" }).click());
  await step("choosing a parent", async () => {
    await page.getByRole("button", { name: "New branch", exact: true }).click();
    await page.getByRole("combobox", { name: "Parent" }).pressSequentially("branch-12");
    await page.keyboard.press("Escape");
  });
}

async function withUsers(project, step, page) {
  await step("opening the users", async () => {
    await page.goto(`${project.path}/settings/users`);
    await page.getByText("100,000 users").waitFor();
  });
  const search = page.getByLabel("Search: Users of main");
  await step("searching a user", async () => {
    await search.pressSequentially("user-98765");
    await page.getByRole("row", { name: /user-98765/ }).waitFor();
  });
  await step("showing more users", async () => {
    await search.fill("");
    await page.getByRole("button", { name: "More (99,800)" }).click();
    await page.getByRole("button", { name: "More (99,600)" }).waitFor();
  });
  await step("choosing an owner", async () => {
    await page.goto(`${project.path}/databases`);
    await page.getByRole("button", { name: "New database" }).click();
    await page.getByRole("combobox", { name: "Owner" }).fill("user-12345");
    await page.getByRole("option", { name: "user-12345" }).waitFor();
  });
}

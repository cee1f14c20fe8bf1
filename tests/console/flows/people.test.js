// What holds on every page: themes, narrow screens, addresses, the keyboard.

import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";
import { assertAccessible } from "../lib/browser.js";

const shared = suite();

async function furnished(name) {
  const project = await shared.project(name);
  await project.role("sally");
  const dev = await project.branch("dev");
  await project.branch("preview", { parent_id: dev.id });
  return project;
}

const PAGES = ["/branches", "/databases", "/computes", "/operations", "/settings/users", "/settings"];

for (const look of [{ dark: true }, { phone: true }, { phone: true, dark: true }]) {
  const words = Object.keys(look).join(" and ");
  test(`axe finds nothing on any page, and nothing sticks out: ${words}`, async () => {
    const project = await furnished(words);
    const { page, close } = await shared.open(look);
    for (const path of ["/projects", "/keys", ...PAGES.map((page) => project.path + page)]) {
      await page.goto(path, { waitUntil: "networkidle" });
      await assertAccessible(page, `${path} (${words})`);
      const [inside, all] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
      assert.ok(all <= inside, `${path} is ${all} wide on ${inside}`);
    }
    await close();
  });
}

test("the switch of the theme is kept, and ends at the system's again", async () => {
  const { page, close } = await shared.open({ dark: true });
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await ground();
  await page.getByRole("button", { name: /^Theme: system/ }).click();
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await ground(), light);
  await page.getByRole("button", { name: /^Theme: light/ }).click();
  await page.getByRole("button", { name: /^Theme: dark/ }).click();
  await page.getByRole("button", { name: /^Theme: system/ }).waitFor();
  assert.equal(await ground(), dark);
  await close();
});

test("each page has an address and a title of its own, and the way back works", async () => {
  const project = await furnished("ways");
  const { page, close } = await shared.open({ path: `${project.path}/branches` });
  const titles = new Set();
  const go = async (name) => {
    await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
    await page.waitForFunction((name) => document.title.includes(name), name);
    titles.add(await page.title());
    return page.url();
  };
  const urls = [];
  for (const name of ["Databases", "Computes", "Operations", "Users", "General", "Branches"]) urls.push(await go(name));
  assert.equal(new Set(urls).size, urls.length);
  assert.equal(titles.size, urls.length);
  await page.goBack();
  await page.getByRole("heading", { name: "General", level: 1 }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Users", level: 1 }).waitFor();
  await page.goForward();
  await page.getByRole("heading", { name: "General", level: 1 }).waitFor();
  await close();
});

test("the branch that is looked at stays the same from page to page", async () => {
  const project = await furnished("stays");
  const { page, close } = await shared.open({ path: `${project.path}/branches` });
  await page.getByRole("treeitem", { name: "dev" }).click();
  await page.getByRole("complementary").getByRole("heading", { name: "dev" }).waitFor();
  const sections = page.getByRole("navigation", { name: "Project" });
  for (const name of ["Users", "Databases"]) {
    await sections.getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
    assert.equal(await page.getByRole("combobox", { name: "Branch" }).inputValue(), "dev");
  }
  await close();
});

test("an address that is none says so", async () => {
  const { page, close } = await shared.open({ path: "/projects/a/b/c/d" });
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await page.goto("/projects/not-a-project-12345678/branches");
  await page.getByRole("alert").getByText("not found").waitFor();
  await close();
});

test("a page is worked with the keyboard alone, and the focus comes back from a dialog", async () => {
  const project = await furnished("keyboard");
  const { page, close } = await shared.open({ path: `${project.path}/settings/users` });
  await page.getByRole("row", { name: /sally/ }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  const open = page.getByRole("button", { name: "New User" });
  await page.keyboard.press("Tab");
  assert.ok(await open.evaluate((button) => button === document.activeElement));
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "New User" });
  assert.ok(await dialog.getByLabel("Name", { exact: true }).evaluate((input) => input === document.activeElement));
  await page.keyboard.type("typed");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.ok(await open.evaluate((button) => button === document.activeElement));
  await close();
});

test("times are the reader's, with the exact instant on hover", async () => {
  const project = await furnished("times");
  const { role } = await project.role("timed");
  const { page, close } = await shared.open({ path: `${project.path}/settings/users` });
  const time = page.getByRole("row", { name: /timed/ }).locator("time").first();
  assert.equal(await time.getAttribute("datetime"), role.created_at);
  assert.ok((await time.getAttribute("title")).includes(role.created_at));
  const berlin = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  assert.equal(await time.textContent(), berlin.format(new Date(role.created_at)));
  await close();
});

test("the way back closes a dialog, and nothing is done", async () => {
  const project = await furnished("dialog");
  const { page, close } = await shared.open({ path: `${project.path}/databases` });
  await page.getByRole("navigation", { name: "Project" }).getByRole("link", { name: "Users" }).click();
  await page.getByRole("button", { name: "Delete sally" }).click();
  await page.getByRole("dialog", { name: "Delete user" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Databases", level: 1 }).waitFor();
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.ok((await project.roleNames()).includes("sally"));
  await close();
});

import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";

const shared = suite();

const NAMES = [
  `<img src=x onerror="document.title='struck'">`,
  `"><script>document.title='struck'</script>`,
  "abc\u202Edcba",
  "\u200Fsally\u2066",
  "🌱".repeat(15) + "abc",
  "a/b?c#d%2F&e",
  "' OR 1=1 --",
];

test("whatever names are made of, they are shown as text", async () => {
  const project = await shared.project(NAMES[0]);
  for (const name of NAMES) await project.role(name);
  for (const name of NAMES) await project.branch(name);
  for (const name of NAMES) await shared.api.post(`${project.at(project.main)}/databases`, { database: { name, owner_name: NAMES[0] } });
  const { page, close } = await shared.open({ path: `${project.path}/settings/users` });
  const shown = () => page.locator(".name").allTextContents();
  const seeAll = async (path) => {
    await page.goto(path);
    await page.locator(".name", { hasText: "onerror" }).first().waitFor();
    await page.locator(".name", { hasText: "OR 1=1" }).first().waitFor();
    const texts = await shown();
    for (const name of NAMES) assert.ok(texts.includes(name), `${JSON.stringify(name)} on ${path}: ${JSON.stringify(texts)}`);
    assert.doesNotMatch(await page.title(), /^struck/);
    assert.equal(await page.locator("img").count(), 0);
  };
  for (const path of ["/settings/users", "/databases", "/branches"]) await seeAll(project.path + path);
  await page.goto("/projects");
  await page.getByRole("link", { name: NAMES[0] }).waitFor();
  await close();
});

test("a mark that turns the direction of text stays inside its name, and is made visible", async () => {
  const project = await shared.project("marks");
  await project.role("abc\u202Edcba");
  const { page, close } = await shared.open({ path: `${project.path}/settings/users` });
  const mark = page.getByTitle("the invisible character U+202E");
  await mark.waitFor();
  assert.equal(await mark.evaluate((element) => getComputedStyle(element, "::after").content), '"U+202E"');
  await close();
});

test("a user with such a name is reset and deleted like any other", async () => {
  const project = await shared.project("hostile");
  for (const name of NAMES) await project.role(name);
  const { page, close } = await shared.open({ path: `${project.path}/settings/users` });
  for (const name of NAMES) {
    await page.getByRole("button", { name: `Delete ${name}`, exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Delete user" });
    assert.equal(await dialog.locator(".name").first().textContent(), name);
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: `Delete ${name}`, exact: true }).waitFor({ state: "detached" });
  }
  assert.deepEqual(await project.roleNames(), ["casey", "web_access"]);
  await close();
});

import { test } from "node:test";
import assert from "node:assert/strict";
import { suite, eventually } from "../lib/suite.js";
import { assertAccessible, assertForgotten } from "../lib/browser.js";

const shared = suite();

test("a newcomer is told what to do first, and makes a project whose password is shown once", async () => {
  const { page, close } = await shared.open();
  await page.getByRole("heading", { name: "Make your first project" }).waitFor();
  await assertAccessible(page, "the empty list of projects");
  await page.getByRole("button", { name: "New project" }).first().click();
  await page.getByLabel("Project name").fill("webshop");
  await assertAccessible(page, "the dialog for a new project");
  await page.getByRole("button", { name: "Create project" }).click();
  const dialog = page.getByRole("dialog", { name: "Your project is ready" });
  const password = await dialog.getByLabel("Password", { exact: true }).inputValue();
  assert.match(password, /^\w{16,}$/);
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: "Branches", level: 1 }).waitFor();
  await assertForgotten(page, password);
  const { projects } = await shared.api.get("/projects?search=webshop");
  assert.deepEqual(projects.map((project) => project.name), ["webshop"]);
  assert.ok(page.url().includes(projects[0].id));
  await close();
});

test("a project is found by a part of its name, and the address says what was searched", async () => {
  await shared.project("billing-one");
  await shared.project("search-index");
  const { page, close } = await shared.open();
  await page.getByLabel("Search projects").fill("billing");
  await page.getByRole("link", { name: "search-index" }).waitFor({ state: "detached" });
  await page.getByRole("link", { name: "billing-one" }).waitFor();
  await page.waitForURL(/search=billing/);
  await page.reload();
  assert.equal(await page.getByLabel("Search projects").inputValue(), "billing");
  await page.getByLabel("Search projects").fill("nothing-like-it");
  await page.getByText("No project matches").waitFor();
  await close();
});

test("a project is renamed and its retention changed", async () => {
  const project = await shared.project("before");
  const { page, close } = await shared.open({ path: `${project.path}/settings` });
  await page.getByLabel("Name", { exact: true }).fill("after");
  await page.getByRole("button", { name: "Save" }).first().click();
  await page.getByText("Saved.").waitFor();
  assert.equal((await shared.api.get(project.path)).project.name, "after");
  await assertAccessible(page, "the project's settings");
  await close();
});

test("a project is deleted only after its name was typed", async () => {
  const project = await shared.project("doomed");
  const { page, close } = await shared.open({ path: `${project.path}/settings` });
  await page.getByRole("button", { name: "Delete project" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete project" });
  const confirm = dialog.getByRole("button", { name: "Delete project" });
  await dialog.getByLabel("Type the project's name").fill("doome");
  assert.ok(await confirm.isDisabled());
  await dialog.getByLabel("Type the project's name").fill("doomed");
  await confirm.click();
  await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
  await eventually(() => shared.api.get(project.path).then(() => false, (error) => error.status === 404), "the project is gone");
  await close();
});

test("a deleted project is below the list of projects, and can be had again", async () => {
  const project = await shared.project("undone");
  await shared.api.delete(project.path);
  const { page, close } = await shared.open();
  await page.getByRole("heading", { name: "Deleted projects" }).waitFor();
  await assertAccessible(page, "the list of projects with deleted ones");
  await page.getByRole("button", { name: "Recover undone" }).click();
  await page.getByRole("heading", { name: "Branches", level: 1 }).waitFor();
  assert.equal((await shared.api.get(project.path)).project.name, "undone");
  await close();
});

test("a branch is deleted with word that it can be recovered, and recovered in the project's settings", async () => {
  const project = await shared.project("branch-undone");
  const { branch } = await shared.api.post(`${project.path}/branches`, { branch: { name: "dev" } });
  const { page, close } = await shared.open({ path: `${project.path}/branches/${branch.id}` });
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Delete branch" });
  await dialog.getByText("For 7 days it can be recovered").waitFor();
  await dialog.getByRole("button", { name: "Delete branch" }).click();
  await page.getByText("was deleted").first().waitFor();
  await page.goto(new URL(`${project.path}/settings`, page.url()).href);
  await page.getByRole("heading", { name: "Deleted branches" }).waitFor();
  await assertAccessible(page, "the project's settings with deleted branches");
  await page.getByRole("button", { name: "Recover dev" }).click();
  await page.waitForURL(new RegExp(branch.id));
  assert.equal((await shared.api.get(`${project.path}/branches/${branch.id}`)).branch.name, "dev");
  await close();
});

// What was, who did it, and how to get it back.

import { test } from "node:test";
import assert from "node:assert/strict";
import { eventually, suite } from "../lib/suite.js";
import { assertAccessible } from "../lib/browser.js";

const shared = suite();

/** main with `early` and `kept`; `dev` of it with `own` in place of `early`, and another password for `kept`. */
async function grown(name) {
  const project = await shared.project(name);
  await project.role("early");
  await project.role("kept");
  const dev = await project.branch("dev");
  await project.role("own", dev.id);
  await shared.api.delete(`${project.at(dev.id)}/roles/early`);
  await shared.api.post(`${project.at(dev.id)}/roles/kept/reset_password`);
  return { ...project, dev: dev.id };
}

const beside = (page) => page.getByRole("complementary");

test("a branch's own users are told apart from those that it inherited", async () => {
  const project = await grown("origin");
  const { page, close } = await shared.open({ path: `${project.path}/branches/${project.dev}?tab=users` });
  await beside(page).getByRole("row", { name: /^own own/ }).waitFor();
  await beside(page).getByRole("row", { name: /^casey inherited/ }).waitFor();
  await beside(page).getByRole("row", { name: /^kept changed: password/ }).waitFor();
  await beside(page).getByText("Removed here: early").waitFor();
  await assertAccessible(page, "the users of a branch");
  await beside(page).getByRole("link", { name: "Overview" }).click();
  for (const text of ["1 user added", "1 user changed", "1 user removed"]) await beside(page).getByText(text).waitFor();
  await close();
});

test("the history of a branch says who did what and when", async () => {
  const project = await grown("who");
  const { page, close } = await shared.open({ path: `${project.path}/branches/${project.dev}?tab=history` });
  const newest = beside(page).getByRole("listitem").first();
  await newest.getByText("reset the password of kept").waitFor();
  await newest.getByText("first key").waitFor();
  const { versions } = await shared.api.get(`${project.at(project.dev)}/history?limit=1&order=desc`);
  assert.equal(await newest.locator("time").getAttribute("datetime"), versions[0].committed_at);
  await beside(page).getByText("deleted the user early").waitFor();
  await assertAccessible(page, "the history of a branch");
  await close();
});

test("the history of a user is told beside the user", async () => {
  const project = await grown("user");
  const { page, close } = await shared.open({ path: `${project.path}/settings/users?branch=${project.dev}` });
  await page.getByRole("button", { name: "History of kept" }).click();
  const dialog = page.getByRole("dialog", { name: "History of a user" });
  await dialog.getByRole("row").nth(2).waitFor();
  await assertAccessible(page, "the history of a user");
  await close();
});

test("two branches are compared, and the comparison has an address", async () => {
  const project = await grown("compared");
  const { page, close } = await shared.open({ path: `${project.path}/branches/${project.dev}?tab=compare` });
  await beside(page).getByRole("button", { name: "Compare", exact: true }).click();
  const differences = beside(page).getByRole("table", { name: "Differences" });
  await differences.getByRole("row", { name: /^own user added/ }).waitFor();
  await differences.getByRole("row", { name: /^kept user changed \(password\)/ }).waitFor();
  await differences.getByRole("row", { name: /^early user removed/ }).waitFor();
  await assertAccessible(page, "a comparison");
  await page.reload();
  await differences.getByRole("row", { name: /^own user added/ }).waitFor();
  await close();
});

test("a branch is restored to a version of its history, and what was replaced is kept", async () => {
  const project = await shared.project("restore");
  await project.role("early");
  await project.role("mistake");
  const { page, close } = await shared.open({ path: `${project.path}/branches/${project.main}?tab=history` });
  const early = beside(page).getByRole("listitem").filter({ hasText: "created the user early" });
  await early.getByRole("button", { name: /^Restore to/ }).click();
  const dialog = page.getByRole("dialog", { name: "Restore branch" });
  await dialog.getByLabel("Keep what is replaced under the name").fill("main-before");
  await assertAccessible(page, "the dialog for restoring");
  await dialog.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("treeitem", { name: "main-before" }).waitFor();
  await eventually(async () => !(await project.roleNames()).includes("mistake"), "main is as it was");
  assert.ok((await project.roleNames()).includes("early"));
  const before = (await project.branches()).find((branch) => branch.name === "main-before");
  assert.ok((await project.roleNames(before.id)).includes("mistake"));
  await close();
});

test("a branch is renamed, protected, and made the default one", async () => {
  const project = await shared.project("changes");
  const dev = await project.branch("dev");
  const branch = async () => (await shared.api.get(project.at(dev.id))).branch;
  const { page, close } = await shared.open({ path: `${project.path}/branches/${dev.id}` });
  const act = (name) => beside(page).getByRole("button", { name, exact: true }).click();
  const confirm = (title, name) => page.getByRole("dialog", { name: title }).getByRole("button", { name, exact: true }).click();
  await act("Rename");
  await page.getByRole("dialog", { name: "Rename branch" }).getByLabel("Name").fill("development");
  await confirm("Rename branch", "Rename");
  await beside(page).getByRole("heading", { name: "development" }).waitFor();
  assert.equal((await branch()).name, "development");
  await act("Protect");
  await confirm("Protect branch", "Protect");
  await beside(page).getByText("protected").first().waitFor();
  assert.equal((await branch()).protected, true);
  await act("Delete");
  await page.getByRole("dialog", { name: "This branch can't be deleted" }).getByText("It is protected").waitFor();
  await page.keyboard.press("Escape");
  await act("Unprotect");
  await confirm("Unprotect branch", "Unprotect");
  await beside(page).getByRole("button", { name: "Protect", exact: true }).waitFor();
  await act("Make default");
  await confirm("Make default", "Make default");
  await beside(page).getByText("default", { exact: true }).waitFor();
  assert.equal((await branch()).default, true);
  await close();
});

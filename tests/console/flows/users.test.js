import { test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { suite } from "../lib/suite.js";
import { assertAccessible, assertForgotten } from "../lib/browser.js";

const shared = suite();

async function openUsers(name) {
  const project = await shared.project(name);
  return { project, ...(await shared.open({ path: `${project.path}/settings/users` })) };
}

test("the users of a branch are listed, and the system's marked", async () => {
  const { page, close } = await openUsers("list");
  const system = page.getByRole("row", { name: /web_access/ });
  await system.getByText("protected").waitFor();
  assert.equal(await system.getByRole("button", { name: /Reset password|Delete/ }).count(), 0);
  await assertAccessible(page, "Settings > Users");
  await close();
});

test("a new user is made on the chosen branch, and its password shown once", async () => {
  const { project, page, close } = await openUsers("new");
  const dev = await project.branch("dev");
  await page.reload();
  await page.getByRole("button", { name: "New User" }).click();
  const dialog = page.getByRole("dialog", { name: "New User" });
  await dialog.getByLabel("Name", { exact: true }).fill("sally");
  await dialog.getByText("5 of 63 bytes").waitFor();
  await dialog.getByRole("combobox", { name: "Branch" }).fill("dev");
  await dialog.getByRole("option", { name: /^dev/ }).click();
  await assertAccessible(page, "the dialog for a new user");
  await dialog.getByRole("button", { name: "Create" }).click();
  const shown = page.getByRole("dialog", { name: "User created" });
  const password = await shown.getByLabel("Password", { exact: true }).inputValue();
  assert.match(password, /^\w{16,}$/);
  await shown.getByRole("button", { name: "Copy the password" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), password);
  await shown.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: /sally/ }).waitFor();
  await assertForgotten(page, password);
  assert.ok((await project.roleNames(dev.id)).includes("sally"));
  assert.ok(!(await project.roleNames()).includes("sally"));
  await close();
});

test("a name is checked in bytes and against the reserved ones while it is typed", async () => {
  const { page, close } = await openUsers("names");
  await page.getByRole("button", { name: "New User" }).click();
  const dialog = page.getByRole("dialog", { name: "New User" });
  const create = dialog.getByRole("button", { name: "Create" });
  const name = dialog.getByLabel("Name", { exact: true });
  assert.ok(await create.isDisabled());
  await name.fill("é".repeat(32));
  await dialog.getByText("64 of 63 bytes: 1 too many").waitFor();
  assert.ok(await create.isDisabled());
  await name.fill("pg_sally");
  await dialog.getByText("is reserved for the system").waitFor();
  assert.ok(await create.isDisabled());
  await name.fill("é".repeat(31) + "e");
  await dialog.getByText("63 of 63 bytes").waitFor();
  assert.ok(await create.isEnabled());
  await close();
});

test("what the server refuses is said in its own words, and what was typed stays", async () => {
  const { project, page, close } = await openUsers("refused");
  await project.role("sally");
  await page.getByRole("button", { name: "New User" }).click();
  const dialog = page.getByRole("dialog", { name: "New User" });
  await dialog.getByLabel("Name", { exact: true }).fill("sally");
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.getByRole("alert").getByText("A role named \"sally\" exists already on this branch").waitFor();
  assert.equal(await dialog.getByLabel("Name", { exact: true }).inputValue(), "sally");
  await close();
});

test("a password is reset after “Sure, reset”, and given as a .env file", async () => {
  const { project, page, close } = await openUsers("reset");
  const { role } = await project.role("o'brien $HOME");
  await page.reload();
  await page.getByRole("button", { name: "Reset password of o'brien $HOME" }).click();
  const confirm = page.getByRole("dialog", { name: "Reset password" });
  await confirm.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await shared.api.get(`${project.at(project.main)}/roles/${encodeURIComponent(role.name)}`)).role.updated_at, role.updated_at);
  await page.getByRole("button", { name: "Reset password of o'brien $HOME" }).click();
  await assertAccessible(page, "the question before a reset");
  await page.getByRole("button", { name: "Sure, reset" }).click();
  const shown = page.getByRole("dialog", { name: "Password reset" });
  const password = await shown.getByLabel("Password", { exact: true }).inputValue();
  assert.notEqual(password, role.password);
  await assertAccessible(page, "the dialog with a password");
  const [download] = await Promise.all([page.waitForEvent("download"), shown.getByRole("button", { name: "Download .env" }).click()]);
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\n");
  assert.deepEqual(lines.map((line) => line.split("=")[0]), ["DATABASE_URL", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"]);
  assert.equal(lines[4], `PGUSER="o'brien \\$HOME"`);
  assert.equal(lines[5], `PGPASSWORD=${password}`);
  assert.ok(lines[0].includes(`o'brien%20%24HOME:${password}@`));
  await shown.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: /o'brien/ }).waitFor();
  await assertForgotten(page, password);
  await close();
});

test("a user is deleted after a question, on its branch only", async () => {
  const { project, page, close } = await openUsers("delete");
  await project.role("sally");
  const dev = await project.branch("dev");
  await page.reload();
  await page.getByRole("button", { name: "Delete sally" }).click();
  await page.getByRole("dialog", { name: "Delete user" }).getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("was deleted").waitFor();
  await page.getByRole("row", { name: /sally/ }).waitFor({ state: "detached" });
  assert.ok(!(await project.roleNames()).includes("sally"));
  assert.ok((await project.roleNames(dev.id)).includes("sally"));
  await close();
});

test("an owner of databases is not deleted, and the databases are named", async () => {
  const { project, page, close } = await openUsers("owner");
  await page.getByRole("button", { name: "Delete casey" }).click();
  const dialog = page.getByRole("dialog", { name: "This user can't be deleted" });
  await dialog.getByText("neondb").waitFor();
  await assertAccessible(page, "the refusal to delete an owner");
  await dialog.getByRole("link", { name: "Databases" }).click();
  await page.getByRole("heading", { name: "Databases", level: 1 }).waitFor();
  assert.ok((await project.roleNames()).includes("casey"));
  await close();
});

test("of many users some are shown, and any of them is found", async () => {
  const { project, page, close } = await openUsers("many users");
  for (let made = 0; made < 300; made += 20) await Promise.all(Array.from({ length: 20 }, (_, index) => project.role(`user-${made + index}`)));
  await page.reload();
  await page.getByText("302 users").waitFor();
  assert.equal(await page.getByRole("row").count(), 201);
  await page.getByLabel("Search: Users of main").fill("user-29");
  await page.getByRole("row", { name: /user-299/ }).waitFor();
  assert.equal(await page.getByRole("row").count(), 12);
  await page.getByLabel("Search: Users of main").fill("");
  await page.getByRole("button", { name: "More (102)" }).click();
  await page.getByRole("row").nth(302).waitFor();
  assert.equal(await page.getByRole("row").count(), 303);
  await close();
});

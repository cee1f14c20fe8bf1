import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";
import { assertAccessible } from "../lib/browser.js";

const shared = suite();

test("a database is made, given to another owner, and deleted after its name was typed", async () => {
  const project = await shared.project("databases");
  await project.role("sally");
  const databases = async () => (await shared.api.get(`${project.at(project.main)}/databases`)).databases.map(({ name, owner_name }) => [name, owner_name]);
  const { page, close } = await shared.open({ path: `${project.path}/databases` });
  await page.getByRole("cell", { name: "neondb", exact: true }).waitFor();
  await assertAccessible(page, "Databases");

  await page.getByRole("button", { name: "New database" }).click();
  const form = page.getByRole("dialog", { name: "New database" });
  await form.getByLabel("Name", { exact: true }).fill("template1");
  await form.getByText("is reserved for the system").waitFor();
  await form.getByLabel("Name", { exact: true }).fill("shop");
  assert.equal(await form.getByRole("combobox", { name: "Owner" }).inputValue(), "casey");
  await assertAccessible(page, "the dialog for a new database");
  await form.getByRole("button", { name: "Create" }).click();
  await page.getByRole("cell", { name: "shop", exact: true }).waitFor();
  assert.deepEqual((await databases()).at(-1), ["shop", "casey"]);

  await page.getByRole("button", { name: "Change shop" }).click();
  const change = page.getByRole("dialog", { name: "Change database" });
  await change.getByRole("combobox", { name: "Owner" }).fill("SAL");
  await change.getByRole("option", { name: "sally" }).click();
  await change.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /shop.*sally/ }).waitFor();
  assert.deepEqual((await databases()).at(-1), ["shop", "sally"]);

  await page.getByRole("button", { name: "Delete shop" }).click();
  const remove = page.getByRole("dialog", { name: "Delete database" });
  assert.ok(await remove.getByRole("button", { name: "Delete database" }).isDisabled());
  await remove.getByLabel("Type the database's name").fill("shop");
  await remove.getByRole("button", { name: "Delete database" }).click();
  await page.getByRole("cell", { name: "shop", exact: true }).waitFor({ state: "detached" });
  assert.deepEqual(await databases(), [["neondb", "casey"]]);
  await close();
});

test("a branch without databases says what to do", async () => {
  const project = await shared.project("no databases");
  await shared.api.delete(`${project.at(project.main)}/databases/neondb`);
  const { page, close } = await shared.open({ path: `${project.path}/databases` });
  await page.getByRole("heading", { name: "No databases on this branch" }).waitFor();
  await close();
});

import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";
import { KEY } from "../lib/server.js";
import { assertAccessible, assertForgotten } from "../lib/browser.js";

const shared = suite();

test("a key is made, shown once, used, and revoked", async () => {
  const { page, close } = await shared.open({ path: "/keys" });
  await page.getByRole("row", { name: /first key/ }).waitFor();
  await assertAccessible(page, "API keys");
  await page.getByRole("button", { name: "New API key" }).click();
  await page.getByRole("dialog", { name: "New API key" }).getByLabel("Name").fill("deploy <b>bot</b>");
  await page.getByRole("dialog", { name: "New API key" }).getByRole("button", { name: "Create" }).click();
  const shown = page.getByRole("dialog", { name: "API key created" });
  const key = await shown.getByLabel("API key", { exact: true }).inputValue();
  await assertAccessible(page, "the dialog with a new key");
  await shown.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: /deploy <b>bot<\/b>/ }).waitFor();
  await assertForgotten(page, key);
  const ask = () => fetch(`${shared.server.url}/api/v2/projects`, { headers: { authorization: `Bearer ${key}` } }).then((response) => response.status);
  assert.equal(await ask(), 200);
  await page.getByRole("button", { name: "Revoke deploy <b>bot</b>" }).click();
  await page.getByRole("dialog", { name: "Revoke API key" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("row", { name: /deploy/ }).waitFor({ state: "detached" });
  assert.equal(await ask(), 401);
  await close();
});

test("a key that is revoked while one works with it leads back to signing in, and from there to the same page", async () => {
  const project = await shared.project("revoked");
  const { id, key } = await shared.api.post("/api_keys", { key_name: "short-lived" });
  const { page, close } = await shared.open({ key, path: `${project.path}/settings/users` });
  await page.getByRole("row", { name: /casey/ }).waitFor();
  await shared.api.delete(`/api_keys/${id}`);
  await page.getByRole("button", { name: "New User" }).click();
  await page.getByRole("dialog", { name: "New User" }).getByLabel("Name", { exact: true }).fill("late");
  await page.getByRole("dialog", { name: "New User" }).getByRole("button", { name: "Create" }).click();
  await page.getByText("You were signed out").waitFor();
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.getByLabel("API key", { exact: true }).fill("schlüssel");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This can't be a key").waitFor();
  await page.getByLabel("API key", { exact: true }).fill(KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("row", { name: /casey/ }).waitFor();
  assert.ok(!(await project.roleNames()).includes("late"));
  await close();
});

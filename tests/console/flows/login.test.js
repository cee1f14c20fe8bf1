// What the console gives people works: they log in to PostgreSQL with it.

import { test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { suite } from "../lib/suite.js";

const LOGIN_TIMEOUT_MS = 120_000;

const shared = suite({ compute: "postgres" });

/** Who one is in PostgreSQL with a `.env` file, as a shell and psql read it; the refusal where one is nobody. */
function whoami(file) {
  const script = '. "$0"; psql "$DATABASE_URL" -Atqc "select current_user, current_database()" 2>&1';
  return new Promise((resolve) => execFile("sh", ["-c", script, file], (error, said) => resolve({ ok: !error, said: said.trim() })));
}

/** Downloads the `.env` file of the dialog that is shown, once the password works. */
async function environment(page, title) {
  const shown = page.getByRole("dialog", { name: title });
  await shown.getByText("Applied: the password works now.").waitFor({ timeout: LOGIN_TIMEOUT_MS });
  const [download] = await Promise.all([page.waitForEvent("download"), shown.getByRole("button", { name: "Download .env" }).click()]);
  await shown.getByRole("button", { name: "Done" }).click();
  return download.path();
}

test("a user logs in with the .env file of its creation, after a reset with the new one only, and not after its deletion", async () => {
  const project = await shared.project("login");
  const { page, close } = await shared.open({ path: `${project.path}/settings/users` });
  await page.getByRole("button", { name: "New User" }).click();
  await page.getByRole("dialog", { name: "New User" }).getByLabel("Name", { exact: true }).fill("sally o'neil");
  await page.getByRole("dialog", { name: "New User" }).getByRole("button", { name: "Create" }).click();
  const first = await environment(page, "User created");
  assert.deepEqual(await whoami(first), { ok: true, said: "sally o'neil|neondb" });

  await page.getByRole("button", { name: "Reset password of sally o'neil" }).click();
  await page.getByRole("button", { name: "Sure, reset" }).click();
  const second = await environment(page, "Password reset");
  assert.deepEqual(await whoami(second), { ok: true, said: "sally o'neil|neondb" });
  assert.match((await whoami(first)).said, /password authentication failed/);

  await page.getByRole("button", { name: "Delete sally o'neil" }).click();
  await page.getByRole("dialog", { name: "Delete user" }).getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("link", { name: "Operations" }).click();
  await page.getByRole("row", { name: /Apply config.*finished/ }).nth(2).waitFor({ timeout: LOGIN_TIMEOUT_MS });
  assert.equal((await whoami(second)).ok, false);
  await close();
});

test("a compute is suspended and started from its row, and its state follows", async () => {
  const project = await shared.project("states");
  const { page, close } = await shared.open({ path: `${project.path}/computes` });
  await page.getByRole("row", { name: /main active read-write/ }).waitFor({ timeout: LOGIN_TIMEOUT_MS });
  await page.getByRole("button", { name: /^Suspend / }).click();
  await page.getByRole("row", { name: /main idle read-write/ }).waitFor({ timeout: LOGIN_TIMEOUT_MS });
  await page.getByRole("button", { name: /^Start / }).click();
  await page.getByRole("row", { name: /main active read-write/ }).waitFor({ timeout: LOGIN_TIMEOUT_MS });
  const { endpoints } = await shared.api.get(`${project.path}/endpoints`);
  assert.deepEqual(endpoints.map((endpoint) => endpoint.current_state), ["active"]);
  await close();
});

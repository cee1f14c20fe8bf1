import { test } from "node:test";
import assert from "node:assert/strict";
import { eventually, suite } from "../lib/suite.js";
import { assertAccessible } from "../lib/browser.js";

const shared = suite();

test("computes are listed with their branches, and a failed call says why", async () => {
  const project = await shared.project("computes");
  const { page, close } = await shared.open({ path: `${project.path}/computes` });
  await page.getByRole("row", { name: /main.*idle/ }).waitFor();
  await assertAccessible(page, "Computes");
  await page.route("**/endpoints/*/start", (route) => route.fulfill({ status: 423, json: { code: "", message: "the compute is in transition", request_id: "r-1" } }));
  await page.getByRole("button", { name: /^Start / }).click();
  const dialog = page.getByRole("dialog", { name: "Start compute" });
  await dialog.getByText("The compute is in transition.").waitFor();
  await dialog.getByText("r-1").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await close();
});

test("what happens to computes and operations shows up without a reload", async () => {
  const project = await shared.project("live");
  const { page, close } = await shared.open({ path: `${project.path}/operations` });
  await page.getByRole("row", { name: /Create timeline/ }).waitFor();
  await assertAccessible(page, "Operations");
  await shared.api.post(`${project.path}/branches`, { branch: { name: "elsewhere" }, endpoints: [{ type: "read_write" }] });
  await page.getByRole("row", { name: /Create branch.*elsewhere|Create branch.*br-/ }).waitFor();
  await page.getByRole("row", { name: /Create branch.*finished/ }).waitFor();
  await close();
});

test("an operation that fails is told with its error, in the list and in the header", async () => {
  const project = await shared.project("failing");
  const { page, close } = await shared.open({ path: `${project.path}/branches` });
  const operation = (status, more) => ({
    id: "01a20adb-75aa-72ed-8000-1ac19291d0f4", project_id: project.id, branch_id: project.main, action: "apply_config", status, failures_count: 1,
    created_at: "2026-11-24T00:01:24Z", updated_at: "2026-11-24T00:01:24Z", total_duration_ms: 0, ...more,
  });
  await page.route("**/operations?*", (route) => route.fulfill({ json: { operations: [operation("failed", { error: "PostgreSQL did not answer" })] } }));
  await page.reload();
  await page.getByRole("link", { name: "An operation failed" }).click();
  await page.getByText("PostgreSQL did not answer").waitFor();
  await assertAccessible(page, "Operations with a failed one");
  await close();
});

test("a page that is slow to load leaves alone the one that was chosen meanwhile", async () => {
  const project = await shared.project("slow");
  const { page, close } = await shared.open({ path: `${project.path}/operations` });
  let slow;
  await page.route("**/views/branches.js", (route) => (slow = route));
  await page.clock.install();
  const sections = page.getByRole("navigation", { name: "Project" });
  await sections.getByRole("link", { name: "Branches" }).click();
  await eventually(() => slow, "the page is asked for");
  await sections.getByRole("link", { name: "Computes" }).click();
  await page.getByRole("heading", { name: "Computes" }).waitFor();
  await page.clock.runFor(1000);
  assert.ok(await page.getByRole("heading", { name: "Computes" }).isVisible());
  await slow.continue();
  await close();
});

test("a server that is gone is told plainly, and the page goes on when it is back", async () => {
  const project = await shared.project("away");
  const { page, close, troubles } = await shared.open({ path: `${project.path}/operations` });
  await page.getByRole("row", { name: /Create timeline/ }).waitFor();
  await page.context().setOffline(true);
  await page.getByText("The server did not answer").waitFor();
  await page.context().setOffline(false);
  await page.getByRole("row", { name: /Create timeline/ }).waitFor();
  await eventually(() => page.getByText("The server did not answer").count().then((count) => count === 0), "the message is gone");
  const unexpected = troubles.filter((trouble) => !/ERR_INTERNET_DISCONNECTED/.test(trouble));
  assert.deepEqual(unexpected, []);
  troubles.length = 0;
  await close();
});

test("a compute that reads is made, changed and deleted", async () => {
  const project = await shared.project("endpoints");
  const endpoints = async () => (await shared.api.get(`${project.path}/endpoints`)).endpoints;
  const { page, close } = await shared.open({ path: `${project.path}/computes` });
  await page.getByRole("button", { name: "New compute" }).click();
  const dialog = page.getByRole("dialog", { name: "New compute" });
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.getByRole("alert").getByText("Read_write endpoint already exists").waitFor();
  await dialog.getByLabel("Kind").selectOption("read_only");
  await assertAccessible(page, "the dialog for a new compute");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("row", { name: /read-only/ }).waitFor();
  const made = (await endpoints()).find((endpoint) => endpoint.type === "read_only");
  await page.getByRole("button", { name: `Change ${made.id}` }).click();
  await page.getByLabel("Suspend after, in seconds").fill("600");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /read-only.*10 min/ }).waitFor();
  assert.equal((await endpoints()).find(({ id }) => id === made.id).suspend_timeout_seconds, 600);
  await page.getByRole("button", { name: `Delete ${made.id}` }).click();
  await page.getByRole("dialog", { name: "Delete compute" }).getByRole("button", { name: "Delete compute" }).click();
  await page.getByRole("row", { name: /read-only/ }).waitFor({ state: "detached" });
  assert.deepEqual((await endpoints()).map(({ type }) => type), ["read_write"]);
  await close();
});

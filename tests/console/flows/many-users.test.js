// Twenty thousand users. `blocking.js` has a hundred thousand, which take long to make.

import { test } from "node:test";
import assert from "node:assert/strict";
import { manyUsers } from "../lib/furnish.js";
import { suite } from "../lib/suite.js";

const USERS = 20_000;
const ELEMENTS_MAX = 10_000;
const BYTES_MAX = 200_000;

let project;

const shared = suite({ args: ["--store", "memory"], prepare: async () => (project = await manyUsers(shared.api, USERS)) });

/** A page, with what the API sent to it. */
async function open(path) {
  const { page, close } = await shared.open({ path: "about:blank" });
  let bytes = 0;
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  const api = new Set();
  client.on("Network.responseReceived", ({ requestId, response }) => response.url.includes("/api/") && api.add(requestId));
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => api.has(requestId) && (bytes += encodedDataLength));
  await page.goto(path);
  return { page, close, sent: () => bytes, drawn: () => page.evaluate(() => document.querySelectorAll("*").length) };
}

test("of twenty thousand users some are shown and sent, and any of them is found", async (t) => {
  const { page, close, sent, drawn } = await open(`${project.path}/settings/users`);
  await page.getByText("20,000 users").waitFor();
  assert.equal(await page.getByRole("row").count(), 201);
  const search = page.getByLabel("Search: Users of main");
  await search.pressSequentially("user-1999");
  await page.getByRole("row", { name: /user-19997/ }).waitFor();
  assert.equal(await page.getByRole("row").count(), 10);
  await search.fill("");
  await page.getByRole("button", { name: "More (19,800)" }).click();
  await page.getByRole("button", { name: "More (19,600)" }).waitFor();
  assert.equal(await page.getByRole("row").count(), 401);
  const [elements, bytes] = [await drawn(), sent()];
  t.diagnostic(`${elements} elements on the page, ${bytes} bytes from the API`);
  assert.ok(elements <= ELEMENTS_MAX, `${elements} elements`);
  assert.ok(bytes <= 3 * BYTES_MAX, `${bytes} bytes`);
  await close();
});

test("what a branch has of its own is told among twenty thousand that it has from its parent", async () => {
  const dev = await project.branch("dev");
  await project.role("own", dev.id);
  for (let gone = 0; gone < 25; gone += 1) await shared.api.delete(`${project.at(dev.id)}/roles/user-${gone}`);
  const { page, close, sent } = await open(`${project.path}/branches/${dev.id}?tab=users`);
  await page.getByText("and 5 more").waitFor();
  await page.getByLabel("Search: Users of dev").fill("own");
  await page.getByRole("row", { name: /own.*own/ }).waitFor();
  assert.ok(sent() <= BYTES_MAX, `${sent()} bytes`);
  await close();
});

test("an owner is chosen among twenty thousand users", async () => {
  const { page, close, sent } = await open(`${project.path}/databases`);
  await page.getByRole("button", { name: "New database" }).click();
  const form = page.getByRole("dialog", { name: "New database" });
  await form.getByLabel("Name", { exact: true }).fill("shop");
  await form.getByRole("combobox", { name: "Owner" }).fill("user-12345");
  await form.getByRole("option", { name: "user-12345" }).click();
  await form.getByRole("button", { name: "Create" }).click();
  await page.getByRole("row", { name: /shop.*user-12345/ }).waitFor();
  assert.ok(sent() <= BYTES_MAX, `${sent()} bytes`);
  await close();
});

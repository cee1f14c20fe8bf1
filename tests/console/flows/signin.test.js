import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";
import { KEY } from "../lib/server.js";
import { assertAccessible } from "../lib/browser.js";

const shared = suite();

const stores = (page) => page.evaluate(() => ({ tab: { ...sessionStorage }, browser: { ...localStorage }, cookie: document.cookie }));

test("a wrong key is refused in words, and what was typed stays", async () => {
  const { page, close } = await shared.open({ key: null });
  await assertAccessible(page, "the sign-in page");
  await page.getByLabel("API key", { exact: true }).fill("osk_mistyped");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("No valid API key was given").waitFor();
  assert.equal(await page.getByLabel("API key", { exact: true }).inputValue(), "osk_mistyped");
  await close();
});

test("the key stays in the tab unless one asks to be remembered, and never in the address", async () => {
  const { page, context, close } = await shared.open({ key: null, path: "/projects" });
  await page.getByLabel("API key", { exact: true }).fill(KEY);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
  assert.ok(!page.url().includes(KEY));
  const kept = await stores(page);
  assert.equal(kept.tab["offshoot.key"], KEY);
  assert.ok(!JSON.stringify([kept.browser, kept.cookie]).includes(KEY));
  const other = await context.newPage();
  await other.goto("/projects");
  await other.getByLabel("API key", { exact: true }).waitFor();
  await close();
});

test("who asks to be remembered is, in all tabs, until they sign out in one", async () => {
  const { page, context, close } = await shared.open({ key: null });
  await page.getByLabel("API key", { exact: true }).fill(KEY);
  await page.getByLabel("Remember me").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
  const other = await context.newPage();
  await other.goto("/keys");
  await other.getByRole("heading", { name: "API keys", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await other.getByLabel("API key", { exact: true }).waitFor();
  const kept = await stores(page);
  assert.ok(!JSON.stringify(kept).includes(KEY));
  await close();
});

test("an address leads to its page after signing in", async () => {
  const project = await shared.project("deep");
  const { page, close } = await shared.open({ key: null, path: `${project.path}/settings/users` });
  await page.getByLabel("API key", { exact: true }).fill(KEY);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Users", level: 1 }).waitFor();
  assert.ok(page.url().endsWith(`${project.path}/settings/users`));
  await close();
});

test("a request from another site acts on nothing", async () => {
  const { page, close, troubles } = await shared.open({ key: null });
  const before = (await shared.api.get("/projects")).projects.length;
  // A form of another site: the browser would send cookies with it, had we any.
  await page.goto("data:text/html,<p>another site</p>");
  await page.setContent(`<form method="post" action="${shared.server.url}/api/v2/projects" enctype="text/plain"><input name='{"project":{}}' value=""><button>Go</button></form>`);
  const [response] = await Promise.all([page.waitForResponse(/api\/v2\/projects/), page.getByRole("button").click()]);
  assert.equal(response.status(), 401);
  assert.equal((await shared.api.get("/projects")).projects.length, before);
  troubles.length = 0;
  await close();
});

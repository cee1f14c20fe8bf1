// The page of the API's document: it shows every call, and needs nobody else for it.

import { test } from "node:test";
import assert from "node:assert/strict";
import { assertAccessible } from "../lib/browser.js";
import { suite } from "../lib/suite.js";

const shared = suite();

test("every call of the document is shown, with what it takes and answers", async () => {
  const { page, close } = await shared.open({ key: null, path: "/docs" });
  const api = await page.evaluate(async () => (await fetch("/api/v2/openapi.json")).json());
  const expected = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { responses }]) => ({ call: `${method.toUpperCase()} /api/v2${path}`, statuses: Object.keys(responses).sort() })),
  );
  await page.locator("details").first().waitFor();
  await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
  // What an opened one shows comes with the event that says so.
  await page.waitForFunction(() => [...document.querySelectorAll("details")].every((details) => details.childElementCount > 1));
  const shown = await page.locator("details").evaluateAll((all) =>
    all.map((details) => ({
      call: `${details.querySelector(".method").textContent} ${details.querySelector("summary code").textContent}`,
      statuses: [...details.querySelectorAll("h3")].map((title) => /^(\w+):/.exec(title.textContent)?.[1]).filter(Boolean).sort(),
    })),
  );
  const byCall = (one, other) => one.call.localeCompare(other.call);
  assert.ok(expected.length > 50, `${expected.length} calls`);
  assert.deepEqual(shown.sort(byCall), expected.sort(byCall));
  assert.match(await page.locator("#calls").textContent(), /authentication_method: string/);
  await close();
});

test("a call is found by a word of it", async () => {
  const { page, close } = await shared.open({ key: null, path: "/docs" });
  await page.locator("details").first().waitFor();
  await page.getByLabel("Search").fill("reset_password");
  const found = page.locator("details:visible");
  assert.equal(await found.count(), 1);
  assert.match(await found.textContent(), /POST.*\/roles\/\{role_name\}\/reset_password/);
  await close();
});

test("the page can be read by everybody", async () => {
  for (const dark of [false, true]) {
    const { page, close } = await shared.open({ key: null, path: "/docs", dark });
    await page.locator("details").first().click();
    await assertAccessible(page, `the document, ${dark ? "dark" : "light"}`);
    await close();
  }
});

// Debian's Chromium, and pages in it that complain when anything in them goes wrong.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { KEY } from "./server.js";

const CHROMIUM = process.env.OFFSHOOT_CHROMIUM ?? "/usr/bin/chromium";
const ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const TIMEOUT_MS = 20_000;

export function startBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}

/**
 * A page of its own context, signed in unless `key` is null. `page.troubles` collects exceptions, violations of the policy and failed
 * loads; `close()` fails when there are any.
 */
export async function openPage(browser, server, { key = KEY, path = "/projects", phone = false, dark = false, ...more } = {}) {
  const context = await browser.newContext({
    baseURL: server.url, viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 860 }, colorScheme: dark ? "dark" : "light",
    locale: "en-GB", timezoneId: "Europe/Berlin", acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"], ...more,
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  // The key is put where signing in puts it; one flow signs in by hand.
  const signedIn = ([name, key]) => location.protocol === "http:" && (sessionStorage.getItem(name) ?? sessionStorage.setItem(name, key));
  if (key) await context.addInitScript(signedIn, ["offshoot.key", key]);
  const page = await context.newPage();
  const troubles = [];
  await page.exposeFunction("reportViolation", (text) => troubles.push(text));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => window.reportViolation(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  page.on("pageerror", (error) => troubles.push(`exception: ${error.stack}`));
  page.on("console", (message) => message.type() === "error" && !/status of (4\d\d|50\d)/.test(message.text()) && troubles.push(`console: ${message.text()}`));
  page.on("request", (request) => !request.url().startsWith(server.url) && !/^(blob|data):/.test(request.url()) && troubles.push(`asked elsewhere: ${request.url()}`));
  await page.goto(path);
  return {
    page, context, troubles,
    close: async () => {
      await context.close();
      assert.deepEqual(troubles, []);
    },
  };
}

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails when axe finds a violation in the page as it is. */
export async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n    ${nodes.map(({ html, failureSummary }) => `${html}\n      ${failureSummary}`).join("\n    ")}`);
  assert.deepEqual(found, [], `axe on ${what}:\n${found.join("\n")}`);
}

/** Fails when a secret is anywhere in the page still: in its markup, in what was typed or shown in fields, or in its storage. */
export async function assertForgotten(page, secret) {
  // A dialog that was closed goes with the event that says so, which the browser sends a moment later.
  await page.locator("dialog").waitFor({ state: "detached" });
  const kept = await page.evaluate(() => JSON.stringify([
    document.documentElement.outerHTML, [...document.querySelectorAll("input, select, textarea")].map((field) => field.value),
    { ...sessionStorage }, { ...localStorage }, location.href, history.state,
  ]));
  assert.ok(!kept.includes(secret), "the page still has a secret");
}

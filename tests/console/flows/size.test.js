// What the first page costs, and that it comes from nowhere else.

import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";

const BUDGET_BYTES = 100_000;

const shared = suite();

/** What a page loads besides the API's answers: each path with its bytes, as the file is and as it is sent. */
async function loaded(options) {
  const { page, close } = await shared.open({ ...options, path: "about:blank" });
  const files = [];
  page.on("requestfinished", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/api/")) return;
    files.push((async () => {
      const [body, { responseBodySize }] = await Promise.all([(await request.response()).body(), request.sizes()]);
      return { pathname, whole: body.length, sent: responseBodySize };
    })());
  });
  await page.goto(options.path, { waitUntil: "networkidle" });
  const sizes = await Promise.all(files);
  await close();
  return sizes;
}

const sum = (sizes, what) => sizes.reduce((sum, size) => sum + size[what], 0);

test("the first page loads in under 100 kB, all together", async (t) => {
  for (const [what, options] of Object.entries({ "signing in": { key: null, path: "/" }, "the projects": { path: "/projects" } })) {
    const sizes = await loaded(options);
    t.diagnostic(`${what}: ${sum(sizes, "whole")} bytes in ${sizes.length} files, of which ${sum(sizes, "sent")} are sent`);
    assert.ok(sizes.length > 5, what);
    assert.ok(sum(sizes, "whole") < BUDGET_BYTES, what);
  }
});

test("whichever page comes first, less than 100 kB are sent", async (t) => {
  const project = await shared.project("size");
  for (const path of ["/branches", "/databases", "/computes", "/operations", "/settings/users", "/settings"]) {
    const sizes = await loaded({ path: project.path + path });
    t.diagnostic(`${path}: ${sum(sizes, "whole")} bytes in ${sizes.length} files, of which ${sum(sizes, "sent")} are sent`);
    assert.ok(sum(sizes, "sent") > 10_000, path);
    assert.ok(sum(sizes, "sent") < BUDGET_BYTES, path);
  }
});

test("a second visit loads nothing again", async () => {
  const { page, close } = await shared.open();
  await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
  const again = [];
  page.on("response", (response) => !response.url().includes("/api/") && again.push(response));
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  let bytes = 0;
  client.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.reload({ waitUntil: "networkidle" });
  assert.ok(again.length > 5);
  assert.ok(bytes < 20_000, `${bytes} bytes were sent again`);
  await close();
});

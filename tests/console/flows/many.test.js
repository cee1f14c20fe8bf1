// Five thousand branches.

import { test } from "node:test";
import assert from "node:assert/strict";
import { manyBranches } from "../lib/furnish.js";
import { eventually, suite } from "../lib/suite.js";

const BRANCHES = 5000;
const ELEMENTS_MAX = 2000;

let project;

const shared = suite({ args: ["--store", "memory"], prepare: async () => (project = await manyBranches(shared.api, BRANCHES)) });

const drawn = (page) => page.evaluate(() => document.querySelectorAll("*").length);

test("the picture of five thousand branches draws few elements, wherever one looks", async (t) => {
  const { page, close } = await shared.open({ path: `${project.path}/branches` });
  await page.getByRole("treeitem", { name: "main" }).waitFor();
  await page.getByText("5,000 branches").waitFor();
  const seen = [await drawn(page)];
  const tree = page.getByRole("tree", { name: "Branches" });
  for (const share of [0.25, 0.5, 0.75, 1]) {
    await tree.evaluate((element, share) => (element.scrollTop = share * element.scrollHeight), share);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    seen.push(await drawn(page));
  }
  for (const name of ["Zoom in", "Zoom in", "Zoom out", "Fit"]) {
    await page.getByRole("button", { name, exact: true }).click();
    seen.push(await drawn(page));
  }
  await page.getByLabel("Search branches").fill("branch-49");
  await page.getByText(/\d+ found/).waitFor();
  seen.push(await drawn(page));
  t.diagnostic(`elements on the page: ${seen.join(", ")}`);
  assert.ok(Math.max(...seen) <= ELEMENTS_MAX, `${Math.max(...seen)} elements`);
  await close();
});

test("one of five thousand branches is found, and its parent in the picker", async () => {
  const { page, close } = await shared.open({ path: `${project.path}/branches` });
  await page.getByLabel("Search branches").fill("branch-4321");
  await page.getByRole("treeitem", { name: "branch-4321" }).click();
  await page.getByRole("complementary").getByRole("heading", { name: "branch-4321" }).waitFor();
  await page.getByRole("button", { name: "New branch", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "New branch" });
  await dialog.getByRole("combobox", { name: "Parent" }).fill("branch-12");
  assert.ok((await dialog.getByRole("option").count()) <= 50);
  await close();
});

test("the address of any branch leads to it in the picture", async () => {
  const branches = await project.branches();
  const { page, close } = await shared.open({ path: `${project.path}/branches/${branches[2500].id}` });
  const row = page.getByRole("treeitem", { selected: true });
  await row.waitFor();
  assert.equal(await row.locator(".name").textContent(), branches[2500].name);
  const around = await page.getByRole("tree", { name: "Branches" }).boundingBox();
  const isIn = (inside) => inside && inside.y >= around.y && inside.y + inside.height <= around.y + around.height;
  await eventually(async () => isIn(await row.boundingBox()), "the row is in view");
  await close();
});

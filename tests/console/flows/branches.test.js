import { test } from "node:test";
import assert from "node:assert/strict";
import { suite } from "../lib/suite.js";
import { assertAccessible } from "../lib/browser.js";

const shared = suite();

async function openBranches(name, build = async () => {}) {
  const project = await shared.project(name);
  const built = await build(project);
  return { project, built, ...(await shared.open({ path: `${project.path}/branches` })) };
}

test("the tree shows each branch below its parent, and the address names the one that is selected", async () => {
  const { project, built, page, close } = await openBranches("tree", async (project) => {
    const staging = await project.branch("staging");
    const preview = await project.branch("preview", { parent_id: staging.id });
    return { staging, preview };
  });
  const item = (name) => page.getByRole("treeitem", { name });
  await item("main").waitFor();
  assert.deepEqual(await page.getByRole("treeitem").evaluateAll((rows) => rows.map((row) => [row.querySelector(".name").textContent, row.ariaLevel])),
    [["main", "1"], ["staging", "2"], ["preview", "3"]]);
  await assertAccessible(page, "Branches");
  await item("staging").click();
  await page.waitForURL(new RegExp(`${built.staging.id}`));
  await page.getByRole("complementary").getByRole("heading", { name: "staging" }).waitFor();
  await page.getByRole("complementary").getByRole("link", { name: "main" }).click();
  await page.waitForURL(new RegExp(`${project.main}`));
  await page.goBack();
  await page.getByRole("complementary").getByRole("heading", { name: "staging" }).waitFor();
  await close();
});

test("the tree is walked with the keyboard", async () => {
  const { page, close } = await openBranches("keys", async (project) => {
    const staging = await project.branch("staging");
    await project.branch("preview", { parent_id: staging.id });
  });
  const tree = page.getByRole("tree", { name: "Branches" });
  await page.getByRole("treeitem", { name: "preview" }).waitFor();
  await tree.focus();
  const press = async (key, name) => {
    await page.keyboard.press(key);
    await page.getByRole("complementary").getByRole("heading", { name, exact: true }).waitFor();
    // The tree is drawn with the next frame, after the heading.
    await page.getByRole("treeitem", { name, selected: true }).waitFor();
    assert.equal(await page.getByRole("treeitem", { selected: true }).count(), 1);
  };
  await press("ArrowDown", "staging");
  await press("ArrowRight", "preview");
  await press("ArrowLeft", "staging");
  await page.keyboard.press("ArrowLeft");
  await page.getByRole("treeitem", { name: "preview" }).waitFor({ state: "detached" });
  await page.keyboard.press("ArrowRight");
  await page.getByRole("treeitem", { name: "preview" }).waitFor();
  await press("End", "preview");
  await press("Home", "main");
  await close();
});

test("a branch is made from the head of another", async () => {
  const { project, page, close } = await openBranches("head");
  await page.getByRole("button", { name: "New branch", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "New branch" });
  await dialog.getByLabel("Name", { exact: true }).fill("dev");
  await assertAccessible(page, "the dialog for a new branch");
  await dialog.getByRole("button", { name: "Create branch" }).click();
  await page.getByRole("complementary").getByRole("heading", { name: "dev" }).waitFor();
  const dev = (await project.branches()).find((branch) => branch.name === "dev");
  assert.equal(dev.parent_id, project.main);
  assert.ok(page.url().includes(dev.id));
  const { endpoints } = await shared.api.get(`${project.path}/endpoints`);
  assert.ok(endpoints.some((endpoint) => endpoint.branch_id === dev.id));
  await close();
});

test("a branch is made from a point picked on the picture, and has what was there then", async () => {
  const { project, page, close } = await openBranches("picked", async (project) => {
    await project.role("early");
    await project.branch("later");
    await project.role("late");
  });
  await page.getByRole("radio", { name: "LSN" }).check({ force: true });
  // The middle of main's line lies between its first LSN and its last.
  const [row, lines] = await Promise.all([page.getByRole("treeitem", { name: "main" }).boundingBox(), page.locator("svg.lines").boundingBox()]);
  const at = (share) => page.mouse.click(lines.x + 14 + (lines.width - 28) * share, row.y + row.height / 2);
  await at(0.02);
  await page.getByText("Picked point").waitFor();
  await page.waitForURL(/point=lsn/);
  await assertAccessible(page, "Branches with a picked point");
  await page.getByRole("button", { name: "New branch here" }).click();
  const dialog = page.getByRole("dialog", { name: "New branch" });
  assert.equal(await dialog.getByLabel("LSN", { exact: true }).last().inputValue(), new URL(page.url()).searchParams.get("point").slice(4));
  await dialog.getByLabel("Name", { exact: true }).fill("of-old");
  await dialog.getByRole("button", { name: "Create branch" }).click();
  await page.getByRole("complementary").getByRole("heading", { name: "of-old" }).waitFor();
  const made = (await project.branches()).find((branch) => branch.name === "of-old");
  assert.equal(made.parent_lsn, "0/1");
  assert.deepEqual(await project.roleNames(made.id), ["casey", "web_access"]);
  await close();
});

test("an LSN that is none does not get sent, and one outside the history is refused in words", async () => {
  const { page, close } = await openBranches("points");
  await page.getByRole("button", { name: "New branch", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "New branch" });
  const lsn = dialog.getByRole("textbox", { name: "LSN" });
  await lsn.fill("nonsense");
  assert.ok(await dialog.getByRole("button", { name: "Create branch" }).isDisabled());
  await lsn.fill("FFFF/0");
  await dialog.getByRole("button", { name: "Create branch" }).click();
  await dialog.getByRole("alert").getByText("is outside the history of branch").waitFor();
  assert.equal(await lsn.inputValue(), "FFFF/0");
  await close();
});

test("a branch is deleted, and one that can't be says why", async () => {
  const { project, page, close } = await openBranches("delete", async (project) => {
    const staging = await project.branch("staging");
    await project.branch("preview", { parent_id: staging.id });
  });
  const choose = async (name) => {
    await page.getByRole("treeitem", { name }).click();
    await page.getByRole("complementary").getByRole("heading", { name }).waitFor();
    await page.getByRole("complementary").getByRole("button", { name: "Delete" }).click();
  };
  await choose("main");
  const refused = page.getByRole("dialog", { name: "This branch can't be deleted" });
  await refused.getByText("default branch").waitFor();
  await refused.getByText("staging").waitFor();
  await refused.getByRole("button", { name: "Close" }).last().click();
  await choose("preview");
  await page.getByRole("dialog", { name: "Delete branch" }).getByRole("button", { name: "Delete branch" }).click();
  await page.getByRole("treeitem", { name: "preview" }).waitFor({ state: "detached" });
  assert.deepEqual((await project.branches()).map((branch) => branch.name).sort(), ["main", "staging"]);
  await close();
});

test("an address of a branch that is gone says so", async () => {
  const project = await shared.project("gone");
  const { page, close } = await shared.open({ path: `${project.path}/branches/br-not-there-12345678` });
  await page.getByRole("heading", { name: "There is no such branch" }).waitFor();
  await close();
});

// Projects with something in them: what pictures are taken of, five thousand branches, and a hundred thousand users.

import { newProject } from "./server.js";

const AT_ONCE = 16;

/** A project with `total` branches, as machines make them: two in three are children of main, the others of some branch before them. */
export async function manyBranches(api, total) {
  const project = await newProject(api, "many");
  const parents = [project.main];
  let made = 1;
  const work = async () => {
    while (made < total) {
      made += 1;
      const parent = parents[made % 3 === 0 ? (made * 7919) % parents.length : 0];
      parents.push((await project.branch(`branch-${made}`, { parent_id: parent })).id);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return project;
}

/** A project whose root branch has `total` users, `user-0` and so on besides the first two. Without passwords, which take the server longer to make. */
export async function manyUsers(api, total) {
  const project = await newProject(api, "many users");
  let made = 0;
  const work = async () => {
    while (made < total - 2) {
      const name = `user-${made}`;
      made += 1;
      await api.post(`${project.at(project.main)}/roles`, { role: { name, no_login: true } });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return project;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A project that looks as if people worked in it; takes some seconds, so that it has a past. */
export async function webshop(api) {
  for (const name of ["internal tools", "search-index", "billing"]) await newProject(api, name);
  const project = await newProject(api, "webshop");
  const role = (name, on) => project.role(name, on);
  const drop = (name, on) => api.delete(`${project.at(on)}/roles/${encodeURIComponent(name)}`);
  const reset = (name, on) => api.post(`${project.at(on)}/roles/${encodeURIComponent(name)}/reset_password`);
  const branch = async (name, parent_id) => {
    const body = { branch: { name, parent_id }, endpoints: [{ type: "read_write" }] };
    return (await api.post(`${project.path}/branches`, body)).branch.id;
  };
  const { main } = project;
  await role("app", main);
  await pause(1200);
  await role("reporting", main);
  await pause(900);
  await role("migrations", main);
  await pause(700);
  const staging = await branch("staging", main);
  await pause(1100);
  await role("sally", main);
  await role("qa_bot", staging);
  await pause(900);
  await reset("app", staging);
  const preview = await branch("preview/pr-412", staging);
  await pause(900);
  await reset("app", main);
  await role("pr_412", preview);
  await drop("reporting", preview);
  await pause(800);
  const dev = await branch("dev", main);
  await pause(600);
  await role("casey_dev", dev);
  await reset("migrations", dev);
  await api.post(`${project.at(dev)}/databases`, { database: { name: "analytics", owner_name: "casey_dev" } });
  await branch("preview/pr-413", staging);
  await pause(1000);
  await drop("sally", dev);
  await branch("dev-sally", dev);
  await pause(900);
  await role("billing", main);
  await drop("migrations", main);
  await branch("hotfix-1187", main);
  await pause(700);
  await role("auditor", main);
  return { ...project, staging, dev, preview };
}

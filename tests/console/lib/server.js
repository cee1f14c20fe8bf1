// A server under test, and its API to check effects with.

import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const KEY = "osk_a-key-for-tests-0123456789";

/** Starts a server on a free port and new data, without computes unless `compute` says otherwise; `stop()` ends it and removes them. */
export async function startServer({ args = [], compute = "none" } = {}) {
  const binary = process.env.OFFSHOOT_BINARY;
  if (!binary) throw new Error("OFFSHOOT_BINARY must name the server's binary; `cargo xtask test` sets it");
  const directory = await mkdtemp(join(tmpdir(), "offshoot-console-"));
  // PostgreSQL may run as another user, who has to get through.
  await chmod(directory, 0o711);
  const serve = ["serve", "--listen", "127.0.0.1:0", "--account", "casey", "--data-dir", join(directory, "data"), "--compute", compute];
  const child = spawn(binary, [...serve, ...args], {
    env: { ...process.env, OFFSHOOT_API_KEY: KEY, OFFSHOOT_LOG: "warn" }, stdio: ["ignore", "pipe", "inherit"],
  });
  let stopping = false;
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => {
    if (!stopping) console.error(`the server ended by itself: ${signal ?? code}`);
    resolve();
  }));
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => line.startsWith("listening on ") && resolve(line.slice("listening on ".length)));
    ended.then(() => reject(new Error("the server ended before it was ready")));
  });
  return {
    url,
    api: client(url),
    stop: async () => {
      stopping = true;
      child.kill("SIGTERM");
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function client(url) {
  const call = async (method, path, body) => {
    const response = await fetch(`${url}/api/v2${path}`, {
      method, headers: { authorization: `Bearer ${KEY}` }, body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    const answer = text === "" ? null : JSON.parse(text);
    if (!response.ok) throw Object.assign(new Error(`${method} ${path}: ${response.status} ${answer?.message}`), { status: response.status, answer });
    return answer;
  };
  return {
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, body),
    patch: (path, body) => call("PATCH", path, body),
    delete: (path) => call("DELETE", path),
  };
}

/** A project with its root branch: `{ id, path, main, role(name), branch(name, more) }`. */
export async function newProject(api, name) {
  const { project, branch } = await api.post("/projects", { project: { name } });
  const path = `/projects/${project.id}`;
  const at = (id) => `${path}/branches/${id}`;
  return {
    id: project.id, path, main: branch.id, at,
    role: (name, on = branch.id) => api.post(`${at(on)}/roles`, { role: { name } }),
    branch: async (name, more = {}) => (await api.post(`${path}/branches`, { branch: { name, ...more } })).branch,
    roleNames: async (on = branch.id) => (await api.get(`${at(on)}/roles`)).roles.map((role) => role.name),
    branches: async () => (await api.get(`${path}/branches`)).branches,
  };
}

// Drives the unmodified TypeScript client of Neon's API through every method that the server has a call for.
// What it returns is asserted here, and held against Neon's own document. BASE_URL and API_KEY say where.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { problemWith } from "./neon-document.mjs";
import notHere from "./not-here.mjs";

const { createApiClient, ContentType } = createRequire(import.meta.url)("@neondatabase/api-client");
const { BASE_URL, API_KEY } = process.env;
const api = createApiClient({ apiKey: API_KEY, baseURL: BASE_URL });

// A client's method is named after the operation, but for this one.
const methodOf = (operationId) => (operationId === "getConnectionURI" ? "getConnectionUri" : operationId);
const called = new Set();

// Calls a method, and gives the body of its answer, which must have this status.
async function call(status, operationId, ...args) {
  called.add(operationId);
  const answer = await api[methodOf(operationId)](...args).catch((error) => error.response ?? Promise.reject(error));
  const shown = `${operationId}(${JSON.stringify(args)}) answered ${answer.status}: ${JSON.stringify(answer.data)}`;
  assert.equal(answer.status, status, shown);
  if (status !== 204) assert.equal(problemWith(operationId, status, answer.data), undefined, shown);
  return answer.data;
}

// A call that is refused, with its code.
async function refused(status, code, operationId, ...args) {
  const body = await call(status, operationId, ...args);
  assert.equal(body.code, code, JSON.stringify(body));
  assert.ok(body.message.length > 0 && body.request_id.length > 0);
}

const names = (list) => list.map((item) => item.name);

// Waits until no operation of a project is open any more, as a client does.
async function settled(projectId) {
  for (;;) {
    const { operations } = await call(200, "listProjectOperations", { projectId, limit: 1000 });
    if (operations.every(({ status }) => ["finished", "skipped", "cancelled"].includes(status))) return operations;
  }
}

const walks = {
  async account() {
    const me = await call(200, "getCurrentUserInfo");
    assert.equal(me.login, "casey");
    const auth = await call(200, "getAuthDetails");
    assert.deepEqual(auth, { account_id: me.id, auth_method: "api_key_user" });
    assert.deepEqual(await call(200, "getCurrentUserOrganizations"), { organizations: [] });
    const { regions } = await call(200, "getActiveRegions");
    assert.deepEqual(regions.map((region) => region.default), [true]);

    const created = await call(200, "createApiKey", { key_name: "deploy" });
    const keys = await call(200, "listApiKeys");
    assert.deepEqual(names(keys), ["first key", "deploy"]);
    assert.equal(keys[1].created_by.id, created.created_by);
    const theirs = createApiClient({ apiKey: created.key, baseURL: BASE_URL });
    assert.equal((await theirs.getCurrentUserInfo()).data.id, me.id);
    const revoked = await call(200, "revokeApiKey", created.id);
    assert.equal(revoked.revoked, true);
    await assert.rejects(theirs.getCurrentUserInfo(), (error) => error.response.status === 401);
    await refused(404, "API_KEY_NOT_FOUND", "revokeApiKey", created.id);
  },

  async projects() {
    const created = await call(201, "createProject", { project: { name: "shop", pg_version: 17 } });
    assert.equal(created.project.name, "shop");
    assert.deepEqual(names(created.databases), ["neondb"]);
    assert.equal(created.roles.find((role) => role.name === "casey").password.length >= 16, true);
    assert.deepEqual(created.operations.map(({ action }) => action), ["create_timeline", "start_compute"]);
    const { id } = created.project;
    const { projects, applications, integrations } = await call(200, "listProjects", { search: "shop", limit: 10 });
    assert.deepEqual([projects.map((project) => project.id), applications, integrations], [[id], {}, {}]);
    assert.deepEqual((await call(200, "listSharedProjects", { limit: 10 })).projects, []);
    assert.equal((await call(200, "getProject", id)).project.id, id);
    const renamed = await call(200, "updateProject", id, { project: { name: "market" } });
    assert.deepEqual([renamed.project.name, renamed.operations], ["market", []]);
    const operations = await settled(id);
    const one = await call(200, "getProjectOperation", id, operations[0].id);
    assert.deepEqual(one.operation, operations[0]);
    await refused(422, "PROJECT_NOT_DELETED", "recoverProject", id);
    await refused(501, "NOT_IMPLEMENTED", "listProjectPermissions", id);
    await refused(501, "NOT_IMPLEMENTED", "grantPermissionToProject", id, { email: "riley@example.com" });
    assert.equal((await call(200, "deleteProject", id)).project.id, id);
    assert.deepEqual((await call(200, "listProjects", { recoverable: true })).projects.map((project) => project.id), [id]);
    assert.equal((await call(200, "recoverProject", id)).project.id, id);
    await call(200, "deleteProject", id);
    await refused(404, "PROJECT_NOT_FOUND", "getProject", id);
  },

  async roles() {
    const { project, branch } = await call(201, "createProject", { project: {} });
    const place = [project.id, branch.id];
    await settled(project.id);
    const created = await call(201, "createProjectBranchRole", ...place, { role: { name: "we ird/ro%le" } });
    assert.deepEqual(created.operations.map(({ action }) => action), ["apply_config", "suspend_compute"]);
    const { roles } = await call(200, "listProjectBranchRoles", ...place);
    assert.ok(names(roles).includes("we ird/ro%le"));
    const got = await call(200, "getProjectBranchRole", ...place, "we ird/ro%le");
    assert.equal(got.role.name, "we ird/ro%le");
    const reset = await call(200, "resetProjectBranchRolePassword", ...place, "we ird/ro%le");
    assert.notEqual(reset.role.password, created.role.password);
    const revealed = await call(200, "getProjectBranchRolePassword", ...place, "we ird/ro%le");
    assert.equal(revealed.password, reset.role.password);
    await call(201, "createProjectBranchRole", ...place, { role: { name: "group", no_login: true } });
    await call(200, "deleteProjectBranchRole", ...place, "group");
    await call(204, "deleteProjectBranchRole", ...place, "group");
    await refused(409, "ROLE_ALREADY_EXISTS", "createProjectBranchRole", ...place, { role: { name: "casey" } });

    const database = { name: "app", owner_name: "casey" };
    const made = await call(201, "createProjectBranchDatabase", ...place, { database });
    assert.equal(made.database.owner_name, "casey");
    const moved = await call(200, "updateProjectBranchDatabase", ...place, "app", { database: { name: "shop" } });
    assert.equal(moved.database.id, made.database.id);
    assert.equal((await call(200, "getProjectBranchDatabase", ...place, "shop")).database.name, "shop");
    assert.deepEqual(names((await call(200, "listProjectBranchDatabases", ...place)).databases), ["neondb", "shop"]);
    const { uri } = await call(200, "getConnectionURI", { projectId: project.id, database_name: "shop", role_name: "casey", pooled: true });
    assert.match(uri, /^postgresql:\/\/casey:[^@]+@ep-[a-z0-9-]+-pooler[.:].*\/shop\?sslmode=require/);
    await call(200, "deleteProjectBranchDatabase", ...place, "shop");
    await call(204, "deleteProjectBranchDatabase", ...place, "shop");
    await call(200, "deleteProject", project.id);
  },

  async branches() {
    const { project, branch } = await call(201, "createProject", { project: {} });
    const empty = await call(201, "createProjectBranch", project.id);
    assert.match(empty.branch.id, /^br-[a-z0-9]+-[a-z0-9]+-[a-z0-9]+$/);
    assert.deepEqual(empty.endpoints, []);
    const dev = await call(201, "createProjectBranch", project.id, {
      branch: { name: "dev", parent_id: branch.id },
      endpoints: [{ type: "read_write" }],
      annotation_value: {},
    });
    assert.ok(dev.endpoints[0].host.includes(dev.endpoints[0].id));
    await settled(project.id);
    const { branches, annotations } = await call(200, "listProjectBranches", { projectId: project.id, sort_by: "name", sort_order: "asc" });
    assert.deepEqual([names(branches).slice(1).sort(), annotations], [["dev", "main"], {}]);
    assert.equal((await call(200, "countProjectBranches", { projectId: project.id, search: "dev" })).count, 1);
    assert.equal((await call(200, "getProjectBranch", project.id, dev.branch.id)).branch.name, "dev");
    const renamed = await call(200, "updateProjectBranch", project.id, dev.branch.id, { branch: { name: "work" } });
    assert.deepEqual([renamed.branch.name, renamed.operations], ["work", []]);
    const { endpoints } = await call(200, "listProjectBranchEndpoints", project.id, dev.branch.id);
    assert.equal(endpoints.length, 1);
    await call(200, "setDefaultProjectBranch", project.id, dev.branch.id);
    await call(200, "setDefaultProjectBranch", project.id, branch.id);
    const restored = await call(200, "restoreProjectBranch", project.id, dev.branch.id, { source_branch_id: branch.id, preserve_under_name: "work-old" });
    assert.deepEqual([restored.branch.id, restored.branch.name], [dev.branch.id, "work"]);
    assert.equal((await call(200, "getProjectBranch", project.id, restored.branch.parent_id)).branch.name, "work-old");
    await settled(project.id);
    await refused(501, "NOT_IMPLEMENTED", "getProjectBranchSchema", { projectId: project.id, branchId: branch.id, db_name: "neondb" });
    await refused(501, "NOT_IMPLEMENTED", "getProjectBranchSchemaComparison", { projectId: project.id, branchId: branch.id, db_name: "neondb" });
    assert.deepEqual((await call(200, "listProjectBranchBuckets", project.id, branch.id)).buckets, []);
    assert.deepEqual((await call(200, "listProjectBranchFunctions", { projectId: project.id, branchId: branch.id })).functions, []);
    assert.deepEqual((await call(200, "listCredentials", project.id, branch.id)).credentials, []);
    await refused(422, "BRANCH_NOT_DELETED", "recoverProjectBranch", project.id, dev.branch.id);
    await call(200, "deleteProjectBranch", { projectId: project.id, branchId: empty.branch.id });
    await call(204, "deleteProjectBranch", { projectId: project.id, branchId: empty.branch.id });
    const listed = await call(200, "listProjectBranches", { projectId: project.id, include_deleted: true });
    assert.equal(listed.branches.find((found) => found.id === empty.branch.id).recovery.deletion_method, "user");
    assert.equal((await call(200, "recoverProjectBranch", project.id, empty.branch.id)).branch.id, empty.branch.id);
    await call(200, "deleteProjectBranch", { projectId: project.id, branchId: empty.branch.id, hard_delete: true });
    await refused(422, "BRANCH_IS_DEFAULT", "deleteProjectBranch", { projectId: project.id, branchId: branch.id });
    await call(200, "deleteProject", project.id);
  },

  async endpoints() {
    const { project, branch } = await call(201, "createProject", { project: {} });
    await settled(project.id);
    const body = { endpoint: { branch_id: branch.id, type: "read_only" } };
    const created = await call(201, "createProjectEndpoint", project.id, body);
    assert.deepEqual(created.operations.map(({ action }) => action), ["start_compute"]);
    const { id } = created.endpoint;
    assert.ok(created.endpoint.host.includes(id));
    await settled(project.id);
    await refused(409, "ENDPOINT_ALREADY_EXISTS", "createProjectEndpoint", project.id, { endpoint: { branch_id: branch.id, type: "read_write" } });
    assert.equal((await call(200, "listProjectEndpoints", project.id)).endpoints.length, 2);
    assert.equal((await call(200, "getProjectEndpoint", project.id, id)).endpoint.id, id);
    const changed = await call(200, "updateProjectEndpoint", project.id, id, { endpoint: { suspend_timeout_seconds: 120 } });
    assert.equal(changed.endpoint.suspend_timeout_seconds, 120);
    await call(200, "startProjectEndpoint", project.id, id);
    await settled(project.id);
    await call(200, "restartProjectEndpoint", project.id, id);
    await settled(project.id);
    await call(200, "suspendProjectEndpoint", project.id, id);
    await settled(project.id);
    await call(200, "deleteProjectEndpoint", project.id, id);
    await call(204, "deleteProjectEndpoint", project.id, id);
    await call(200, "deleteProject", project.id);
  },

  async snapshots() {
    const { project, branch } = await call(201, "createProject", { project: {} });
    await settled(project.id);
    const { snapshot } = await call(200, "createSnapshot", { projectId: project.id, branchId: branch.id, name: "before" });
    assert.equal(snapshot.source_branch_id, branch.id);
    assert.deepEqual(names((await call(200, "listSnapshots", project.id)).snapshots), ["before"]);
    const renamed = await call(200, "updateSnapshot", project.id, snapshot.id, { snapshot: { name: "kept" } });
    assert.equal(renamed.snapshot.name, "kept");
    const restored = await call(200, "restoreSnapshot", { projectId: project.id, snapshotId: snapshot.id }, { name: "from-snapshot" });
    assert.equal(restored.branch.name, "from-snapshot");
    await settled(project.id);
    await call(200, "finalizeRestoreBranch", project.id, restored.branch.id, { name: "replaced" });
    assert.equal((await call(200, "getProjectBranch", project.id, restored.branch.id)).branch.name, "main");
    await settled(project.id);
    await call(202, "deleteSnapshot", project.id, snapshot.id);
    await call(200, "deleteProject", project.id);
  },
};

for (const [name, walk] of Object.entries(walks)) {
  await walk().catch((error) => {
    console.error(`${name}: ${error.message}`);
    process.exit(1);
  });
}

// Every method was driven, or is known to be of no use here, and why.
const document = await (await fetch(`${BASE_URL}/openapi.json`)).json();
const served = Object.values(document.paths).flatMap((item) => Object.values(item)).map((operation) => methodOf(operation.operationId));
const driven = new Set([...called].map(methodOf));
const excused = new Set(Object.values(notHere).flat());
const methods = new Set();
for (let from = api; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
  for (const name of Object.getOwnPropertyNames(from)) if (name !== "constructor" && typeof api[name] === "function") methods.add(name);
}
const found = {
  "methods that were neither driven nor are known not to be here": [...methods].filter((name) => !driven.has(name) && !excused.has(name)),
  "methods that are said not to be here, but are served": served.filter((name) => excused.has(name)),
  "methods that are said not to be here, but the client does not have": [...excused].filter((name) => !methods.has(name)),
};
for (const [what, names] of Object.entries(found)) assert.deepEqual(names, [], what);
console.log(`${driven.size} methods of ${methods.size}`);

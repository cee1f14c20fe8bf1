// A project with its branches, as several parts of a page want it at once.

import { api, path } from "./api.js";

const FRESH_MS = 5000;
const loaded = new Map();

/** The project and its branches; asked for again where what is known is older than a few seconds. */
export function loadProject(id, { fresh = false } = {}) {
  const known = loaded.get(id);
  if (!fresh && known && Date.now() - known.at < FRESH_MS) return known.promise;
  const promise = read(id);
  loaded.set(id, { at: Date.now(), promise });
  promise.catch(() => forgetProject(id));
  return promise;
}

/** After a change: what is known is not believed any more. */
export function forgetProject(id) {
  loaded.delete(id);
}

async function read(id) {
  const [{ project }, { branches }] = await Promise.all([
    api.get(path`/projects/${id}`),
    api.get(path`/projects/${id}/branches`),
  ]);
  const byId = new Map(branches.map((branch) => [branch.id, branch]));
  const children = Map.groupBy(branches.filter((branch) => branch.parent_id), (branch) => branch.parent_id);
  return { project, branches, byId, children, default: branches.find((branch) => branch.default) ?? branches[0] };
}

/** The branch that an address asks for: the default one where it asks for none, undefined where it asks for one that isn't there. */
export function chosenBranch(state, id) {
  return id ? state.byId.get(id) : state.default;
}

/** The path of a branch in the API. */
export function branchPath(branch) {
  return path`/projects/${branch.project_id}/branches/${branch.id}`;
}

// The users of a branch, of whom there may be very many: they come in pages, and the server searches among them.

import { api, query } from "./api.js";
import { branchPath } from "./project.js";

const PAGE = 200;

/** Some users of a branch, in order of creation: `{ rows, total, next }`, where `next` is the `cursor` of the page after. */
export async function rolePage(branch, { search, cursor, limit = PAGE } = {}) {
  const { roles, pagination } = await api.get(`${branchPath(branch)}/roles${query({ limit, search, cursor })}`);
  return { rows: roles, total: pagination.total, next: pagination.next };
}

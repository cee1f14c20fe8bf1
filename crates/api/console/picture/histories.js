// What each branch changed, asked for as branches come into view, a few at a time.

import { api } from "../lib/api.js";
import { parseLsn } from "../lib/format.js";
import { branchPath } from "../lib/project.js";

const VERSIONS_MAX = 200;
const AT_ONCE = 4;
const STILL_MS = 120;

export class Histories {
  #known = new Map();
  #waiting = [];
  #still = 0;
  #running = 0;
  #signal;
  #arrived;
  /** Whether the server has histories at all. */
  supported = true;

  /** `arrived` is called whenever a history has come. */
  constructor(signal, arrived) {
    this.#signal = signal;
    this.#arrived = arrived;
  }

  /** A branch's own versions, oldest first, each with `position` (its LSN as a number) and `at` (milliseconds); undefined while they are not known. */
  of(branch) {
    return this.#known.get(branch.id);
  }

  /** Says which branches are in view. They are asked for once the view stays where it is, and those that left it are not. */
  want(branches) {
    clearTimeout(this.#still);
    this.#waiting = [];
    const unknown = branches.filter((branch) => !this.#known.has(branch.id));
    if (unknown.length === 0) return;
    this.#still = setTimeout(() => {
      this.#waiting = unknown;
      while (this.#running < AT_ONCE && this.#next());
    }, STILL_MS);
  }

  /** After a change: what is known is asked for again. */
  forget() {
    this.#known.clear();
  }

  #next() {
    const branch = this.supported && !this.#signal.aborted && this.#waiting.shift();
    if (!branch) return false;
    this.#running += 1;
    this.#known.set(branch.id, undefined);
    this.#ask(branch).finally(() => {
      this.#running -= 1;
      this.#next();
    });
    return true;
  }

  async #ask(branch) {
    try {
      const { versions } = await api.get(`${branchPath(branch)}/history?limit=${VERSIONS_MAX}&order=desc`, { signal: this.#signal });
      this.#known.set(branch.id, ownVersions(branch, versions));
      this.#arrived();
    } catch (error) {
      if (error.unsupported) this.supported = false;
      this.#known.delete(branch.id);
    }
  }
}

/** The versions that a branch made itself, oldest first. */
export function ownVersions(branch, versions) {
  const fork = parseLsn(branch.parent_lsn) ?? 0;
  const placed = versions.map((version) => ({ ...version, position: parseLsn(version.lsn), at: Date.parse(version.committed_at) }));
  return placed.filter((version) => version.position > fork).sort((a, b) => a.position - b.position);
}

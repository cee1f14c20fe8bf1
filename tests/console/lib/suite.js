// One server and one browser for the tests of a file.

import { after, before } from "node:test";
import { openPage, startBrowser } from "./browser.js";
import { newProject, startServer } from "./server.js";

/** Starts both before the tests of a file, with what `prepare` makes, and stops them after. */
export function suite({ args, compute, prepare = async () => {} } = {}) {
  const shared = {
    open: (more) => openPage(shared.browser, shared.server, more),
    project: (name) => newProject(shared.server.api, name),
    get api() { return shared.server.api; },
  };
  before(async () => {
    shared.server = await startServer({ args, compute });
    shared.browser = await startBrowser();
    await prepare();
  });
  after(async () => {
    await shared.browser?.close();
    await shared.server?.stop();
  });
  return shared;
}

/** Waits until `look` gives something true; what it gives is returned. For what the page does not show. */
export async function eventually(look, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    const seen = await look();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it never came true that ${what}`);
}

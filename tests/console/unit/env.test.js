// The `.env` file, read back by what reads such files: a shell.

import { test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databaseUrl, envFile } from "../../../crates/api/console/lib/env.js";
import { checkDatabaseName, checkUserName } from "../../../crates/api/console/lib/names.js";

const HOSTILE = ["sally", "o'brien", `a"b`, "$HOME", "`id`", "two words", "a#b", "a&b;c", "back\\slash", "é🌱", `all ' of " $ \` \\ them`];

test("a shell reads from the file what was put into it", () => {
  const directory = mkdtempSync(join(tmpdir(), "offshoot-env-"));
  try {
    for (const user of HOSTILE) {
      const login = { host: "ep-x.localhost", port: 5432, database: `${user} db`, user, password: "npgAbc123" };
      const file = join(directory, ".env");
      writeFileSync(file, envFile(login));
      const read = execFileSync("sh", ["-c", `. ${file}; printf '%s\\n' "$DATABASE_URL" "$PGHOST" "$PGPORT" "$PGDATABASE" "$PGUSER" "$PGPASSWORD"`], { encoding: "utf8" });
      assert.deepEqual(read.trimEnd().split("\n"), [databaseUrl(login), login.host, "5432", login.database, user, login.password]);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a URL gives back the names that it was made of", () => {
  for (const user of HOSTILE) {
    const url = new URL(databaseUrl({ host: "h", port: 5432, database: user, user, password: "p/w@:" }));
    assert.deepEqual([decodeURIComponent(url.username), decodeURIComponent(url.password), decodeURIComponent(url.pathname.slice(1))], [user, "p/w@:", user]);
  }
});

test("names are measured in bytes, and the system's are reserved", () => {
  for (const [name, fits] of [["a", true], ["é".repeat(31), true], ["é".repeat(32), false], ["🌱".repeat(16), false], ["pg_x", false], ["PG_x", true], ["web_access", false], ["databricks_x", false], ["", false]]) {
    assert.equal(checkUserName(name).ok, fits, name);
  }
  assert.equal(checkDatabaseName("template0").ok, false);
  assert.equal(checkDatabaseName("pg_x").ok, true);
});

// The types: what the library and the console are written with is what they say, and a page in TypeScript can
// use the library.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));

for (const project of ["tests/browser/types/library.json", "src/http/console", "tests/browser/types"]) {
  test(`the types of ${project}`, () => {
    const compiler = join(HERE, "node_modules/typescript/bin/tsc");
    const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, "-p", join(HERE, "../..", project)], { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  });
}

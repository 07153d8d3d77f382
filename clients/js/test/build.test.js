// What is served is what the modules say, and small.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const served = readFileSync(here("statshub.js"));

test("the file that is served is less than 10 KB compressed, and needs nothing", () => {
  const size = gzipSync(served, { level: 9 }).length;
  assert.ok(size < 10 * 1024, `${size} bytes`);
  assert.ok(!/\bimport\s*[{*"']/.test(served), "no imports");
});

test("it is what npm run build makes of the modules", () => {
  const run = (tool, args, input) => execFileSync(here(`node_modules/.bin/${tool}`), args, { cwd: here("."), input });
  const { build } = JSON.parse(readFileSync(here("package.json"))).scripts;
  assert.ok(existsSync(here("node_modules/.bin/esbuild")), "npm ci first");
  const [bundle, minify] = build.split("|").map((command) => command.trim().split(" "));
  const text = run(bundle[0], bundle.slice(1));
  const made = run(minify[0], minify.slice(1, minify.indexOf("--output")), text);
  assert.equal(made.toString().trim(), served.toString().trim());
});

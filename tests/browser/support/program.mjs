// Child processes: each in a directory of its own, its output in files, stopped by its own id.

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { inTime } from "./wait.mjs";

/** Those that run, for the case that the runner is told to stop in the middle. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** A new directory; `remove` it. */
export function directory() {
  const path = mkdtempSync(join(tmpdir(), "statshub-browser-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export class Program {
  /**
   * @param {string} command
   * @param {string[]} args
   * @param {{cwd: string, env?: Record<string, string>, log?: string}} options `log` names its output in `cwd`
   */
  constructor(command, args, { cwd, env, log = "output" }) {
    this.file = resolve(cwd, log);
    const output = openSync(this.file, "a");
    this.child = spawn(command, args, { cwd, env, stdio: ["ignore", output, output] });
    closeSync(output);
    running.add(this.child);
    this.ended = new Promise((resolve) => {
      this.child.once("error", resolve);
      this.child.once("exit", resolve);
    }).then(() => running.delete(this.child));
  }

  get isRunning() {
    return running.has(this.child);
  }

  /** Everything that it has written. */
  get wrote() {
    return readFileSync(this.file, "utf8");
  }

  /** Sends `signal` and waits for the end. */
  async stop(signal = "SIGTERM") {
    if (this.isRunning) this.child.kill(signal);
    await inTime(`${this.child.spawnfile} to end`, this.ended);
  }
}

// The real program on a port of its own, with settings of its own.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Program, directory } from "./program.mjs";
import { freePort } from "../../../clients/js/test/support/ports.js";
import { until } from "./wait.mjs";

/** The project's own directory. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const A = "/api/admin/analytics";

const BINARY = resolve(ROOT, process.env.STATSHUB_BIN ?? "target/debug/statshub");
const SECRET = "a secret that is long enough for HS256";

/** Signs of life come so often that a test need not wait for them long. */
const LIVELY = "[realtime]\nheartbeat_interval_ms = 500\nsse_retry_ms = 300\n" +
  "reconnect_spread_min_ms = 10\nreconnect_spread_max_ms = 300\n";

export class Hub {
  /**
   * @param {{config?: string, args?: string[], realtime?: string}} [options] `config` in TOML; `realtime`
   * stands for its section [realtime]; `args` the words of the command line
   */
  static async start({ config = "", args = ["serve"], realtime = LIVELY } = {}) {
    const hub = new this();
    hub.home = directory();
    hub.port = await freePort();
    hub.args = args;
    hub.env = { HOST: "127.0.0.1", PORT: String(hub.port), JWT_SECRET: SECRET };
    writeFileSync(join(hub.home.path, "config.toml"), realtime + config);
    await hub.start();
    return hub;
  }

  /** Again, on the same port and store, after `kill` or `drain`. */
  async start() {
    this.program = new Program(BINARY, this.args, { cwd: this.home.path, env: this.env });
    const ready = async () => {
      if (!this.program.isRunning) return "it has ended";
      return this.isReady();
    };
    const outcome = await until("the hub to listen", ready, () => this.program.wrote);
    if (outcome !== true) throw new Error(`${BINARY}: ${outcome}\n${this.program.wrote}`);
  }

  async isReady() {
    return (await fetch(this.url("/health/ready"))).ok;
  }

  /** As by a power cut: nobody is told. */
  kill() {
    return this.program.stop("SIGKILL");
  }

  /** In order: every stream is told when to come back. */
  drain() {
    return this.program.stop("SIGTERM");
  }

  /** For good. */
  async stop() {
    await this.kill();
    this.home.remove();
  }

  url(path = "") {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** A JWT. */
  token({ user = "ada", role = "platform_admin", ttl = "1h" } = {}) {
    const args = ["token", "--user", user, "--role", role, "--ttl", ttl];
    return execFileSync(BINARY, args, { cwd: this.home.path, env: this.env, encoding: "utf8" }).trim();
  }

  /** What `path` below the interface's base answers: `data` of a good answer. */
  async ask(path, body, headers = {}) {
    this.service ??= this.token({ user: "tests" });
    const answer = await fetch(this.url(A + path), {
      method: body ? "POST" : "GET",
      headers: { Authorization: `Bearer ${this.service}`, "Content-Type": "application/json", ...headers },
      body: body && JSON.stringify(body),
    });
    const { success, data, error } = await answer.json();
    if (!success) throw new Error(`${path}: ${answer.status} ${error}`);
    return data;
  }

  publish(metric, data, more = {}) {
    return this.ask("/publish", { metric, data, ...more });
  }

  /** Live sessions of `user`. */
  async connections(user = "ada") {
    const { connections } = await this.ask(`/connections?state=live&user=${user}`);
    return connections;
  }
}

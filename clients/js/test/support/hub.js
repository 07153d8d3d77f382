// The real hub, on a port of its own.
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { freePort } from "./ports.js";

const PROGRAM = process.env.STATSHUB_BIN ?? fileURLToPath(new URL("../../../../target/debug/statshub", import.meta.url));
const API = "/api/admin/analytics";

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until `holds()` is true, looked at often; fails after `ms`.
export async function until(holds, what = `${holds}`, ms = 10_000) {
  for (const end = Date.now() + ms; !holds(); await sleep(5)) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
  }
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class HubProcess {
  #process;
  #secret = randomBytes(32).toString("hex");
  #issued = 0;

  // `settings`: what is in its config.toml.
  static async start(settings = "") {
    const hub = new HubProcess();
    hub.directory = await mkdtemp(join(tmpdir(), "statshub-js-"));
    hub.port = await freePort();
    hub.url = `http://127.0.0.1:${hub.port}/`;
    await writeFile(join(hub.directory, "config.toml"), `[audit]\nenabled = false\n${settings}`);
    await hub.run();
    return hub;
  }

  async run() {
    const env = { PATH: process.env.PATH, JWT_SECRET: this.#secret, RUST_LOG: "error" };
    const options = { cwd: this.directory, env, stdio: ["ignore", "pipe", "inherit"] };
    this.#process = spawn(PROGRAM, ["serve", "--dev", "--port", String(this.port)], options);
    let said = "";
    this.#process.stdout.on("data", (text) => (said += text));
    await until(() => said.includes("listening on") || this.#process.exitCode !== null, "the hub is up");
    if (this.#process.exitCode !== null) throw new Error(`the hub did not start: ${said}`);
  }

  async kill(signal = "SIGKILL") {
    const gone = once(this.#process, "exit");
    this.#process.kill(signal);
    await gone;
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.kill();
    await rm(this.directory, { recursive: true });
  }

  token(user = "ada", { role = "platform_admin", seconds = 3600 } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: user, role, exp: now + seconds, jti: `${++this.#issued}` };
    const text = `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url(claims)}`;
    return `${text}.${createHmac("sha256", this.#secret).update(text).digest("base64url")}`;
  }

  // Over a connection of its own: one that is kept may be closed by the hub just when it is used again.
  async ask(path, body, user = "ada") {
    const headers = { Authorization: `Bearer ${this.token(user)}`, "Content-Type": "application/json" };
    const asked = request(`${this.url.slice(0, -1)}${API}${path}`, { method: body ? "POST" : "GET", headers, agent: false });
    asked.end(body && JSON.stringify(body));
    const [answer] = await once(asked, "response");
    const { data, error } = await json(answer);
    if (error) throw new Error(`${path}: ${error}`);
    return data;
  }

  // Returns the message's id.
  async publish(metric, data, more) {
    return (await this.ask("/publish", { metric, data, ...more })).messageId;
  }
}

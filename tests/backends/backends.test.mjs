// Each example of a back end against a real hub: its admin logs in, takes a token and opens a stream with
// it, and sees the metric and the alert of an order. What is not installed is skipped, with a word.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "../../clients/js/statshub.js";
import { freePort } from "../../clients/js/test/support/ports.js";
import { Hub, ROOT } from "../browser/support/hub.mjs";
import { Program, directory } from "../browser/support/program.mjs";
import { until } from "../browser/support/wait.mjs";

const PASSWORD = "a password of the admin";
const EXAMPLES = join(ROOT, "examples/backends");

const runs = (...[command, ...args]) => spawnSync(command, args).status === 0;

/** The system's own too: Debian's packages are not seen by a Python installed beside it. */
const python = ["python3", "/usr/bin/python3"].find((it) => runs(it, "-c", "import django, jwt"));

/** `missing` says why one is skipped; `prepare` and `start` are commands, in the example's folder. */
const BACKENDS = {
  express: {
    missing: !existsSync(join(EXAMPLES, "express/node_modules")) && "run `npm ci` in its folder",
    start: () => ["node", "server.js"],
  },
  django: {
    missing: !python && "needs the packages python3-django and python3-jwt",
    prepare: [
      [python, "manage.py", "migrate", "--verbosity=0"],
      [python, "manage.py", "createsuperuser", "--noinput", "--username=admin", "--email=admin@example.org"],
    ],
    start: (port) => [python, "manage.py", "runserver", "--noreload", `127.0.0.1:${port}`],
  },
  rails: {
    missing: !runs("ruby", "-e", "require 'rails'; require 'jwt'; require 'puma'") && "needs the packages ruby-rails, ruby-jwt and puma",
    start: (port) => ["puma", "--bind", `tcp://127.0.0.1:${port}`, "config.ru"],
  },
  go: {
    missing: !runs("go", "version") && "needs Go",
    prepare: [["go", "build", "-o", "PROGRAM", "."]],
    start: () => ["PROGRAM"],
    basic: true,
  },
  laravel: { missing: "needs an application to go into, and Packagist" },
  spring: { missing: "needs packages of Maven Central" },
};

let hub;

before(async () => (hub = await Hub.start()));
after(() => hub?.stop());

for (const [name, backend] of Object.entries(BACKENDS)) {
  test(`${name}: the admin, and nobody else, sees each order and alert once, also after the hub was away`, { skip: backend.missing }, async () => {
    const example = await start(name, backend);
    let stream;
    try {
      assert.ok([401, 403].includes((await fetch(example.url("/hub-token"))).status));
      const credentials = await (backend.basic ? basic() : logIn(example));
      const getToken = async () => {
        const answer = await fetch(example.url("/hub-token"), { headers: credentials });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get("Cache-Control").includes("no-store"), true);
        return answer.text();
      };
      stream = connect({ url: hub.url("/"), metrics: ["orders.*"], getToken, transport: "sse" });
      const values = [];
      const alerts = [];
      stream.on("metrics_update", (data) => values.push(data["orders.latest"]));
      stream.on("system_alert", (alert) => alerts.push(alert));
      await until("the stream to be live", () => stream.state === "live", () => stream.status);

      const small = await order(example, 12.5);
      const large = await order(example, 1200);
      await until("both orders and the alert", () => values.length >= 2 && alerts.length, () => example.wrote);
      const byTotal = values.sort((one, other) => one.total - other.total);
      assert.deepEqual(byTotal, [{ id: small, total: 12.5 }, { id: large, total: 1200 }]);
      assert.equal(alerts.length, 1);
      const [{ severity, message, orderId }] = alerts;
      assert.deepEqual({ severity, orderId }, { severity: "medium", orderId: large });
      assert.match(message, /^An order of 1200(\.0)?$/);

      await hub.kill();
      const later = await order(example, 7);
      await hub.start();
      await until("the order that was made without a hub", () => values.some(({ id }) => id === later), () => example.wrote);
      assert.equal(values.length, 3, "each once");
    } finally {
      stream?.close();
      await example.stop();
    }
  });
}

/** The example as a program of its own, with what it writes in a directory of its own. */
async function start(name, { prepare = [], start }) {
  const home = directory();
  const port = await freePort();
  const place = (words) => words.map((word) => (word === "PROGRAM" ? join(home.path, "program") : word));
  const options = {
    cwd: join(EXAMPLES, name),
    env: {
      ...process.env,
      STATSHUB_URL: hub.url(),
      JWT_SECRET: hub.env.JWT_SECRET,
      SESSION_SECRET: "another secret that is long enough, and is not the hub's own, for sessions",
      ADMIN_PASSWORD: PASSWORD,
      DJANGO_SUPERUSER_PASSWORD: PASSWORD,
      DATABASE: join(home.path, "shop.sqlite3"),
      PYTHONDONTWRITEBYTECODE: "1",
      PORT: String(port),
    },
  };
  for (const [command, ...args] of prepare.map(place)) {
    const { status, stdout, stderr } = spawnSync(command, args, { ...options, encoding: "utf8" });
    assert.equal(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`);
  }
  const [command, ...args] = place(start(port));
  const program = new Program(command, args, { ...options, log: join(home.path, "output") });
  const example = {
    url: (path) => `http://127.0.0.1:${port}${path}`,
    get wrote() {
      return program.wrote;
    },
    async stop() {
      await program.stop("SIGKILL");
      home.remove();
    },
  };
  const answers = async () => !program.isRunning || (await fetch(example.url("/hub-token"))).status > 0;
  await until(`${name} to listen`, answers, () => program.wrote);
  assert.ok(program.isRunning, program.wrote);
  return example;
}

/** As a browser would: the form, its hidden fields, and the cookies from there on. */
async function logIn(example) {
  const cookies = new Map();
  const keep = (answer) => {
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    return answer;
  };
  const headers = () => ({ Cookie: [...cookies].map((pair) => pair.join("=")).join("; ") });

  const page = await keep(await fetch(example.url("/login"))).text();
  const form = new URLSearchParams({ username: "admin", password: PASSWORD });
  for (const [field] of page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    form.set(field.match(/name="([^"]*)"/)[1], field.match(/value="([^"]*)"/)[1]);
  }
  const init = { method: "POST", body: form, headers: headers(), redirect: "manual" };
  const answer = keep(await fetch(example.url("/login"), init));
  assert.ok([302, 303].includes(answer.status), `logging in was answered with ${answer.status}\n${example.wrote}`);
  return headers();
}

const basic = () => ({ Authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString("base64")}` });

async function order(example, total) {
  const body = JSON.stringify({ total });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(example.url("/orders"), { method: "POST", headers, body });
  assert.equal(answer.status, 201, example.wrote);
  return (await answer.json()).id;
}

// HTTP/2, against a hub that is built with the feature of that name: many streams on one connection, as a
// browser has them. What a client sees is what it sees over HTTP/1.1.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { get } from "node:https";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { A, Hub } from "../browser/support/hub.mjs";
import { directory } from "../browser/support/program.mjs";
import { inTime, until } from "../browser/support/wait.mjs";

const STREAMS = 20;
const MESSAGES = 1000;
const KIB_2 = "x".repeat(2048);
const { HTTP2_HEADER_STATUS: STATUS, NGHTTP2_CANCEL } = constants;

class SecureHub extends Hub {
  url(path = "") {
    return `https://localhost:${this.port}${path}`;
  }

  async isReady() {
    const client = new Client(this);
    try {
      return (await client.ask("/health/ready")).status === 200;
    } finally {
      client.close();
    }
  }
}

/** One connection. */
class Client {
  constructor(hub) {
    this.session = connect(hub.url(), { rejectUnauthorized: false });
    this.failed = new Promise((_, reject) => this.session.on("error", reject));
    this.failed.catch(() => {});
    this.headers = hub.home && { authorization: `Bearer ${(hub.ada ??= hub.token())}` };
  }

  close() {
    this.session.destroy();
  }

  async ask(path, body) {
    const request = this.session.request({
      ":path": path, ":method": body ? "POST" : "GET", "content-type": "application/json", ...this.headers,
    });
    request.end(body && JSON.stringify(body));
    const [headers] = await Promise.race([once(request, "response"), this.failed]);
    let text = "";
    for await (const piece of request.setEncoding("utf8")) text += piece;
    return { status: headers[STATUS], ...JSON.parse(text) };
  }

  async publish(data) {
    const messages = data.map((value) => ({ metric: "a", data: value }));
    assert.equal((await this.ask(`${A}/publish`, { messages })).status, 202);
  }

  async stream() {
    const stream = new Stream(this.session.request({ ":path": `${A}/stream?metrics=a`, ...this.headers }));
    await Promise.race([stream.opened, this.failed]);
    return stream;
  }
}

/** A stream of events, and what has come on it. */
class Stream {
  messages = [];
  #text = "";

  constructor(request) {
    this.request = request;
    this.opened = once(request, "response").then(([headers]) => (this.headers = headers));
    request.on("error", () => {});
    request.setEncoding("utf8").on("data", (text) => {
      const blocks = (this.#text + text).split("\n\n");
      this.#text = blocks.pop();
      for (const block of blocks) {
        const data = block.match(/^data: (\{.*)$/m);
        if (data) this.messages.push(JSON.parse(data[1]));
      }
    });
  }

  of(type) {
    return this.messages.filter((message) => message.type === type);
  }

  get values() {
    return this.of("metrics_update").map(({ data }) => data.a.n);
  }
}

const numbered = (from, to) => Array.from({ length: to - from }, (_, at) => ({ n: from + at, text: KIB_2 }));
const upTo = (count) => Array.from({ length: count }, (_, n) => n);

/** Publishes everything, no faster than these read: who is too slow is told of a loss, whatever the protocol. */
async function publishTo(streams) {
  for (let n = 0; n < MESSAGES; n += 50) {
    await client.publish(numbered(n, n + 50));
    for (const stream of streams) {
      await until("the messages so far", () => stream.values.length >= n + 50, () => stream.values.length);
    }
  }
  for (const stream of streams) assert.deepEqual(stream.values, upTo(MESSAGES));
}

let home;
let hub;
let client;

before(async () => {
  home = directory();
  const [certificate, key] = ["certificate.pem", "key.pem"].map((name) => join(home.path, name));
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
    "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost",
    "-keyout", key, "-out", certificate], { stdio: "ignore" });
  const config = `[tls]\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n` +
    `[sessions]\nconnections_per_user_max = ${2 * STREAMS}\n[limits]\nper_user_burst = 100000\n`;
  hub = await SecureHub.start({ config });
});
after(async () => {
  await hub?.stop();
  home.remove();
});
afterEach(() => client?.close());

test("streams of one connection each have every message, once and in order", async () => {
  client = new Client(hub);
  const streams = await Promise.all(upTo(STREAMS).map(() => client.stream()));
  assert.equal(client.session.alpnProtocol, "h2");
  for (const { headers } of streams) {
    assert.equal(headers[STATUS], 200);
    assert.equal(headers["content-type"], "text/event-stream");
    // RFC 9113, section 8.2.2: there is no such thing here.
    assert.equal(headers.connection, undefined);
  }
  await publishTo(streams);
});

test("one that is not read does not hold up the others, and has what it missed when it is read again", async () => {
  client = new Client(hub);
  const streams = await Promise.all(upTo(STREAMS).map(() => client.stream()));
  const [stalled, ...others] = streams;
  await until("the opening", () => stalled.of("initial_metrics").length);
  stalled.request.pause();
  await publishTo(others);
  assert.ok(stalled.values.length < MESSAGES);
  stalled.request.resume();
  await until("the last message", () => stalled.values.includes(MESSAGES - 1), () => stalled.values.length);
  const dropped = stalled.of("messages_dropped").reduce((sum, { data }) => sum + data.droppedMessagesCount, 0);
  assert.equal(stalled.values.length + dropped, MESSAGES);
  assert.deepEqual(stalled.values, [...new Set(stalled.values)].sort((one, other) => one - other));
});

test("one that is cancelled frees its place, and the others go on", async () => {
  client = new Client(hub);
  const [cancelled, kept] = await Promise.all([client.stream(), client.stream()]);
  cancelled.request.close(NGHTTP2_CANCEL);
  const live = async () => (await client.ask(`${A}/connections?state=live`)).data.connections.length;
  await until("one to be away", async () => (await live()) === 1, live);
  await client.publish(numbered(0, 1));
  await until("the message", () => kept.values.length);
});

// Attack: requests that are taken back as soon as they are made ("rapid reset").
test("a client that takes back all that it asks for holds up nobody else", async () => {
  client = new Client(hub);
  const stream = await client.stream();
  const flood = new Client(hub);
  const { session } = flood;
  let published = 0;
  for (let n = 0; n < 5000 && !session.closed && !session.destroyed; n++) {
    const request = session.request({ ":path": `${A}/stream`, ...flood.headers });
    request.on("error", () => {});
    request.close(NGHTTP2_CANCEL);
    if (n % 500 === 0) await client.publish([{ n: published++ }]);
  }
  await until("what was published meanwhile", () => stream.values.length === published);
  flood.close();
});

test("what comes by HTTP/1.1 is served as ever", async () => {
  const options = { rejectUnauthorized: false, headers: { authorization: `Bearer ${hub.token()}` } };
  const request = get(hub.url(`${A}/stream`), options);
  const [response] = await once(request, "response");
  assert.equal(response.httpVersion, "1.1");
  assert.equal(response.headers.connection, "keep-alive");
  request.destroy();
});

test("a hub that stops says so on every stream", async () => {
  client = new Client(hub);
  const streams = await Promise.all([client.stream(), client.stream()]);
  const ended = Promise.all(streams.map(({ request }) => once(request, "close")));
  await hub.drain();
  await inTime("the streams to end", ended);
  for (const stream of streams) assert.equal(stream.of("server_shutdown").length, 1);
  assert.equal(hub.program.child.exitCode, 0);
});

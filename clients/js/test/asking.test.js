// What the library asks a hub for besides plain metrics, and what it makes of the answers: a hub that does as it is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/statshub.js";
import { event, FakeBrowser, notice, opening, published, resuming } from "./support/fake.js";

const SECOND = 1000;

async function begin(options) {
  const browser = new FakeBrowser();
  const hub = connect({ url: "http://hub.test/", getToken: () => "jwt", ...options }, browser.env);
  const states = [];
  hub.on("state", ({ state, reason }) => states.push(`${state} ${reason}`));
  await browser.pass(0);
  return { browser, hub, states };
}

async function live(options) {
  const begun = await begin(options);
  const stream = await begun.browser.asked.stream("retry: 3000\n", ...opening());
  assert.deepEqual(begun.states, ["live opened"]);
  return { ...begun, stream };
}

test("what asks for less goes in the address as JSON, and in its place later", async () => {
  const low = { metric: "credits.*", fields: ["/balance"], where: "data.balance < 10" };
  const { browser, hub } = await begin({ metrics: ["a", low] });
  assert.deepEqual(JSON.parse(browser.asked.query.metrics), ["a", low]);
  const metrics = [{ where: low.where, fields: low.fields, metric: low.metric }, "a"];
  await browser.asked.stream(event(notice("connection_established", { reconnectToken: "rt", metrics, resumed: false })), event(published("1-0", "initial_metrics", {})));
  assert.equal(browser.asked, null, "however the hub writes it down");
  const agrees = (data = { connections: 1 }) => browser.asked.answer(200, { success: true, data });
  const changed = hub.subscribe([{ metric: "credits.*", maxHz: 1 }]);
  await browser.pass(0);
  assert.deepEqual(JSON.parse(browser.asked.init.body).metrics, [{ metric: "credits.*", maxHz: 1 }]);
  await agrees();
  assert.deepEqual([browser.asked.path, browser.asked.query.metrics], ["metrics", "credits.*"]);
  await agrees({ "credits.x": { value: { balance: 1 }, messageId: "1-0", timestamp: "t", stale: true } });
  assert.deepEqual(await changed, ["a", { metric: "credits.*", maxHz: 1 }]);
  assert.equal(hub.get("credits.x").stale, true);
  const again = hub.subscribe([low]);
  await browser.pass(0);
  await agrees();
  assert.deepEqual(await again, ["a", low]);
  assert.equal(browser.asked, null, "which of the values that there were met it, nobody says");
  const gone = hub.unsubscribe(["credits.*"]);
  await browser.pass(0);
  assert.deepEqual([browser.asked.path, JSON.parse(browser.asked.init.body).metrics], ["unsubscribe", ["credits.*"]]);
  await agrees();
  assert.deepEqual(await gone, ["a"]);
  await assert.rejects(hub.subscribe([{ metric: "a", maxHz: 0 }]), { code: "invalid_request" });
});

const bad = (path) => ({ success: false, error: `${path === "body" ? "Invalid body at metrics[0]" : "Invalid metrics"}: where: no`, code: "invalid_request", details: { path: "metrics[0]", line: 1, column: 6 } });

test("an expression that the hub does not take is told with its place, and only that is not wanted", async () => {
  const { browser, hub } = await live({ metrics: ["**"] });
  const odd = { metric: "b", where: "data <" };
  const refused = assert.rejects(hub.subscribe([odd]), {
    name: "StatshubError", code: "invalid_request", status: 400, message: "Invalid metrics: where: no", details: { metric: "b", line: 1, column: 6 },
  });
  await browser.pass(0);
  assert.deepEqual(JSON.parse(browser.asked.init.body).metrics, [odd]);
  await browser.asked.answer(400, bad("body"));
  await refused;
  assert.equal(browser.asked, null);
  assert.deepEqual(await hub.unsubscribe(["b"]), ["**"]);
});

test("a page that asks for it at the start goes on with the rest, or is refused where there is none", async () => {
  const { browser, hub, states } = await begin({ metrics: [{ metric: "b", where: "data <" }, "a"] });
  const errors = [];
  hub.on("error", (error) => errors.push(error));
  await browser.asked.answer(400, bad());
  assert.deepEqual(errors, [{ message: "Invalid metrics: where: no", code: "invalid_request", details: { metric: "b", line: 1, column: 6 } }]);
  assert.equal(browser.asked.query.metrics, "a");
  await browser.asked.stream(event(notice("connection_established", { reconnectToken: "rt", metrics: ["a"], resumed: false })), event(published("1-0", "initial_metrics", {})));
  assert.equal(states.at(-1), "live opened");
  assert.equal(browser.asked, null);
  const alone = await begin({ metrics: [{ metric: "b", where: "data <" }] });
  await alone.browser.asked.answer(400, bad());
  assert.deepEqual([alone.hub.state, alone.hub.reason, alone.hub.status.final], ["refused", "invalid_request", true]);
  // Unless it asks for something else.
  assert.deepEqual(await alone.hub.subscribe(["a", { metric: "b", where: "data < 1" }]), [{ metric: "b", where: "data < 1" }, "a"]);
  await alone.browser.pass(0);
  assert.ok(alone.browser.asked);
});

test("a hub that has as many forms as it may is asked for whole values, until the next connection", async () => {
  const full = { success: false, error: "the hub has as many different views as it may", code: "invalid_request" };
  const less = { metric: "b", maxHz: 1 };
  const { browser, hub, states } = await begin({ metrics: ["a", less] });
  await browser.asked.answer(400, full);
  assert.equal(browser.asked.query.metrics, "a,b");
  const stream = await browser.asked.stream(event(notice("connection_established", { reconnectToken: "rt", metrics: ["a", "b"], resumed: false })), event(published("1-0", "initial_metrics", {})));
  assert.deepEqual(states.at(-1), "live opened");
  // It may have room by now; and has not.
  assert.deepEqual(JSON.parse(browser.asked.init.body).metrics, [less]);
  await browser.asked.answer(400, full);
  assert.equal(browser.asked, null);
  assert.deepEqual(hub.connection.metrics, ["a", "b"]);
  await stream.end();
  await browser.pass(3 * SECOND);
  await browser.asked.stream(resuming({ metrics: ["a", "b"] }));
  await browser.asked.answer(200, { success: true, data: { connections: 1 } });
  assert.deepEqual(hub.connection.metrics, ["a", less]);
});

test("what changes is put together, and where it does not fit the stream goes on whole from there", async () => {
  const { browser, hub, states, stream } = await live();
  const seen = [];
  hub.on("*", (data, { type, messageId }) => seen.push([messageId, type, data]));
  const patch = (id, baseMessageId, data) => event({ ...published(id, "metrics_patch", data), baseMessageId });
  await stream.send(event(published("2-0", "metrics_update", { a: { n: 1, s: "x" } })), patch("3-0", "2-0", { a: { n: 2 } }));
  const second = hub.get("a");
  assert.deepEqual(second.value, { n: 2, s: "x" });
  await stream.send(patch("5-0", "4-0", { a: { n: 4 } }), patch("6-0", "5-0", { a: { n: 5 } }));
  assert.equal(hub.get("a"), second, "nothing wrong is shown");
  assert.deepEqual([browser.asked.path, browser.asked.query], ["reconnect", { token: "rt", lastEventId: "3-0" }]);
  const replayed = [4, 5].map((n) => event(published(`${n + 1}-0`, "metrics_update", { a: { n, s: "x" } })));
  await browser.asked.stream(resuming({ replayedMessagesCount: 2 }), ...replayed);
  assert.deepEqual(seen.map(([id, type, { a }]) => [id, type, a.n]), [2, 3, 5, 6].map((id) => [`${id}-0`, "metrics_update", id - 1]));
  assert.deepEqual(states, ["live opened", "resuming network", "live resumed"]);
});

test("without delta nothing is asked for", async () => {
  const { browser } = await begin({ delta: false });
  assert.deepEqual(browser.asked.query, { metrics: "**" });
});

test("a value that is overdue is told, and on resuming those that are", async () => {
  const { browser, hub, stream } = await live();
  const stale = [];
  hub.on("stale", (it) => stale.push(it));
  await stream.send(event(notice("metric_stale", { metric: "a", messageId: "1-0", updatedAt: "u", ttlMs: 500 })));
  assert.deepEqual(stale, [{ metric: "a", messageId: "1-0", updatedAt: "u", ttlMs: 500 }]);
  assert.equal(hub.get("a").stale, true);
  await stream.send(event(published("2-0", "metrics_update", { a: 2 })));
  assert.equal(hub.get("a").stale, undefined);
  await stream.end();
  await browser.pass(3 * SECOND);
  const resumed = await browser.asked.stream(resuming({ staleMetrics: ["a", "b"] }));
  assert.equal(hub.get("a").stale, true);
  assert.deepEqual(stale.slice(1).map(({ metric, ttlMs }) => [metric, ttlMs]), [["a", undefined]]);
  await resumed.end();
  await browser.pass(6 * SECOND);
  await browser.asked.stream(resuming());
  assert.equal(hub.get("a").stale, undefined, "after all");
});

// The parts of the console that need no browser. Run by `node --test tests/console`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../src/http/console/errors.js";
import { Alerts } from "../../src/http/console/model/alerts.js";
import { followed, groups, kindOf, limitsOf } from "../../src/http/console/docs/document.js";
import { Metrics } from "../../src/http/console/model/metrics.js";
import { inWords, written } from "../../src/http/console/model/subscription.js";
import { Ring } from "../../src/http/console/model/ring.js";
import { bytes, change, duration, format } from "../../src/http/console/ui/format.js";
import { at, numbers, pointer } from "../../src/http/console/ui/leaves.js";
import { ticks, timeTicks } from "../../src/http/console/ui/scale.js";
import { RANGES, stepFor } from "../../src/http/console/views/history-range.js";

test("numbers are found wherever they are, plain fields first and elements of lists last", () => {
  const value = { list: [{ n: 1 }], deep: { er: { x: 2 } }, a: 3, text: "4", no: null, b: 5 };
  const found = numbers(value);
  assert.deepEqual(found.map(({ name }) => name), ["a", "b", "deep.er.x", "list.0.n"]);
  assert.deepEqual(found.map(({ path }) => at(value, path)), [3, 5, 2, 1]);
  assert.deepEqual(found.map(({ isListed }) => isListed), [false, false, false, true]);
  assert.deepEqual(numbers(7).map(({ name, path }) => [name, path]), [["", []]]);
  assert.deepEqual(numbers("text"), []);
});

test("a path is looked up also where the value is another by now", () => {
  assert.equal(at({ a: null }, ["a", "b"]), undefined);
  assert.equal(at(5, ["a"]), undefined);
  assert.equal(at({ a: [1, 2] }, ["a", "1"]), 2);
});

test("a pointer escapes what has a meaning in it", () => {
  assert.equal(pointer([]), "");
  assert.equal(pointer(["a/b", "c~d", "0"]), "/a~1b/c~0d/0");
});

test("a ring holds the newest", () => {
  const ring = new Ring(3);
  assert.equal(ring.length, 0);
  for (const value of [1, 2, 3, 4]) ring.push(value);
  assert.deepEqual([ring.length, ring.at(0), ring.at(1), ring.last], [3, 2, 3, 4]);
});

test("axes have round numbers around all of a range", () => {
  for (const [low, high, expected] of [
    [0, 1, [0, 0.5, 1]],
    [0, 97, [0, 50, 100]],
    [3274, 3276, [3274, 3275, 3276]],
    [-3, 7, [-5, 0, 5, 10]],
    [0, 0, [0, 0.5, 1]],
    [50, 50, [45, 50, 55]],
    [0.1, 0.3, [0.1, 0.2, 0.3]],
  ]) {
    assert.deepEqual(ticks(low, high, 2), expected, `${low} to ${high}`);
  }
});

test("times on an axis are round, within it, and not too many", () => {
  const day = 86_400_000;
  for (const length of [1000, 60_000, 3_600_000, day, 7 * day, 90 * day, 4000 * day]) {
    const from = Date.UTC(2026, 0, 31, 12, 34, 56);
    const found = timeTicks(from, from + length, 8);
    assert.ok(found.length > 0 && found.length <= 9, `${length}: ${found.length}`);
    assert.ok(found.every((time) => time >= from && time <= from + length));
  }
});

test("a chart has at most as many points as it can show, at a step that the hub takes", () => {
  for (const { ms } of [...RANGES, { ms: 1000 }, { ms: 5 * 365 * 86_400_000 }]) {
    assert.ok(ms / stepFor(ms) <= 300, `${ms}`);
    assert.ok(Number.isInteger(stepFor(ms)));
  }
});

test("a name says in which unit its number is", () => {
  assert.equal(format("memory.usedBytes", 2048), "2 KiB");
  assert.equal(format("network.sentBytesPerSecond", 10), "10 B/s");
  assert.equal(format("latencyMs", 1.5), `${(1.5).toLocaleString()} ms`);
  assert.equal(format("latency_ms", 2), "2 ms");
  assert.equal(format("ms", 2), "2 ms");
  assert.equal(format("queue.bytes", 1), "1 B");
  assert.equal(format("items", 3), "3");
  assert.equal(format("kilobytes", 3), "3");
  assert.equal(format("problems", 3), "3");
  assert.equal(format("", null), "–");
  assert.equal(format("", ["a", 1]), "a, 1");
  assert.equal(bytes(3 * 1024 ** 5), "3,072 TiB".replace(",", (1000).toLocaleString().slice(1, -3)));
});

test("a change has a sign and a time its largest unit", () => {
  assert.deepEqual([change("", 2), change("", -2), change("", 0)], ["+2", "−2", "±0"]);
  assert.deepEqual(
    [0, 59_999, 60_000, 3_660_000, 90_000_000].map(duration),
    ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h"]);
});

test("a metric that stays away for longer than it used to is stale", () => {
  const metrics = new Metrics();
  for (let i = 0; i < 5; i += 1) metrics.set("a", i, 10_000 * i);
  const metric = metrics.all.get("a");
  assert.equal(metric.time, 40_000);
  assert.equal(metric.isStale(40_000 + 39_000), false);
  assert.equal(metric.isStale(40_000 + 41_000), true);
});

test("a metric that the hub says is overdue is stale until its next value, and who listens hears of it", () => {
  const metrics = new Metrics();
  metrics.set("a", 1, 1000);
  const heard = [];
  metrics.listen(({ name, isOverdue }, isNew) => heard.push([name, isOverdue, isNew]));
  metrics.setOverdue("a");
  metrics.setOverdue("nobody");
  assert.equal(metrics.all.get("a").isStale(1000), true);
  metrics.set("a", 2, 2000);
  assert.equal(metrics.all.get("a").isStale(2000), false);
  metrics.set("b", 1, 1000, true);
  assert.equal(metrics.all.get("b").isStale(1000), true);
  assert.deepEqual(heard, [["a", true, false], ["a", false, false], ["b", true, true]]);
});

test("a subscription is told in words: patterns in one line, and a line for each that asks for less", () => {
  const low = { metric: "credits.*", fields: ["/byPlan/pro", "/total"], where: "data.balance < 10", maxHz: 2 };
  for (const [subscription, expected] of [
    [null, "everything"],
    [["**"], "everything"],
    [[], "alerts only"],
    [["a", "b.*"], "a, b.*"],
    [["a", low, "b.*"], "a, b.*\ncredits.* · /byPlan/pro, /total · where data.balance < 10 · 2 a second at most"],
    [["**", { metric: "system", maxHz: 0.02 }], "everything\nsystem · every 50 s at most"],
    [[{ metric: "a", where: "data > 1" }], "a · where data > 1"],
  ]) {
    assert.equal(inWords(subscription), expected);
  }
});

test("metrics are written between commas, or as JSON", () => {
  assert.deepEqual(written(" a, b.* ,"), ["a", "b.*"]);
  assert.deepEqual(written(""), []);
  const less = { metric: "a", fields: ["/x", "/y"] };
  assert.deepEqual(written(` ${JSON.stringify(less)}`), [less]);
  assert.deepEqual(written(JSON.stringify(["b", less])), ["b", less]);
  assert.throws(() => written('{"metric": '), SyntaxError);
});

test("how often a metric comes is not known from one value", () => {
  const metrics = new Metrics();
  metrics.set("a", 1, 1000);
  assert.equal(metrics.all.get("a").isStale(1e9), false);
});

test("a tile's size goes by how many numbers there are, and a new shape changes it", () => {
  const metrics = new Metrics();
  const size = (value) => {
    metrics.set("a", value, Date.now());
    return metrics.all.get("a").size;
  };
  const many = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, i]));
  assert.deepEqual([5, "text", many(2), many(8), many(30)].map(size), ["s", "s", "w", "m", "l"]);
  assert.equal(metrics.all.get("a").traces.length, 19);
});

test("a number keeps its past when the value around it changes its shape", () => {
  const metrics = new Metrics();
  metrics.set("a", { x: 1 }, 1);
  metrics.set("a", { x: 2, y: 5 }, 2);
  metrics.set("a", { y: 6, x: 4 }, 3);
  const { traces } = metrics.all.get("a");
  const x = traces.find(({ leaf }) => leaf.name === "x");
  assert.deepEqual([x.points.length, x.change], [3, 3]);
});

test("who listens hears of each value, and whether the metric is new", () => {
  const metrics = new Metrics();
  const heard = [];
  const end = metrics.listen(({ name }, isNew) => heard.push([name, isNew]));
  metrics.set("a", 1, 1);
  metrics.set("a", 2, 2);
  end();
  metrics.set("b", 1, 3);
  assert.deepEqual(heard, [["a", true], ["a", false]]);
});

test("a snapshot's value is as old as the hub says, unless it is another by now", () => {
  const metrics = new Metrics();
  metrics.set("a", { x: 1 }, 5000);
  metrics.set("b", 2, 5000);
  metrics.setTime("a", { x: 1 }, 1000);
  metrics.setTime("b", 1, 1000);
  assert.deepEqual(["a", "b"].map((name) => metrics.all.get(name).time), [1000, 5000]);
});

/** Alerts of a hub that answers when it is told to. */
function alerts() {
  const asked = [];
  const api = (_, { query }) => new Promise((resolve, reject) => asked.push({ query, resolve, reject }));
  const shown = new Alerts({ api });
  const alert = (alertId, state = "open") =>
    ({ alertId, state, severity: "high", message: alertId, raisedAt: new Date(1000 * Number(alertId)).toISOString() });
  const answer = (list, nextCursor = null) => asked.shift().resolve({ alerts: list, nextCursor });
  const states = () => shown.list.map(({ alertId, state }) => `${alertId} ${state}`);
  return { shown, asked, alert, answer, states };
}

test("alerts are what the hub answers, and what has come since it was asked", async () => {
  const { shown, alert, answer, states } = alerts();
  let loaded = shown.load();
  answer([alert("2"), alert("1")]);
  await loaded;
  assert.deepEqual(states(), ["2 open", "1 open"]);
  // The change of 1 is missed; 3 is raised, and 2 seen to, while the hub is asked.
  loaded = shown.load();
  shown.hear({ severity: "high", message: "3" }, { messageId: "3", timestamp: alert("3").raisedAt });
  shown.hear(alert("2", "acknowledged"), { messageId: "4", timestamp: alert("4").raisedAt });
  answer([alert("2")]);
  await loaded;
  assert.deepEqual(states(), ["3 open", "2 acknowledged"]);
});

test("of two questions for alerts the later one counts", async () => {
  const { shown, asked, alert, answer, states } = alerts();
  const first = shown.show({ state: "resolved", severity: "" });
  const second = shown.show({ state: "open", severity: "" });
  const [slow] = asked.splice(0, 1);
  answer([alert("2")], "more");
  slow.resolve({ alerts: [alert("1", "resolved")], nextCursor: null });
  await Promise.all([first, second]);
  assert.deepEqual([states(), shown.hasMore], [["2 open"], true]);
});

test("a hub that keeps no alerts leaves those that came, the newest of them", async () => {
  const { shown, asked, states } = alerts();
  const loaded = shown.load();
  asked.shift().reject(new ApiError(503, "unavailable", "There is no store"));
  await loaded;
  for (let i = 1; i <= 201; i += 1) shown.hear({}, { messageId: String(i), timestamp: new Date(1000 * i).toISOString() });
  assert.deepEqual([shown.isKept, states().length, states().at(-1)], [false, 200, "2 open"]);
});

test("the interface's operations are found by what they are for, and references are followed", () => {
  const name = { type: "string", enum: ["a", "b"], minLength: 1, maxLength: 5 };
  const document = {
    tags: [{ name: "One", description: "" }, { name: "Two", description: "" }],
    paths: {
      "/x": { get: { operationId: "x", tags: ["Two"] }, post: { operationId: "y", tags: ["One"] }, summary: "no operation" },
      "/z": { get: { operationId: "z", tags: ["Two"] }, head: { operationId: "zHead", tags: ["Two"] } },
    },
    components: { schemas: { "a/b": name, List: { type: "array", items: { $ref: "#/components/schemas/a~1b" } } } },
  };
  assert.deepEqual(groups(document).map(({ name, operations }) => [name, operations.map(({ methods, id }) => `${methods} ${id}`)]),
    [["One", ["POST y"]], ["Two", ["GET x", "GET, HEAD z"]]]);
  const reference = { $ref: "#/components/schemas/a~1b" };
  assert.equal(followed(document, reference), name);
  assert.deepEqual(followed(document, { $ref: "#/components/schemas/none" }), {});
  assert.equal(kindOf(document, { $ref: "#/components/schemas/List" }), "list of a~1b");
  assert.equal(kindOf(document, { type: ["string", "null"], format: "uuid" }), "string or null (uuid)");
  assert.equal(kindOf(document, {}), "any JSON");
  assert.deepEqual(limitsOf(name), ['one of "a", "b"', "length 1 to 5"]);
});

// Several tabs of one origin, and one connection to the real hub.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { sleep, until } from "./support/hub.js";
import { Origin } from "./support/origin.js";
import { closePages } from "./support/page.js";
import { Proxy } from "./support/proxy.js";
import { seeded } from "./support/random.js";
import { connectionsOf, leaderOf, open, openAll, publishing, startHub, upTo } from "./support/tabs.js";

const SEED = Number(process.env.SEED ?? Date.now() % 1e6);
const STEPS = Number(process.env.STEPS ?? 60);

let server;
before(async () => (server = await startHub()));
afterEach(closePages);
after(() => server.stop());

test("six tabs need one connection, and each gets every message once and in order", async () => {
  const tabs = await openAll(new Origin(), 6, { user: "six" });
  assert.equal(await connectionsOf("six"), 1);
  assert.equal(tabs.filter(({ hub }) => hub.connection.leader).length, 1);
  const stop = publishing("six.count");
  await sleep(200);
  const count = await stop();
  for (const tab of tabs) {
    await until(() => tab.updates("six.count").length >= count);
    assert.deepEqual(tab.updates("six.count"), upTo(count));
    assert.equal(tab.hub.get("six.count").value, count);
  }
});

test("a tab that comes later knows at once what the others know", async () => {
  const origin = new Origin();
  const [first] = await openAll(origin, 1);
  await server.publish("late.metric", 7);
  await until(() => first.hub.get("late.metric"));
  const late = open(origin);
  await late.live();
  assert.equal(late.hub.get("late.metric").value, 7);
  assert.equal(late.hub.connection.connectionId, first.hub.connection.connectionId);
  assert.equal(late.hub.connection.leader, false);
});

test("the connection asks for what all tabs want, and each tab sees what it wants", async () => {
  const origin = new Origin();
  const a = open(origin, { metrics: ["want.a"] });
  await a.live();
  const b = open(origin, { metrics: ["want.b"] });
  await b.live();
  await until(() => a.hub.connection.metrics.length === 2);
  await server.publish("want.c", 3);
  assert.deepEqual(await b.hub.subscribe(["want.c"]), ["want.b", "want.c"]);
  await until(() => b.hub.get("want.c"));
  for (const name of ["a", "b", "c"]) await server.publish(`want.${name}`, 1);
  await until(() => b.updates("want.c").length && a.updates("want.a").length);
  assert.deepEqual(a.values.map(({ metric }) => metric), ["want.a"]);
  assert.deepEqual(b.values.map(({ metric }) => metric), ["want.c", "want.b", "want.c"]);
  b.hub.close();
  await until(() => a.hub.connection.metrics.length === 1, "nobody wants the rest any more");
});

for (const [how, go] of [
  ["is closed", (tab) => tab.hub.close()],
  ["dies without a word", (tab) => tab.tab.die()],
]) {
  test(`when the tab with the connection ${how}, another goes on without a loss`, async () => {
    const origin = new Origin();
    const user = `heir-${how.length}`;
    const tabs = await openAll(origin, 5, { user, metrics: [`${user}.count`] });
    const stop = publishing(`${user}.count`);
    const left = [...tabs];
    for (let i = 0; i < 3; i++) {
      await sleep(100);
      const leader = leaderOf(left);
      left.splice(left.indexOf(leader), 1);
      go(leader);
      await until(() => leaderOf(left)?.hub.state === "live", "another has it");
    }
    await sleep(100);
    const count = await stop();
    for (const tab of left) {
      await until(() => tab.updates(`${user}.count`).length >= count, () => JSON.stringify(tab.states));
      assert.deepEqual(tab.updates(`${user}.count`), upTo(count));
      assert.deepEqual(tab.dropped, []);
    }
    assert.equal(await connectionsOf(user), 1);
  });
}

for (const transport of ["sse", "websocket"]) {
  test(`tabs come, go, die and lose the hub over ${transport}, and none misses a message or gets one twice (seed ${SEED})`, async () => {
    const random = seeded(SEED);
    const proxy = await Proxy.start(server.port);
    const origin = new Origin();
    const user = `storm-${transport}`;
    const add = () => open(origin, { user, url: proxy.url, transport, metrics: [`${user}.count`] });
    const tabs = [add(), add()];
    await Promise.all(tabs.map((tab) => tab.live()));
    const stop = publishing(`${user}.count`);
    const done = [];
    for (let step = 0; step < STEPS; step++) {
      await sleep(random() * 40);
      const at = Math.floor(random() * tabs.length);
      const what = random();
      if (what < 0.3 && tabs.length < 6) tabs.push(add());
      else if (what < 0.5 && tabs.length > 2) tabs.splice(at, 1)[0].hub.close();
      else if (what < 0.7 && tabs.length > 2) tabs.splice(at, 1)[0].tab.die();
      else if (what < 0.85) proxy.cut();
      else proxy.cutAfter(Math.floor(random() * 300));
      done.push(what.toFixed(2));
    }
    const count = await stop();
    for (const [i, tab] of tabs.entries()) {
      await until(() => tab.updates(`${user}.count`).at(-1) === count, () => `${i}: ${JSON.stringify(tab.states.slice(-4))} ${done}`);
      const updates = tab.updates(`${user}.count`);
      assert.deepEqual(updates, upTo(count).slice(updates[0] - 1), `tab ${i} of ${tabs.length}; ${done}`);
      assert.deepEqual(tab.dropped, []);
    }
    closePages();
    await proxy.stop();
  });
}

test("users, hubs and transports are kept apart", async () => {
  const origin = new Origin();
  const tabs = [open(origin, { user: "one" }), open(origin, { user: "two" }), open(origin, { user: "one", transport: "websocket" })];
  for (const tab of tabs) await tab.live();
  assert.deepEqual(tabs.map(({ hub }) => hub.connection.leader), [true, true, true]);
  assert.deepEqual(tabs.map(({ hub }) => hub.connection.userId), ["one", "two", "one"]);
});

test("tabs that do not want to share do not", async () => {
  const origin = new Origin();
  const tabs = await openAll(origin, 2, { shared: false, user: "alone" });
  assert.equal(await connectionsOf("alone"), 2);
  assert.ok(tabs.every(({ hub }) => hub.connection.leader));
});

test("from a frozen tab the connection is taken away", { timeout: 60_000 }, async () => {
  const tabs = await openAll(new Origin(), 2, { user: "frost", metrics: ["frost.count"] });
  const leader = leaderOf(tabs);
  const other = tabs.find((tab) => tab !== leader);
  leader.tab.frozen = true;
  await server.publish("frost.count", 1);
  // The other one asks when it is looked at, say after the machine slept.
  other.hub.reconnect();
  await until(() => other.hub.connection.leader && other.hub.state === "live");
  await until(() => other.updates("frost.count").length === 1);
  leader.tab.frozen = false;
  await until(() => !leader.hub.connection.leader);
  await server.publish("frost.count", 2);
  await until(() => leader.updates("frost.count").length === 2);
  assert.deepEqual(leader.updates("frost.count"), [1, 2]);
  assert.deepEqual(other.updates("frost.count"), [1, 2]);
  assert.equal(await connectionsOf("frost"), 1);
});

test("a page that comes back from the back-forward cache is stale, then live, and has missed nothing", async () => {
  const origin = new Origin();
  const [first, second] = await openAll(origin, 2, { user: "back", metrics: ["back.count"] });
  const [away, stays] = first.hub.connection.leader ? [first, second] : [second, first];
  away.tab.dispatchEvent(new Event("pagehide"));
  await until(() => stays.hub.connection.leader && stays.hub.state === "live");
  for (let n = 1; n <= 3; n++) await server.publish("back.count", n);
  await until(() => stays.updates("back.count").length === 3);
  away.tab.dispatchEvent(new Event("pageshow"));
  assert.equal(away.hub.state, "stale");
  await away.live();
  assert.deepEqual(away.updates("back.count"), [1, 2, 3]);
  assert.deepEqual(away.dropped, []);
  assert.equal(away.hub.connection.leader, false);
});

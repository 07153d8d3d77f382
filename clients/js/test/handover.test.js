// Tabs that share a connection, where one of them is blocked, asleep, dead, or has a bad token.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { sleep, until } from "./support/hub.js";
import { Origin } from "./support/origin.js";
import { closePages, page } from "./support/page.js";
import { connectionsOf, leaderOf, open, openAll, publishing, startHub, upTo } from "./support/tabs.js";

let server;
before(async () => (server = await startHub()));
afterEach(closePages);
after(() => server.stop());

test("a tab that was blocked while the connection was taken from it has no say any more", { timeout: 60_000 }, async () => {
  const tabs = await openAll(new Origin(), 3, { user: "block", metrics: ["block.count"] });
  const blocked = leaderOf(tabs);
  const [heir, third] = tabs.filter((tab) => tab !== blocked);
  blocked.tab.block();
  heir.hub.reconnect();
  await until(() => heir.hub.connection.leader && heir.hub.state === "live");
  await server.publish("block.count", 1);
  await until(() => third.updates("block.count").length === 1);
  const { connectionId } = heir.hub.connection;
  await third.live();
  const said = third.states.length;
  // It says now what it would have said then: that its stream has ended, and that the session is gone.
  blocked.tab.unblock();
  await until(() => !blocked.hub.connection.leader && blocked.hub.state === "live");
  await server.publish("block.count", 2);
  for (const tab of tabs) {
    await until(() => tab.updates("block.count").length === 2, () => JSON.stringify(tab.states));
    assert.deepEqual(tab.updates("block.count"), [1, 2]);
    assert.equal(tab.hub.connection.connectionId, connectionId);
  }
  assert.deepEqual(third.states.slice(said), []);
  assert.equal(await connectionsOf("block"), 1);
});

test("what is final stays so when the connection is handed over, until somebody asks again", async () => {
  const asked = [];
  const getToken = ({ reason }) => (asked.push(reason), server.token("final"));
  const tabs = await openAll(new Origin(), 2, { user: "final", getToken });
  const leader = leaderOf(tabs);
  const [heir] = tabs.filter((tab) => tab !== leader);
  await server.ask("/disconnect", { userId: "final" }, "root");
  await until(() => tabs.every(({ hub }) => hub.reason === "disconnected"));
  assert.equal(heir.hub.status.final, true);
  leader.hub.close();
  await sleep(500);
  assert.deepEqual([heir.hub.state, heir.hub.reason], ["closed", "disconnected"]);
  assert.equal(await connectionsOf("final"), 0);
  heir.hub.reconnect();
  await heir.live();
  assert.equal(heir.hub.status.final, undefined);
  assert.deepEqual(asked, ["start", "start", "start"]);
});

for (const [why, bad] of [
  ["is none", () => "nonsense"],
  ["has not the role", () => server.token("team", { role: "viewer" })],
  ["cannot be had", () => { throw new Error("logged out"); }],
]) {
  test(`a tab whose token ${why} lets another one try`, async () => {
    const origin = new Origin();
    const shared = `team ${why}`;
    let tries = 0;
    const getToken = () => (tries++, bad());
    const first = open(origin, { shared, getToken });
    await until(() => first.hub.status.retryAt || first.hub.status.final);
    const second = open(origin, { shared, getToken });
    await sleep(200);
    assert.notEqual(second.hub.state, "live");
    assert.ok(tries < 12, `${tries}: not without an end`);
    const good = open(origin, { shared, user: "team" });
    await good.live();
    for (const tab of [first, second]) await tab.live();
    assert.ok(good.hub.connection.leader);
  });
}

test("where every tab's token is refused, all are told after each has tried, and none tries on", async () => {
  const origin = new Origin();
  const tried = [];
  const tabs = [0, 1, 2].map((i) => open(origin, { shared: "nobody", getToken: () => (tried.push(i), `${server.token("nobody")}x`) }));
  const isRefused = ({ hub }) => hub.state === "refused" && hub.status.retryAt - Date.now() > 20_000;
  await until(() => tabs.every(isRefused) && new Set(tried).size === 3, () => JSON.stringify(tabs.map(({ hub }) => hub.status)));
  await sleep(200);
  const { length } = tried;
  await sleep(300);
  assert.ok(tabs.every(isRefused));
  assert.equal(tried.length, length);
});

test("a subscription that the hub refuses is told to the tab that wants it, and what it had goes on", async () => {
  const origin = new Origin();
  const isRefused = (url) => url.includes("/subscribe");
  const tabs = Array.from({ length: 2 }, () => {
    const tab = origin.tab();
    const fetch = (url, init) => tab.env.fetch(url, isRefused(url) ? { ...init, headers: { ...init.headers, Authorization: "Bearer nonsense" } } : init);
    return page({ url: server.url, getToken: () => server.token("sub"), metrics: ["sub.a"] }, { ...tab.env, fetch });
  });
  for (const tab of tabs) await tab.live();
  for (const { hub } of tabs) {
    await assert.rejects(hub.subscribe(["sub.b"]), { name: "StatshubError", code: "unauthenticated", status: 401 });
  }
  await server.publish("sub.b", 1);
  await server.publish("sub.a", 1);
  for (const tab of tabs) {
    await until(() => tab.updates("sub.a").length);
    assert.deepEqual(tab.hub.connection.metrics, ["sub.a"]);
    assert.deepEqual(await tab.hub.unsubscribe(["sub.c"]), ["sub.a"]);
  }
});

test("a tab that sees that its machine slept shows nothing of before as live, whichever tab has the connection", async () => {
  const tabs = await openAll(new Origin(), 2, { user: "sleep", metrics: ["sleep.count"] });
  const said = tabs.map(({ states }) => states.length);
  for (const { tab } of tabs) tab.sleep(12_000);
  for (const [i, tab] of tabs.entries()) await until(() => tab.states.length > said[i]);
  for (const [i, tab] of tabs.entries()) {
    assert.deepEqual([tab.states[said[i]].state, tab.states[said[i]].reason], ["stale", "woke"]);
    await tab.live();
  }
  // One of them alone, as where the other's timers are slowed down.
  const leader = leaderOf(tabs);
  const [other] = tabs.filter((tab) => tab !== leader);
  await sleep(1500);
  const [ofOther, ofLeader] = [other, leader].map(({ states }) => states.length);
  leader.tab.document.visibilityState = "hidden";
  for (const { tab } of tabs) tab.sleep(12_000);
  await until(() => other.states.length > ofOther);
  assert.equal(other.states[ofOther].state, "stale");
  await until(() => leader.states.length > ofLeader + 1, () => JSON.stringify(leader.states.slice(ofLeader)));
  for (const tab of tabs) await tab.live();
  await server.publish("sleep.count", 1);
  for (const tab of tabs) await until(() => tab.updates("sleep.count").length === 1);
});

test("more than a hundred patterns are every metric on the open stream, and are themselves again when they are fewer", async () => {
  const origin = new Origin();
  const names = (from, to) => Array.from({ length: to - from }, (_, i) => `many.m${from + i}`);
  const first = open(origin, { user: "many", metrics: names(0, 60) });
  await first.live();
  const { connectionId } = first.hub.connection;
  const second = open(origin, { user: "many", metrics: names(60, 99) });
  await second.live();
  await until(() => first.hub.connection.metrics.length === 99);
  const more = await second.hub.subscribe(names(99, 150));
  assert.equal(more.length, 90);
  await until(() => first.hub.connection.metrics.length === 1, () => JSON.stringify(first.hub.connection.metrics.length));
  assert.deepEqual(first.hub.connection.metrics, ["**"]);
  for (const name of ["many.m0", "many.m98", "many.m149", "many.other"]) await server.publish(name, 1);
  await until(() => second.updates("many.m149").length && first.updates("many.m0").length);
  assert.deepEqual([...first.hub.metrics.keys()], ["many.m0"]);
  assert.deepEqual([...second.hub.metrics.keys()].sort(), ["many.m149", "many.m98"]);
  await second.hub.unsubscribe(names(62, 150));
  await until(() => first.hub.connection.metrics.length === 62);
  await server.publish("many.m61", 2);
  await until(() => second.hub.get("many.m61")?.value === 2);
  assert.equal(first.hub.connection.connectionId, connectionId);
  assert.equal(first.states.length, 1, "it was live all the time");
});

test("tabs that share by a name go on with each other's session, with tokens of their own", async () => {
  const tabs = await openAll(new Origin(), 3, { user: "named", shared: "the wall", metrics: ["named.count"] });
  const { connectionId } = tabs[0].hub.connection;
  assert.ok(tabs.every(({ hub }) => hub.connection.connectionId === connectionId));
  const stop = publishing("named.count");
  await sleep(50);
  const leader = leaderOf(tabs);
  leader.tab.die();
  const left = tabs.filter((tab) => tab !== leader);
  await until(() => leaderOf(left)?.hub.state === "live");
  await sleep(50);
  const count = await stop();
  for (const tab of left) {
    await until(() => tab.updates("named.count").length >= count);
    assert.deepEqual(tab.updates("named.count"), upTo(count));
    assert.deepEqual(tab.dropped, []);
  }
  assert.equal(leaderOf(left).opened.at(-1).type, "reconnection_successful");
});

test("a request of a tab that was given up, which comes late, costs nothing but another session", async () => {
  const tabs = await openAll(new Origin(), 2, { user: "slow", metrics: ["slow.count"] });
  const leader = leaderOf(tabs);
  const [{ reconnectToken }] = leader.opened;
  leader.tab.die();
  const [heir] = tabs.filter((tab) => tab !== leader);
  await until(() => heir.hub.connection.leader && heir.hub.state === "live");
  await server.publish("slow.count", 1);
  const late = new AbortController();
  const headers = { Authorization: `Bearer ${server.token("slow")}` };
  await fetch(`${server.url}api/admin/analytics/reconnect?token=${reconnectToken}`, { headers, signal: late.signal });
  await until(() => heir.states.some(({ reason }) => reason === "replaced"));
  await server.publish("slow.count", 2);
  late.abort();
  await heir.live();
  await until(() => heir.updates("slow.count").length === 2);
  assert.deepEqual(heir.updates("slow.count"), [1, 2]);
  assert.deepEqual(heir.dropped, []);
});

test("nobody wants any more what a tab wanted that went without a word; one that was only blocked says it again", { timeout: 60_000 }, async () => {
  const origin = new Origin();
  const first = open(origin, { user: "dead", metrics: ["dead.a"] });
  await first.live();
  const [dies, blocked] = ["b", "c"].map((name) => open(origin, { user: "dead", metrics: [`dead.${name}`] }));
  for (const tab of [dies, blocked]) await tab.live();
  await until(() => first.hub.connection.metrics.length === 3);
  dies.tab.die();
  blocked.tab.block();
  // Minutes, in steps that are no sleep, of a stream that is heard.
  for (let i = 0; i < 12 && first.hub.connection.metrics.length > 1; i++) {
    first.tab.sleep(6000);
    await server.publish("dead.a", i);
    await until(() => first.hub.get("dead.a")?.value === i);
    await sleep(50);
  }
  assert.deepEqual(first.hub.connection.metrics, ["dead.a"]);
  blocked.tab.unblock();
  await until(() => first.hub.connection.metrics.includes("dead.c"));
  await server.publish("dead.c", 1);
  await until(() => blocked.updates("dead.c").length);
});

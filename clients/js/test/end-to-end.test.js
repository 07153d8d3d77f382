// The library against the real hub, over both transports, with a proxy between that cuts.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { HubProcess, sleep, until } from "./support/hub.js";
import { closePages, page } from "./support/page.js";
import { Proxy } from "./support/proxy.js";
import { seeded } from "./support/random.js";
import { WebSocket } from "ws";

const SEED = Number(process.env.SEED ?? Date.now() % 1e6);
const CUTS = Number(process.env.CUTS ?? 25);
const SETTINGS = "[realtime]\nsse_retry_ms = 60\n[sessions]\nbacklog_messages_max = 5000\n";

let server, proxy;

before(async () => {
  server = await HubProcess.start(SETTINGS);
  proxy = await Proxy.start(server.port);
});
afterEach(closePages);
after(async () => {
  await proxy.stop();
  await server.stop();
});

for (const transport of ["sse", "websocket"]) {
  const open = (more) => page({ url: proxy.url, getToken: () => server.token(), transport, ...more });

  describe(`over ${transport}`, () => {
    test("values come from the snapshot and from updates", async () => {
      await server.publish("first.metric", { n: 1 });
      const seen = open({ metrics: ["first.*"] });
      await seen.live();
      assert.deepEqual(seen.hub.get("first.metric").value, { n: 1 });
      const messageId = await server.publish("first.metric", { n: 2 });
      await until(() => seen.hub.get("first.metric").messageId === messageId);
      assert.deepEqual(seen.values.map(({ value }) => value.n), [1, 2]);
      assert.equal(seen.hub.connection.transport, transport);
      assert.equal(seen.hub.connection.userId, "ada");
      assert.deepEqual(seen.names(), ["live"]);
    });

    test("a subscription grows and shrinks, for this session alone", async () => {
      await server.publish("later.a", 1);
      const seen = open({ metrics: ["now.*"] });
      const other = open({ metrics: ["now.*"] });
      await seen.live();
      await other.live();
      assert.deepEqual(await seen.hub.subscribe(["later.**"]), ["now.*", "later.**"]);
      assert.equal(seen.hub.get("later.a").value, 1, "what is known of it is there");
      await server.publish("later.a", 2);
      await until(() => seen.updates("later.a").length);
      assert.deepEqual(await seen.hub.unsubscribe(["later.**"]), ["now.*"]);
      assert.equal(seen.hub.get("later.a"), undefined);
      await server.publish("later.a", 3);
      await server.publish("now.a", 1);
      await until(() => seen.updates("now.a").length && other.updates("now.a").length);
      assert.deepEqual(seen.updates("later.a"), [2]);
      assert.deepEqual(other.updates("later.a"), []);
      assert.deepEqual(other.hub.connection.metrics, ["now.*"]);
      await assert.rejects(seen.hub.subscribe(["no..metric"]), { name: "StatshubError", code: "invalid_request" });
    });

    test(`${CUTS} cuts at random lose nothing, repeat nothing and keep the order (seed ${SEED})`, async () => {
      const random = seeded(SEED);
      const seen = open({ metrics: ["cut.count"] });
      await seen.live();
      let count = 0;
      let publishing = true;
      const publisher = (async () => {
        // As many as a backlog holds while it is away for longest.
        for (; publishing; await sleep(2)) await server.publish("cut.count", ++count);
      })();
      for (let cut = 0; cut < CUTS; cut++) {
        await until(() => seen.hub.state === "live", "live between two cuts");
        await sleep(random() * 20);
        if (random() < 0.5) proxy.cut();
        else proxy.cutAfter(Math.floor(random() * 200));
        await until(() => seen.names().filter((name) => name === "resuming").length > cut, "the cut is noticed");
      }
      publishing = false;
      await publisher;
      await until(() => seen.updates("cut.count").length >= count, "everything is here");
      assert.deepEqual(seen.updates("cut.count"), Array.from({ length: count }, (_, i) => i + 1));
      assert.deepEqual(seen.dropped, []);
    });

    test("a hub that is killed and started again goes on where it was", async () => {
      const seen = open({ metrics: ["kill.count"] });
      await seen.live();
      await server.publish("kill.count", 1);
      await until(() => seen.updates("kill.count").length === 1);
      await server.kill();
      await until(() => seen.hub.state === "resuming");
      assert.equal(seen.hub.get("kill.count").value, 1, "the old value stays to be seen");
      await server.run();
      await server.publish("kill.count", 2);
      await seen.live();
      await until(() => seen.updates("kill.count").length === 2);
      assert.deepEqual(seen.updates("kill.count"), [1, 2]);
      assert.deepEqual(seen.dropped, []);
    });

    test("a hub that drains says when to come back", async () => {
      const seen = open();
      await seen.live();
      await server.kill("SIGTERM");
      await until(() => seen.hub.reason === "shutdown" || seen.states.some(({ reason }) => reason === "shutdown"));
      const { retryAt, since } = seen.states.find(({ reason }) => reason === "shutdown");
      assert.ok(retryAt - since >= 450 && retryAt - since <= 5050, `${retryAt - since}`);
      await server.run();
      await seen.live();
    });

    test("a session that is gone is begun anew from the same place", async () => {
      const seen = open({ metrics: ["gone.count"] });
      await seen.live();
      await server.publish("gone.count", 1);
      await until(() => seen.updates("gone.count").length === 1);
      // More sessions away than a user may have: the one away longest is forgotten.
      proxy.refusing = true;
      proxy.cut();
      await until(() => seen.hub.state === "resuming");
      for (let i = 0; i < 11; i++) {
        const other = page({ url: server.url, getToken: () => server.token(), transport: "sse" });
        await other.live();
        other.hub.close();
        await sleep(30);
      }
      await server.publish("gone.count", 2);
      proxy.refusing = false;
      await until(() => seen.updates("gone.count").length === 2);
      await seen.live();
      assert.deepEqual(seen.updates("gone.count"), [1, 2]);
      assert.deepEqual(seen.opened.map(({ type, resumed }) => [type, resumed]), [
        ["connection_established", false],
        ["connection_established", true],
      ]);
      assert.deepEqual(seen.dropped, [], "the log could go on from there");
    });

    test("a token is renewed in place before it ends", async () => {
      const reasons = [];
      const getToken = ({ reason }) => (reasons.push(reason), server.token("ada", { seconds: 4 }));
      const seen = open({ getToken });
      await seen.live();
      await sleep(7000);
      assert.equal(reasons.shift(), "start");
      assert.ok(reasons.length >= 2 && reasons.every((reason) => reason === "expiring"), reasons.join());
      assert.deepEqual(seen.names(), ["live"], "nobody noticed");
    });

    test("a stream that ends with its token comes back with another", async () => {
      const reasons = [];
      const getToken = ({ reason }) => {
        reasons.push(reason);
        if (reason === "expiring") throw new Error("not now");
        return server.token("ada", { seconds: reason === "start" ? 3 : 60 });
      };
      // The hub grants some seconds, for clocks that differ.
      const seen = open({ getToken, metrics: ["expiry.count"] });
      await seen.live();
      await until(() => seen.opened.length === 2, "it was opened again", 20_000);
      await seen.live();
      assert.equal(reasons.at(-1), "expired");
      assert.equal(seen.opened[1].type, "reconnection_successful");
      assert.deepEqual(seen.names().slice(0, 2), ["live", "resuming"]);
      assert.equal(seen.states[1].reason, "token_expired");
    });

    test("after a 401 the page is asked for another token, and told where that is no better", async () => {
      const reasons = [];
      const tokens = ["not.a.token", "not.one.either"];
      const seen = open({ getToken: ({ reason }) => (reasons.push(reason), tokens.shift() ?? server.token()) });
      await until(() => seen.hub.state === "refused");
      assert.deepEqual(reasons, ["start", "unauthenticated"]);
      assert.equal(seen.hub.reason, "unauthenticated");
      assert.ok(seen.hub.status.retryAt > Date.now() + 20_000, "it is not asked often");
      seen.hub.reconnect();
      await seen.live();
      assert.deepEqual(reasons, ["start", "unauthenticated", "unauthenticated"]);
    });

    test("a user without the role is refused for good, in the hub's words", async () => {
      const seen = open({ getToken: () => server.token("eve", { role: "viewer" }) });
      await until(() => seen.hub.state === "refused");
      assert.equal(seen.hub.reason, "forbidden");
      assert.ok(seen.hub.status.message);
      assert.equal(seen.hub.status.retryAt, null);
      assert.equal(seen.hub.connection, null);
    });

    test("a page whose token is another user's begins anew, with nothing of the last one's", async () => {
      let user = "ann";
      await server.publish("private.note", "for ann", { userId: "ann" });
      const seen = open({ getToken: () => server.token(user), metrics: ["private.*"] });
      await seen.live();
      assert.equal(seen.hub.get("private.note").value, "for ann");
      user = "bob";
      await server.ask("/disconnect", { userId: "ann" }, "root");
      await until(() => seen.hub.state === "closed");
      // The page logs in as somebody else: its old token is no longer any good.
      seen.hub.reconnect();
      await seen.live();
      assert.equal(seen.hub.connection.userId, "bob");
      assert.equal(seen.hub.get("private.note"), undefined);
      assert.deepEqual(seen.dropped, []);
    });

    test("a token that is renewed for another user is noticed before anything of his is there", async () => {
      let user = "eva";
      await server.publish("mine.note", "for eva", { userId: "eva" });
      const seen = open({ getToken: () => server.token(user, { seconds: 4 }), metrics: ["mine.*"] });
      await seen.live();
      assert.equal(seen.hub.get("mine.note").value, "for eva");
      user = "fay";
      await until(() => seen.hub.connection?.userId === "fay");
      assert.equal(seen.hub.get("mine.note"), undefined);
      const at = seen.states.findIndex(({ state }) => state === "connecting");
      assert.ok(at > 0 && seen.states.slice(at).every(({ state }) => ["connecting", "live"].includes(state)), seen.names().join());
      await seen.live();
    });

    test("with cookies, another user's connection begins with nothing of the last one's", async () => {
      let user = "gil";
      // As a browser does by itself.
      const cookie = () => `access_token=${server.token(user)}`;
      const env = {
        fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, Cookie: cookie() } }),
        WebSocket: class extends WebSocket {
          constructor(url, protocols) {
            super(url, protocols, { headers: { Cookie: cookie() } });
          }
        },
      };
      await server.publish("own.note", "for gil", { userId: "gil" });
      await server.publish("own.all", 1);
      const seen = page({ url: proxy.url, transport, metrics: ["own.*"] }, env);
      await seen.live();
      assert.deepEqual([...seen.hub.metrics.keys()].sort(), ["own.all", "own.note"]);
      user = "hal";
      proxy.cut();
      await until(() => seen.hub.connection.userId === "hal");
      await seen.live();
      assert.deepEqual([...seen.hub.metrics.keys()], ["own.all"]);
      assert.deepEqual(seen.dropped, []);
    });

    test("an operator's word is final until the page asks again", async () => {
      const seen = open();
      await seen.live();
      await server.ask("/disconnect", { userId: "ada" }, "root");
      await until(() => seen.hub.state === "closed");
      assert.equal(seen.hub.reason, "disconnected");
      await sleep(300);
      assert.equal(seen.hub.state, "closed");
      seen.hub.reconnect();
      await seen.live();
    });
  });
}

describe("by itself", () => {
  test("chooses server-sent events", async () => {
    const seen = page({ url: proxy.url, getToken: () => server.token() });
    await seen.live();
    assert.equal(seen.hub.connection.transport, "sse");
  });

  test("goes over to WebSocket where a proxy keeps event streams back", async () => {
    const buffered = await Proxy.start(server.port);
    buffered.buffering = true;
    const seen = page({ url: buffered.url, getToken: () => server.token() });
    await seen.live();
    assert.equal(seen.hub.connection.transport, "websocket");
    await server.publish("buffered.metric", 1);
    await until(() => seen.updates("buffered.metric").length);
    seen.hub.close();
    await buffered.stop();
  });

  test("resumes over the other transport what it had over the first", async () => {
    const changing = await Proxy.start(server.port);
    const seen = page({ url: changing.url, getToken: () => server.token(), metrics: ["changing.count"] });
    await seen.live();
    await server.publish("changing.count", 1);
    await until(() => seen.updates("changing.count").length === 1);
    changing.buffering = true;
    changing.cut();
    await server.publish("changing.count", 2);
    await until(() => seen.updates("changing.count").length === 2);
    assert.equal(seen.hub.connection.transport, "websocket");
    assert.equal(seen.opened.at(-1).type, "reconnection_successful");
    assert.deepEqual(seen.updates("changing.count"), [1, 2]);
    seen.hub.close();
    await changing.stop();
  });

  test("a user with too many streams is told so, and let in when there is room", async () => {
    const others = Array.from({ length: 5 }, () => page({ url: server.url, getToken: () => server.token("max") }));
    for (const other of others) await other.live();
    const seen = page({ url: server.url, getToken: () => server.token("max") });
    await until(() => seen.hub.state === "refused");
    assert.equal(seen.hub.reason, "connection_limit");
    assert.ok(seen.hub.status.retryAt - Date.now() > 3000, "Retry-After");
    others[0].hub.close();
    await seen.live();
  });

  test("a hub that has forgotten everything leaves no silent gap", async () => {
    const forgetful = await HubProcess.start('[realtime]\nsse_retry_ms = 60\n[store]\ndurability = "memory"\n');
    const seen = page({ url: forgetful.url, getToken: () => forgetful.token() });
    await seen.live();
    await forgetful.publish("old.metric", 1);
    await until(() => seen.hub.get("old.metric"));
    await forgetful.kill();
    await forgetful.run();
    await seen.live();
    await until(() => seen.dropped.length);
    assert.deepEqual(seen.dropped.map(({ gap }) => gap), [true]);
    assert.equal(seen.hub.get("old.metric"), undefined, "a snapshot replaces what was known");
    seen.hub.close();
    await forgetful.stop();
  });

  test("what a backlog could not hold is told, and the values are right all the same", async () => {
    const small = await HubProcess.start("[realtime]\nsse_retry_ms = 60\n[sessions]\nbacklog_messages_max = 3\n");
    const between = await Proxy.start(small.port);
    const seen = page({ url: between.url, getToken: () => small.token() });
    await seen.live();
    between.refusing = true;
    between.cut();
    await until(() => seen.hub.state === "resuming");
    for (let n = 1; n <= 4; n++) await small.publish(`small.m${n}`, n);
    between.refusing = false;
    await until(() => seen.hub.metrics.size === 4);
    assert.deepEqual(seen.messages.slice(1).map(({ data }) => Object.keys(data)[0]), ["small.m2", "small.m3", "small.m4"]);
    const [{ droppedMessagesCount, droppedByPriority, droppedMetrics, gap }] = seen.dropped;
    assert.deepEqual({ droppedMessagesCount, droppedMetrics, gap }, { droppedMessagesCount: 1, droppedMetrics: ["small.m1"], gap: false });
    assert.equal(droppedByPriority.normal, 1);
    seen.hub.close();
    await between.stop();
    await small.stop();
  });
});

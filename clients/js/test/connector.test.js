// When the library tries again, and what it says meanwhile: a hub that does as it is told, and a clock that is moved.
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

test("the token travels in a header, the position in the address", async () => {
  const { browser, stream } = await live({ metrics: ["a", "b.*"] });
  const [first] = browser.requests;
  assert.equal(first.init.headers.Authorization, "Bearer jwt");
  assert.equal(first.path, "stream");
  assert.deepEqual(first.query, { metrics: "a,b.*", delta: "merge-patch" });
  await stream.send("event: cursor\nid: 7-0\ndata:\n\n");
  await stream.end();
  await browser.pass(3 * SECOND);
  const resume = browser.requests.filter(({ path }) => path === "reconnect");
  assert.deepEqual(resume.map(({ query }) => query), [{ token: "rt", lastEventId: "7-0", delta: "merge-patch" }]);
  assert.ok(browser.requests.every(({ url }) => !url.href.includes("jwt")));
});

test("without getToken the page's cookies are sent", async () => {
  const { browser } = await live({ getToken: undefined });
  assert.equal(browser.requests[0].init.credentials, "include");
  assert.equal(browser.requests[0].init.headers.Authorization, undefined);
});

test("silence makes it stale and is ended at once; comments are no silence", async () => {
  const { browser, hub, states, stream } = await live();
  for (let i = 0; i < 4; i++) {
    await browser.pass(15 * SECOND);
    await stream.send(": quiet\n\n");
  }
  assert.equal(hub.state, "live");
  await browser.pass(22 * SECOND);
  assert.equal(hub.state, "stale");
  assert.equal(browser.asked.path, "reconnect");
  await browser.asked.stream(resuming());
  assert.deepEqual(states, ["live opened", "stale silent", "live resumed"]);
});

test("after a sleep old values are stale before anything else happens", async () => {
  const { browser, hub, states } = await live();
  await browser.sleep(3600 * SECOND);
  assert.equal(hub.state, "stale");
  assert.equal(hub.reason, "woke");
  await browser.asked.stream(resuming());
  assert.equal(hub.state, "live");
  assert.deepEqual(states, ["live opened", "stale woke", "live resumed"]);
});

for (const transport of ["sse", "websocket"]) {
  test(`however short the sleep was, over ${transport}, nothing of before it is shown as live`, async () => {
    const { browser, hub } = await begin({ transport });
    if (transport === "sse") await browser.asked.stream(...opening());
    else {
      await browser.asked.answer(200, { success: true, data: { enabled: true, endpoint: "/api/admin/analytics/websocket" } });
      const [socket] = browser.sockets;
      socket.onopen();
      for (const text of opening()) socket.onmessage({ data: text.split("data: ")[1] });
    }
    assert.equal(hub.state, "live");
    await browser.pass(3 * SECOND);
    await browser.sleep(12 * SECOND);
    assert.deepEqual([hub.state, hub.reason], ["stale", "woke"]);
    assert.ok(browser.asked, "and it is asked at once");
  });
}

test("the slow timers of a hidden tab are no sleep, and what slept while it was hidden is stale when it is seen", async () => {
  const { browser, hub, states, stream } = await live();
  browser.document.visibilityState = "hidden";
  for (let i = 0; i < 10; i++) {
    await browser.sleep(15 * SECOND);
    await stream.send(": quiet\n\n");
  }
  await browser.sleep(12 * SECOND);
  browser.document.visibilityState = "visible";
  await browser.fire("visibilitychange");
  assert.deepEqual(states, ["live opened"]);
  browser.document.visibilityState = "hidden";
  await browser.pass(3 * SECOND);
  await stream.send(": quiet\n\n");
  await browser.sleep(12 * SECOND);
  assert.equal(hub.state, "live");
  browser.document.visibilityState = "visible";
  await browser.fire("visibilitychange");
  assert.equal(hub.state, "stale");
});

test("a tab that is looked at again asks only where the stream was silent", async () => {
  const { browser, hub } = await live();
  await browser.fire("visibilitychange");
  assert.equal(hub.state, "live");
  assert.equal(browser.requests.length, 1);
});

test("it is live when the last of what was missed is here", async () => {
  const { browser, hub, stream } = await live();
  await stream.end();
  await browser.pass(3 * SECOND);
  const update = (n) => event(published(`${n}-0`, "metrics_update", { a: n }));
  const resumed = await browser.asked.stream(resuming({ replayedMessagesCount: 2 }), update(2));
  assert.equal(hub.state, "resuming");
  await resumed.send(update(3));
  assert.equal(hub.state, "live");
  assert.equal(hub.get("a").value, 3);
});

test("offline is said at once and believed until something comes, online tries at once", async () => {
  const { browser, hub, states, stream } = await live();
  browser.navigator.onLine = false;
  await browser.fire("offline");
  assert.equal(hub.state, "offline");
  await stream.break();
  assert.equal(hub.state, "offline");
  assert.ok(hub.status.retryAt);
  browser.navigator.onLine = true;
  await browser.fire("online");
  await browser.asked.stream(resuming());
  assert.equal(hub.state, "live");
  assert.deepEqual(states.filter((state, i) => state !== states[i - 1]), ["live opened", "offline offline", "offline network", "live resumed"]);
});

test("waits grow, begin with the hub's own, and end when the page is looked at", async () => {
  const { browser, hub, stream } = await live({ transport: "sse" });
  await stream.break();
  for (const seconds of [3, 6, 12, 24, 30, 30]) {
    assert.equal(hub.status.retryAt - browser.now, seconds * SECOND);
    await browser.pass(seconds * SECOND);
    assert.equal(hub.status.retryAt, null, "an attempt is under way");
    await browser.asked.refuse();
  }
  assert.equal(hub.state, "resuming");
  assert.equal(hub.reason, "network");
  await browser.fire("visibilitychange");
  assert.equal(browser.asked.path, "reconnect");
});

test("what the hub asked for is waited for, unless somebody presses the button", async () => {
  const { browser, hub } = await begin({ transport: "sse" });
  const body = { error: "Too many connections", code: "connection_limit" };
  await browser.asked.answer(429, body, { "Retry-After": "7" });
  assert.equal(hub.state, "refused");
  assert.equal(hub.status.message, "Too many connections");
  assert.equal(hub.status.retryAt - browser.now, 8 * SECOND, "and jitter");
  await browser.fire("visibilitychange");
  assert.equal(browser.asked, null);
  hub.reconnect();
  await browser.pass(0);
  await browser.asked.stream(...opening());
  assert.equal(hub.state, "live");
});

test("what answers with a page is not read on", async () => {
  const { browser, hub } = await begin({ transport: "sse" });
  const { asked } = browser;
  asked.resolve(new Response(new ReadableStream(), { headers: { "content-type": "text/html" } }));
  await browser.pass(0);
  assert.equal(hub.reason, "network");
  assert.ok(asked.isAborted);
});

test("a subscription that the hub refuses is told and not wanted any more; one that it puts off is asked for again when it says", async () => {
  const { browser, hub, stream } = await live({ metrics: ["a"] });
  const agrees = async (...paths) => {
    for (const path of paths) {
      assert.equal(browser.asked.path, path);
      await browser.asked.answer(200, { success: true, data: { connections: 1 } });
    }
  };
  // It was given every metric.
  await agrees("subscribe", "unsubscribe", "metrics");
  const refused = assert.rejects(hub.subscribe(["b"]), { name: "StatshubError", code: "forbidden", status: 403, message: "No" });
  await browser.pass(0);
  await browser.asked.answer(403, { success: false, error: "No", code: "forbidden" });
  await refused;
  for (const [status, code] of [[429, "rate_limited"], [503, "unavailable"]]) {
    const subscribed = hub.subscribe(["c"]);
    await browser.pass(0);
    assert.deepEqual(JSON.parse(browser.asked.init.body).metrics, ["c"]);
    await browser.asked.answer(status, { success: false, error: "Later", code }, { "Retry-After": "20" });
    await browser.pass(10 * SECOND);
    await stream.send(": quiet\n\n");
    await browser.pass(9 * SECOND);
    assert.equal(browser.asked, null);
    await stream.send(": quiet\n\n");
    await browser.pass(2 * SECOND);
    await agrees("subscribe", "metrics");
    assert.deepEqual(await subscribed, ["a", "c"]);
    const left = hub.unsubscribe(["c"]);
    await browser.pass(0);
    await agrees("unsubscribe");
    assert.deepEqual(await left, ["a"]);
  }
});

test("a proxy's own refusal is not the hub's", async () => {
  const { browser, hub } = await begin({ transport: "sse" });
  await browser.asked.answer(502, "<html>");
  assert.equal(hub.state, "connecting");
  assert.equal(hub.reason, "unavailable");
  assert.ok(hub.status.retryAt);
});

test("where streams do not get through, WebSocket does", async () => {
  const { browser, hub } = await begin();
  await browser.asked.stream();
  await browser.pass(6 * SECOND);
  assert.equal(browser.asked.path, "websocket-info");
  await browser.asked.answer(200, { success: true, data: { enabled: true, endpoint: "/api/admin/analytics/websocket" } });
  const [socket] = browser.sockets;
  assert.deepEqual(socket.protocols, ["statshub", "bearer.jwt"]);
  assert.equal(socket.url, "ws://hub.test/api/admin/analytics/websocket?metrics=**&delta=merge-patch");
  socket.onopen();
  const say = (message) => socket.onmessage({ data: JSON.stringify(message) });
  say(notice("connection_established", { reconnectToken: "rt", metrics: ["**"], resumed: false }));
  say(published("1-0", "initial_metrics", {}));
  assert.equal(hub.state, "live");
  // Nobody sees its pings, so it is asked whether it is there; and is not.
  await browser.pass(12 * SECOND);
  assert.deepEqual(socket.sent, [{ type: "ping" }]);
  await browser.pass(6 * SECOND);
  assert.equal(hub.state, "stale");
  assert.ok(socket.isClosed);
  // A session that is gone shows itself before the upgrade, which has no status.
  assert.deepEqual([browser.asked.path, browser.asked.init.body], ["refresh", '{"reconnectToken":"rt"}']);
  await browser.asked.answer(410, { code: "reconnect_token_invalid" });
  assert.equal(browser.sockets[1].url, "ws://hub.test/api/admin/analytics/websocket?metrics=**&lastEventId=1-0&delta=merge-patch");
  // What else is refused a stream says, which has one.
  browser.sockets[1].onclose({ code: 1006 });
  await browser.pass(0);
  assert.equal(browser.asked.path, "stream");
  await browser.asked.answer(429, { code: "connection_limit" });
  assert.deepEqual([hub.state, hub.reason], ["refused", "connection_limit"]);
  for (const socket of [2, 3]) {
    await browser.pass(4 * SECOND);
    browser.sockets[socket].onclose({ code: 1006 });
    await browser.pass(0);
    await browser.asked.stream();
    assert.equal(hub.reason, "network");
  }
  await browser.pass(4 * SECOND);
  await browser.asked.stream(...opening());
  assert.equal(hub.connection.transport, "sse", "turn about");
});

test("trying at once has an end where a stream never lasts", async () => {
  const { browser, hub } = await begin();
  const expired = event(notice("error", { code: "token_expired", message: "The token has expired" }));
  let atOnce = 0;
  for (; browser.asked && atOnce < 10; atOnce++) await browser.asked.stream(...opening(), expired);
  assert.equal(atOnce, 4);
  assert.ok(hub.status.retryAt > browser.now);
});

test("a listener that throws disturbs nobody", async () => {
  const browser = new FakeBrowser();
  const reported = [];
  const hub = connect({ url: "http://hub.test/", getToken: () => "jwt" }, { ...browser.env, report: (error) => reported.push(error.message) });
  const heard = [];
  hub.on("value", () => { throw new Error("mine"); });
  const off = hub.on("value", ({ value }) => heard.push(value));
  await browser.pass(0);
  const stream = await browser.asked.stream(...opening());
  off();
  await stream.send(event(published("2-0", "metrics_update", { a: 2 })));
  assert.deepEqual(heard, [1]);
  assert.deepEqual(reported, ["mine", "mine"]);
});

test("after close nothing happens any more", async () => {
  const { browser, hub, states } = await live();
  hub.close();
  hub.reconnect();
  await browser.fire("pageshow");
  await browser.pass(60 * SECOND);
  assert.equal(browser.requests.length, 1);
  assert.ok(browser.requests[0].isAborted);
  assert.deepEqual(states.at(-1), "closed closed");
  assert.equal(hub.connection, null);
});

// Metrics in less than the form in which they are published, and values that are overdue: over both transports, with the
// real hub, a proxy between that cuts, and several tabs.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { HubProcess, sleep, until } from "./support/hub.js";
import { Origin } from "./support/origin.js";
import { closePages, page } from "./support/page.js";
import { Proxy } from "./support/proxy.js";
import { seeded } from "./support/random.js";

const SEED = Number(process.env.SEED ?? Date.now() % 1e6);
const CUTS = Number(process.env.CUTS ?? 25);
const SETTINGS = `
[realtime]
sse_retry_ms = 60
[sessions]
backlog_messages_max = 5000
[[metric]]
name = "brief.**"
ttl_ms = 1000
`;

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

const PADDING = "x".repeat(200);

for (const transport of ["sse", "websocket"]) {
  const open = (more) => page({ url: proxy.url, getToken: () => server.token(), transport, ...more });

  describe(`over ${transport}`, () => {
    test("a page is given the parts it asks for, of the values it asks for, in the address and later", async () => {
      const at = `parts.${transport}`;
      const school = (name, balance, plan = "pro") => server.publish(`${at}.${name}`, { balance, plan, by: { a: 1, b: 2 } });
      await school("a", 5);
      await school("b", 50);
      const low = { metric: `${at}.*`, fields: ["/by/a", "/balance"], where: "data.balance < 10 && data.plan == 'pro'" };
      const seen = open({ metrics: [low, `${at}.c`] });
      await seen.live();
      assert.deepEqual([...seen.hub.metrics].map(([metric, { value }]) => [metric, value]), [[`${at}.a`, { balance: 5, by: { a: 1 } }]]);
      assert.deepEqual(seen.hub.connection.metrics, [{ ...low, fields: ["/balance", "/by/a"] }, `${at}.c`]);
      await school("a", 11);
      await school("b", 9, "free");
      await school("b", 8);
      await school("c", 99);
      await until(() => seen.updates(`${at}.c`).length);
      assert.deepEqual(seen.updates(`${at}.a`), []);
      assert.deepEqual(seen.updates(`${at}.b`), [{ balance: 8, by: { a: 1 } }]);
      assert.deepEqual(seen.updates(`${at}.c`), [{ balance: 99, plan: "pro", by: { a: 1, b: 2 } }], "the narrowest says");
      // In another form from now on.
      const plans = { metric: `${at}.*`, fields: ["/plan"] };
      assert.deepEqual(await seen.hub.subscribe([plans]), [plans, `${at}.c`]);
      assert.deepEqual(seen.hub.get(`${at}.a`).value, { balance: 11, plan: "pro", by: { a: 1, b: 2 } }, "what is known of it already");
      await school("a", 12, "free");
      await until(() => seen.updates(`${at}.a`).length);
      assert.deepEqual(seen.hub.get(`${at}.a`).value, { plan: "free" });
      assert.deepEqual(await seen.hub.subscribe([`${at}.*`]), [`${at}.*`, `${at}.c`]);
      assert.deepEqual(seen.hub.get(`${at}.a`).value, { balance: 12, plan: "free", by: { a: 1, b: 2 } }, "of the same message, whole");
      assert.deepEqual(await seen.hub.unsubscribe([plans, `${at}.c`]), []);
      assert.equal(seen.hub.metrics.size, 0);
    });

    test("an expression with a fault is refused in the hub's words, with its place", async () => {
      const fault = { metric: "fault.a", where: "data.balance <" };
      const seen = open({ metrics: ["fault.b"] });
      await seen.live();
      const error = await seen.hub.subscribe(["fault.c", fault]).then(() => null, (error) => error);
      assert.deepEqual([error.name, error.code, error.status, error.details.metric, error.details.line], ["StatshubError", "invalid_request", 400, "fault.a", 1]);
      assert.ok(error.details.column > 1 && error.message.startsWith("Invalid metrics: where: "), error.message);
      await until(() => seen.hub.connection.metrics.join() === "fault.b", "all is as before");
      const errors = [];
      const other = open({ metrics: ["fault.b", fault] });
      other.hub.on("error", (error) => errors.push(error));
      await other.live();
      assert.deepEqual(errors, [{ message: error.message, code: error.code, details: error.details }]);
      assert.deepEqual(other.hub.connection.metrics, ["fault.b"]);
    });

    test("no more updates come than are asked for, and the last of all in the end", async () => {
      const metric = `paced.${transport}`;
      const seen = open({ metrics: [{ metric, maxHz: 3 }] });
      await seen.live();
      assert.deepEqual(seen.hub.connection.metrics, [{ metric, maxHz: 2 }]);
      for (let n = 1; n <= 50; n++) await server.publish(metric, n);
      await until(() => seen.hub.get(metric)?.value === 50);
      const updates = seen.messages.filter(({ type }) => type === "metrics_update").map(({ messageId }) => Number(messageId.split("-")[0]));
      assert.ok(updates.length < 50);
      updates.slice(1).forEach((ms, i) => assert.ok(ms - updates[i] >= 500, `${ms - updates[i]} ms after the one before`));
    });

    for (const delta of [true, false]) {
      test(`${CUTS} cuts at random: values are those that were published, with delta ${delta} (seed ${SEED})`, async () => {
        const random = seeded(SEED);
        const metric = `delta.${transport}.${delta}`;
        const seen = open({ metrics: [metric], delta });
        await seen.live();
        const published = [];
        let publishing = true;
        const publisher = (async () => {
          let value = { n: 0, text: PADDING, deep: { a: { b: 1 }, list: [1] } };
          for (let n = 1; publishing; n++) {
            value = structuredClone(value);
            value.n = n;
            if (random() < 0.3) value.deep.a = random() < 0.5 ? { b: n } : { c: n };
            if (random() < 0.2) value.deep.list = [n, null];
            if (random() < 0.2) value[`k${Math.floor(random() * 3)}`] = { n };
            if (random() < 0.2) delete value[`k${Math.floor(random() * 3)}`];
            if (random() < 0.05) value.nothing = value.nothing === null ? 1 : null;
            published.push(value);
            await server.publish(metric, value);
            await sleep(2);
          }
        })();
        for (let cut = 0; cut < CUTS; cut++) {
          await until(() => seen.hub.state === "live", "live between two cuts");
          await sleep(20 + random() * 20);
          if (random() < 0.5) proxy.cut();
          else proxy.cutAfter(Math.floor(random() * 300));
          await until(() => seen.names().filter((name) => name === "resuming").length > cut, "the cut is noticed");
        }
        publishing = false;
        await publisher;
        await until(() => seen.updates(metric).length >= published.length, "everything is here");
        assert.deepEqual(seen.updates(metric), published);
        assert.deepEqual(seen.dropped, []);
      });
    }

    test("a value that is overdue is told, also on resuming and to who comes later", async () => {
      const metric = `brief.${transport}`;
      const seen = open({ metrics: ["brief.**"] });
      const stale = [];
      seen.hub.on("stale", (it) => stale.push(it));
      await seen.live();
      const messageId = await server.publish(metric, 1);
      await until(() => stale.length);
      assert.deepEqual({ ...stale[0], updatedAt: "" }, { metric, messageId, updatedAt: "", ttlMs: 1000 });
      assert.equal(Date.parse(stale[0].updatedAt), Number(messageId.split("-")[0]));
      assert.equal(seen.hub.get(metric).stale, true);
      proxy.cut();
      await until(() => seen.names().includes("resuming"));
      await seen.live();
      assert.equal(seen.hub.get(metric).stale, true);
      const late = open({ metrics: [metric, `brief.other`] });
      await late.live();
      assert.equal(late.hub.get(metric).stale, true);
      assert.deepEqual(late.messages[0].stale, [metric]);
      const grown = open({ metrics: [] });
      await grown.live();
      await grown.hub.subscribe([metric]);
      assert.equal(grown.hub.get(metric).stale, true);
      const pages = [seen, late, grown];
      await server.publish(metric, 2);
      await until(() => pages.every(({ hub }) => hub.get(metric).value === 2));
      assert.ok(pages.every(({ values }) => !values.at(-1).stale));
    });
  });
}

test("updates of large values come as what changes", async () => {
  let text = "";
  const reading = async (url, init) => {
    const response = await fetch(url, init);
    if (!response.headers.get("content-type").startsWith("text/event-stream")) return response;
    const decoder = new TextDecoder();
    const tap = new TransformStream({
      transform(chunk, controller) {
        text += decoder.decode(chunk, { stream: true });
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(tap), response);
  };
  const seen = page({ url: server.url, getToken: () => server.token(), transport: "sse", metrics: ["large"] }, { fetch: reading });
  await seen.live();
  for (let n = 1; n <= 30; n++) await server.publish("large", { n, text: PADDING });
  await until(() => seen.updates("large").length === 30);
  assert.deepEqual(seen.updates("large").map((it) => it.n), Array.from({ length: 30 }, (_, i) => i + 1));
  assert.ok(seen.updates("large").every((it) => it.text === PADDING));
  assert.ok(text.split('"metrics_patch"').length > 20, "more than one whole value a minute would be needed for");
});

test("tabs that agree get less over their connection, and where they do not, all of it", async () => {
  const origin = new Origin();
  const tabs = [];
  const open = (metrics) => {
    const tab = origin.tab();
    const seen = page({ url: server.url, getToken: () => server.token("tabs"), metrics }, tab.env);
    seen.stale = [];
    seen.hub.on("stale", ({ metric }) => seen.stale.push(metric));
    tabs.push(seen);
    return seen;
  };
  const less = { metric: "tabs.a", fields: ["/n"] };
  const first = open([less]);
  await first.live();
  const second = open([less, "brief.tabs"]);
  await second.live();
  await until(() => first.hub.connection.metrics.length === 2);
  await server.publish("tabs.a", { n: 1, text: PADDING });
  await until(() => tabs.every(({ hub }) => hub.get("tabs.a")));
  assert.deepEqual(tabs.map(({ hub }) => hub.get("tabs.a").value), [{ n: 1 }, { n: 1 }]);
  await second.hub.subscribe(["tabs.*"]);
  assert.deepEqual(second.hub.get("tabs.a").value, { n: 1 }, "as it asks for it");
  const third = open(["tabs.a"]);
  await third.live();
  await until(() => tabs.every(({ hub }) => hub.get("tabs.a").value.text), "who wants all has all");
  for (let n = 2; n <= 5; n++) await server.publish("tabs.a", { n, text: PADDING });
  await until(() => tabs.every((tab) => tab.hub.get("tabs.a").value.n === 5));
  assert.ok(tabs.every((tab) => tab.updates("tabs.a").slice(1).every(({ text }) => text === PADDING)), "members have whole values");
  third.hub.close();
  tabs.pop();
  await until(() => first.hub.connection.metrics.some(({ metric }) => metric === "tabs.a"), "they agree again");
  // What one learns the others know.
  await server.publish("brief.tabs", 1);
  await until(() => second.hub.get("brief.tabs")?.stale);
  assert.deepEqual([first.stale, second.stale], [[], ["brief.tabs"]]);
  const late = open(["brief.tabs"]);
  await late.live();
  assert.equal(late.hub.get("brief.tabs").stale, true);
});

test("a tab's bad expression is that tab's alone", async () => {
  const origin = new Origin();
  const open = (metrics) => {
    const seen = page({ url: server.url, getToken: () => server.token("bad"), metrics }, origin.tab().env);
    seen.errors = [];
    seen.hub.on("error", (error) => seen.errors.push(error));
    return seen;
  };
  // The one that comes first has nothing but that.
  const first = open([{ metric: "bad.a", where: "data <" }]);
  await until(() => first.hub.state === "refused");
  const second = open(["bad.b"]);
  await second.live();
  await first.live();
  assert.deepEqual(first.errors.map(({ details }) => details.metric), ["bad.a"]);
  const third = open(["bad.b", { metric: "bad.c", where: "nobody" }]);
  await until(() => third.errors.length);
  assert.equal(third.errors[0].details.metric, "bad.c");
  await server.publish("bad.b", 1);
  await until(() => [second, third].every((tab) => tab.updates("bad.b").length === 1));
  assert.deepEqual(second.errors, []);
  await assert.rejects(second.hub.subscribe([{ metric: "bad.d", where: "data <" }]), { code: "invalid_request", status: 400 });
  assert.deepEqual(second.errors, []);
  await until(() => first.hub.connection.metrics.join() === "bad.b");
});

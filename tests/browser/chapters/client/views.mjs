// Less than every value whole: parts, some values, not too often, what changes; and values that are overdue.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Dashboard } from "../../support/dashboard.mjs";
import { Site } from "../../support/site.mjs";
import { until } from "../../support/wait.mjs";

const OVERDUE = '[[metric]]\nname = "brief.*"\nttl_ms = 1500\n';
const PADDING = "x".repeat(300);

/** Counts in `window.wire` how many messages of a type came in whatever way. */
function tap() {
  window.wire = { metrics_update: 0, metrics_patch: 0 };
  const count = (text) => {
    for (const type in window.wire) window.wire[type] += text.split(`"type":"${type}"`).length - 1;
  };
  const { fetch, WebSocket } = window;
  window.fetch = async (...asked) => {
    const response = await fetch(...asked);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response;
    const [own, other] = response.body.tee();
    (async () => {
      let line = "";
      for (const reader = own.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        const lines = (line + value).split("\n");
        line = lines.pop();
        lines.forEach(count);
      }
    })().catch(() => {});
    return new Response(other, response);
  };
  window.WebSocket = class extends WebSocket {
    constructor(...asked) {
      super(...asked);
      this.addEventListener("message", ({ data }) => count(data));
    }
  };
}

export function views(world) {
  const open = async (t, options, config) => {
    const site = await Site.start(t, { config });
    return { site, dashboard: await Dashboard.open(await world.browser.person(t), site, options, [tap]) };
  };
  const value = (dashboard, metric) => dashboard.tab.run((name) => window.hub.get(name)?.value, metric);
  const becomes = (dashboard, metric, wanted) =>
    until(`${metric} to be ${JSON.stringify(wanted)}`,
      async () => JSON.stringify(await value(dashboard, metric)) === JSON.stringify(wanted),
      () => value(dashboard, metric));
  const subscribes = (dashboard, ...metrics) =>
    dashboard.tab.run(async (list) => window.hub.subscribe(list).catch(({ code, message, details }) => ({ code, message, details })), metrics);

  describe("a page that shows less than there is", () => {
    for (const transport of ["sse", "websocket"]) {
      test(`is sent no more, over ${transport}: parts, in a condition, not too often, whenever it asks`, async (t) => {
        const low = { metric: "credits.*", fields: ["/balance", "/by/plan"], where: "data.balance < 10 && data.by.plan == 'pro'" };
        const { site, dashboard } = await open(t, { transport, metrics: ["n", low] });
        const school = (balance, plan) => site.hub.publish("credits.alder", { balance, by: { plan, other: PADDING }, PADDING });
        const [{ subscription }] = await site.hub.connections();
        assert.deepEqual(subscription, ["n", low]);
        await school(50, "pro");
        await school(5, "free");
        await school(4, "pro");
        await becomes(dashboard, "credits.alder", { balance: 4, by: { plan: "pro" } });
        assert.deepEqual(await dashboard.updates("credits.alder"), [{ balance: 4, by: { plan: "pro" } }]);
        // Who comes later has it in the snapshot.
        const again = await Dashboard.open(await world.browser.person(t), site, { transport, metrics: [low] });
        assert.deepEqual(await value(again, "credits.alder"), { balance: 4, by: { plan: "pro" } });
        await again.close();

        const late = await Dashboard.open(await world.browser.person(t), site, { transport, metrics: ["n"] });
        assert.deepEqual(await subscribes(late, { metric: "pace", maxHz: 5 }), ["n", { metric: "pace", maxHz: 5 }]);
        for (let n = 1; n <= 30; n++) await site.hub.publish("pace", n);
        await late.shows(30, "pace");
        const { messages } = await late.seen;
        const times = messages.filter(({ data }) => "pace" in data).map(({ messageId }) => Number(messageId.split("-")[0]));
        times.slice(1).forEach((ms, nth) => assert.ok(ms - times[nth] >= 200, `${ms - times[nth]} ms`));
        const refused = await subscribes(late, { metric: "credits.*", where: "data.balance <" });
        assert.deepEqual([refused.code, refused.details.metric, refused.details.line], ["invalid_request", "credits.*", 1]);
        assert.ok(refused.details.column > 1, refused.message);
      });

      test(`has large values put together from what changes, over ${transport}, also when the connection breaks`, async (t) => {
        const { site, dashboard } = await open(t, { transport, metrics: ["large"] });
        const published = [];
        const publish = async (count) => {
          for (; count > 0; count--) {
            const n = published.length + 1;
            published.push({ n, deep: { list: [n], [`k${n % 3}`]: n }, text: PADDING, ...(n % 4 ? {} : { fourth: null }) });
            await site.hub.publish("large", published.at(-1));
          }
        };
        await publish(8);
        await becomes(dashboard, "large", published.at(-1));
        const before = await dashboard.tab.run(() => ({ ...window.wire }));
        assert.ok(before.metrics_patch >= 4, JSON.stringify(before));
        await site.link.refuse();
        await dashboard.isNot("live");
        await publish(5);
        await site.link.accept();
        await dashboard.tab.run(() => window.hub.reconnect());
        await dashboard.is("live");
        await publish(8);
        await becomes(dashboard, "large", published.at(-1));
        const { states, dropped } = await dashboard.seen;
        assert.deepEqual(await dashboard.updates("large"), published);
        assert.deepEqual(dropped, []);
        assert.equal(states.filter(({ state }) => state === "live").length, 2, "no patch was for something else");
        const after = await dashboard.tab.run(() => ({ ...window.wire }));
        assert.ok(after.metrics_patch > before.metrics_patch, JSON.stringify(after));
      });
    }

    test("has all of a metric that another tab shows whole, and less again when that is closed", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      const publish = (total) => site.hub.publish("users", { total, names: ["ada", "grace"] });
      const small = await Dashboard.open(person, site, { metrics: [{ metric: "users", fields: ["/total"] }] });
      await publish(1);
      await becomes(small, "users", { total: 1 });
      const large = await Dashboard.open(person, site, { metrics: ["users"] });
      await becomes(large, "users", { total: 1, names: ["ada", "grace"] });
      await publish(2);
      for (const dashboard of [small, large]) await becomes(dashboard, "users", { total: 2, names: ["ada", "grace"] });
      assert.equal((await site.hub.connections()).length, 1);
      await large.close();
      const asked = async () => (await site.hub.connections())[0]?.subscription;
      await until("less to be asked for", async () => (await asked())?.[0].metric === "users", asked);
      await publish(3);
      await becomes(small, "users", { total: 3 });
    });
  });

  describe("a value that is overdue", () => {
    test("is told to every tab, on coming back too, until there is another", async (t) => {
      const site = await Site.start(t, { config: OVERDUE });
      const person = await world.browser.person(t);
      const pages = [];
      const opens = async () => {
        const dashboard = await Dashboard.open(person, site, { metrics: ["brief.*", "n"] });
        await dashboard.tab.run(() => {
          window.stale = [];
          window.hub.on("stale", (it) => window.stale.push(it));
        });
        pages.push(dashboard);
        return dashboard;
      };
      const isStale = (dashboard) => dashboard.tab.run(() => Boolean(window.hub.get("brief.a")?.stale));
      const all = (wanted) => until(`stale to be ${wanted}`, async () => (await Promise.all(pages.map(isStale))).every((it) => it === wanted));
      const first = await opens();
      await opens();
      await site.hub.publish("n", 1);
      const { messageId } = await site.hub.publish("brief.a", 1);
      await all(true);
      for (const { tab } of pages) {
        const [{ updatedAt, ...told }] = await tab.until("the word for it", () => window.stale.length && window.stale);
        assert.deepEqual(told, { metric: "brief.a", messageId, ttlMs: 1500 });
        assert.equal(Date.parse(updatedAt), Number(messageId.split("-")[0]));
      }
      site.link.cut();
      const lives = async () => (await first.seen).states.filter(({ state }) => state === "live").length;
      await until("it to come back", async () => (await lives()) === 2);
      await all(true);
      await opens();
      await all(true);
      await site.hub.publish("brief.a", 2);
      await all(false);
      for (const dashboard of pages) assert.equal(await dashboard.tab.run(() => window.hub.get("n").stale), undefined);
    });
  });
}

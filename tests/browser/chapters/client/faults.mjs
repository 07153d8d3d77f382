// The client library when the network fails it: what it says, and that nothing is lost.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fast } from "../../support/clocks.mjs";
import { Dashboard } from "../../support/dashboard.mjs";
import { Site } from "../../support/site.mjs";
import { pause } from "../../support/wait.mjs";

const TRANSPORTS = ["sse", "websocket"];
/** Twenty seconds of silence are four. */
const FAST = 5;

/** The first thing that was said after it had been live. */
const firstWord = ({ states }) => states.slice(states.findIndex(({ state }) => state === "live") + 1)[0];

export function faults(world) {
  for (const transport of TRANSPORTS) {
    describe(`the library over ${transport}`, () => {
      const opened = async (t, before) => {
        const site = await Site.start(t);
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport }, before);
        await site.hub.publish("n", 1);
        await dashboard.shows(1);
        return { site, dashboard };
      };

      test("a cable that is pulled shows as stale, until it is back", async (t) => {
        const { site, dashboard } = await opened(t, fast(FAST));
        site.link.unplug();
        await site.hub.publish("n", 2);
        const seen = await dashboard.is("stale", "silent");
        assert.equal(firstWord(seen).state, "stale");
        site.link.plug({ forgets: true });
        await dashboard.shows(2);
        await dashboard.hasAll(1, 2);
      });

      test("a machine that wakes shows stale at once, and live soon", async (t) => {
        const { site, dashboard } = await opened(t, fast(FAST));
        const asleep = world.browser.sleep(5000);
        site.link.unplug();
        await site.hub.publish("n", 2);
        site.link.plug({ forgets: true });
        await asleep;
        await dashboard.shows(2);
        // A socket that says something first, as a WebSocket's ping, is told by the network that it is gone.
        assert.ok(["stale", "resuming"].includes(firstWord(await dashboard.seen).state));
        await dashboard.hasAll(1, 2);
      });

      test("a tab that was frozen comes back likewise", { skip: world.kind !== "chromium" && "only Chromium can be told to" }, async (t) => {
        const { site, dashboard } = await opened(t, fast(FAST));
        const protocol = await dashboard.tab.page.createCDPSession();
        await protocol.send("Page.setWebLifecycleState", { state: "frozen" });
        site.link.unplug();
        await site.hub.publish("n", 2);
        await pause(5000);
        site.link.plug({ forgets: true });
        await protocol.send("Page.setWebLifecycleState", { state: "active" });
        await dashboard.shows(2);
        assert.ok(["stale", "resuming"].includes(firstWord(await dashboard.seen).state));
        await dashboard.hasAll(1, 2);
      });

      test("a slow network is no dead one", async (t) => {
        const { site, dashboard } = await opened(t);
        site.link.slow({ delayMs: 400, bytesPerSecond: 10_000 });
        for (let n = 2; n <= 20; n++) await site.hub.publish("n", n);
        await dashboard.shows(20);
        await dashboard.hasAll(1, 20);
        assert.equal(firstWord(await dashboard.seen), undefined, "it was live all the time");
      });

      test("refused connections are tried again, and the page knows when", async (t) => {
        const { site, dashboard } = await opened(t);
        await site.link.refuse();
        await dashboard.is("resuming", "network");
        await dashboard.tab.until("a time", () => window.seen.states.some(({ retryAt }) => retryAt > Date.now() - 60_000));
        await site.hub.publish("n", 2);
        await site.link.accept();
        await dashboard.shows(2);
        await dashboard.hasAll(1, 2);
      });

      test("what goes wrong between proxy and hub is no other thing", async (t) => {
        const { site, dashboard } = await opened(t);
        await site.back.refuse();
        await dashboard.isNot("live");
        await site.hub.publish("n", 2);
        await site.back.accept();
        await dashboard.shows(2);
        await dashboard.hasAll(1, 2);
      });

      test("what was dropped meanwhile is told exactly", async (t) => {
        const site = await Site.start(t, { config: "[sessions]\nbacklog_messages_max = 4\n" });
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport });
        await site.link.refuse();
        for (let n = 1; n <= 10; n++) await site.hub.publish("n", n);
        await site.link.accept();
        await dashboard.shows(10);
        const { dropped } = await dashboard.seen;
        assert.equal(dropped.length, 1);
        const [{ droppedByPriority, ...receipt }] = dropped;
        assert.deepEqual(receipt, { droppedMessagesCount: 6, droppedMetrics: ["n"], gap: false });
        assert.equal(droppedByPriority.normal, 6);
        assert.deepEqual(await dashboard.updates(), [7, 8, 9, 10]);
      });

      test("a hub that has forgotten everything is a gap that is told", async (t) => {
        const site = await Site.start(t, { config: '[store]\ndurability = "memory"\n' });
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport });
        await site.hub.publish("n", 1);
        await dashboard.shows(1);
        await site.hub.kill();
        await site.hub.start();
        await site.hub.publish("n", 2);
        await dashboard.shows(2);
        const { dropped } = await dashboard.seen;
        assert.deepEqual(dropped.map(({ gap }) => gap), [true]);
      });
    });
  }

  describe("the library while the hub is killed and started again", () => {
    for (const settings of ["recipe", "example", "plain"]) {
      test(`behind nginx, with the ${settings} settings`, async (t) => {
        const site = await Site.start(t, { settings });
        const dashboard = await Dashboard.open(await world.browser.person(t), site);
        for (let n = 1; n <= 3; n++) {
          await site.hub.publish("n", n);
          await dashboard.shows(n);
          await site.hub.kill();
          await dashboard.is("resuming");
          await site.hub.start();
        }
        await site.hub.publish("n", 4);
        await dashboard.shows(4);
        await dashboard.hasAll(1, 4);
      });
    }

    test("it comes back when it is told to, after an orderly stop", async (t) => {
      const site = await Site.start(t);
      const dashboard = await Dashboard.open(await world.browser.person(t), site);
      await site.hub.publish("n", 1);
      await dashboard.shows(1);
      await site.hub.drain();
      await dashboard.is("resuming");
      const { states } = await dashboard.seen;
      assert.ok(states.some(({ reason, retryAt }) => reason === "shutdown" && retryAt), JSON.stringify(states));
      await site.hub.start();
      await site.hub.publish("n", 2);
      await dashboard.shows(2);
      await dashboard.hasAll(1, 2);
    });
  });
}

// The hub goes and comes back behind nginx, and dashboards without the library live through it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventSource, reaches, updates, webSocket } from "../support/native.mjs";
import { Site } from "../support/site.mjs";

async function watching(t, world, settings) {
  const site = await Site.start(t, { settings });
  const query = { metrics: "orders", access_token: site.hub.token() };
  const tab = await eventSource(await world.browser.person(t), { page: site.blank }, query);
  await tab.until("the snapshot", () => window.seen.length >= 2);
  await site.hub.publish("orders", 1);
  await reaches(tab, "orders", 1);
  return { site, tab };
}

export function restarts(world) {
  describe("the hub is killed and started again behind nginx", { concurrency: 3 }, () => {
    for (const settings of ["recipe", "example"]) {
      test(`a native EventSource lives, with the ${settings}`, async (t) => {
        const { site, tab } = await watching(t, world, settings);
        await site.hub.kill();
        // Its stream has broken; then it has asked nginx, and was told to ask again.
        await tab.until("two breaks", () => window.errors.length >= 2);
        await site.hub.start();
        await site.hub.publish("orders", 2);
        await reaches(tab, "orders", 2);
        assert.deepEqual(await updates(tab, "orders"), [1, 2]);
        assert.ok(!(await tab.run(() => window.errors)).includes(2), "it was never closed");
      });
    }

    test("a native EventSource is dead for good, without the recipe", async (t) => {
      const { site, tab } = await watching(t, world, "plain");
      await site.hub.kill();
      await tab.until("its end", () => window.source.readyState === EventSource.CLOSED);
    });

    test("a native EventSource comes back after an orderly stop", async (t) => {
      const { site, tab } = await watching(t, world, "recipe");
      await site.hub.drain();
      await tab.until("the last words", () => window.seen.some(({ type }) => type === "server_shutdown"));
      await site.hub.start();
      await site.hub.publish("orders", 2);
      await reaches(tab, "orders", 2);
      assert.deepEqual(await updates(tab, "orders"), [1, 2]);
    });

    test("a native WebSocket is told when to come back", async (t) => {
      const site = await Site.start(t);
      const query = { token: site.hub.token() };
      const tab = await webSocket(await world.browser.person(t), { page: site.blank }, query);
      await tab.until("the snapshot", () => window.seen.length >= 2);
      await site.hub.drain();
      await tab.until("its end", () => window.ending);
      assert.equal(await tab.run(() => window.ending.code), 1001);
      const last = await tab.run(() => window.seen.at(-1));
      assert.equal(last.type, "server_shutdown");
      assert.ok(last.data.reconnectInMs >= 0);
    });
  });
}

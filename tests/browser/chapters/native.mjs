// What every browser has, without the library: as README tells it, and as dashboards that were written
// long ago have it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventSource, page, reaches, running, types, updates, webSocket } from "../support/native.mjs";
import { snippet } from "../support/readme.mjs";
import { Site } from "../support/site.mjs";
import { until } from "../support/wait.mjs";

/** Most of their time is waiting. */
const TOGETHER = { concurrency: 3 };

/** A hub that forgets everything when it ends. */
const FORGETFUL = '[store]\ndurability = "memory"\n';

export function native(world) {
  describe("what README tells", TOGETHER, () => {
    test("the EventSource shows values and alerts", async (t) => {
      const site = await Site.start(t);
      await site.hub.publish("users", { active: 1 });
      const tab = await running(await world.browser.person(t), site, "EventSource");
      await tab.until("the snapshot", () => window.seen[0]?.users?.active === 1);
      await site.hub.publish("elsewhere", 1);
      await site.hub.publish("credits.used.today", 7);
      await site.hub.ask("/alerts", { severity: "high", message: "Payments are slow" });
      await tab.until("the alert", () => window.alerts.length);
      assert.deepEqual(await tab.run(() => window.seen), [{ users: { active: 1 } }, { "credits.used.today": 7 }]);
      assert.deepEqual(await tab.run(() => window.alerts), [{ severity: "high", message: "Payments are slow" }]);
    });

    test("the EventSource comes back by itself and misses nothing", async (t) => {
      const site = await Site.start(t);
      const tab = await running(await world.browser.person(t), site, "EventSource");
      await tab.until("the snapshot", () => window.seen.length);
      for (let value = 1; value <= 3; value++) {
        site.link.cut();
        await site.hub.publish("users", value);
        await tab.until("what was missed", (last) => window.seen.at(-1).users === last, value);
      }
      assert.deepEqual(await tab.run(() => window.seen), [{}, { users: 1 }, { users: 2 }, { users: 3 }]);
      assert.equal(site.application.signed.length, 1, "the first ticket is good for all of them");
    });

    test("the EventSource gets a fresh ticket where the hub has forgotten the old one", async (t) => {
      const site = await Site.start(t, { config: FORGETFUL });
      const tab = await running(await world.browser.person(t), site, "EventSource");
      await tab.until("the snapshot", () => window.seen.length);
      await site.hub.kill();
      await site.hub.start();
      await site.hub.publish("users", 5);
      await tab.until("the value", () => window.seen.at(-1).users === 5);
    });

    test("the EventSource gives up where its user may not", async (t) => {
      const site = await Site.start(t);
      site.application.sign = () => site.hub.token({ role: "teacher" });
      const tab = await running(await world.browser.person(t), site, "EventSource");
      await until("the refusal", () => tab.answers.some(({ path, status }) => path.endsWith("/ticket") && status === 403));
      assert.equal(site.application.signed.length, 1);
      assert.deepEqual(await tab.run(() => window.seen), []);
    });

    test("fetch follows, and goes on where it was", async (t) => {
      const site = await Site.start(t);
      const tab = await page(await world.browser.person(t), site);
      await tab.script(`${snippet("fetch", "js")}
        (async () => {
          for (;;) {
            await follow().catch(() => {});
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        })();`);
      await tab.until("the snapshot", () => window.seen.some(({ type }) => type === "initial_metrics"));
      for (let value = 1; value <= 3; value++) {
        await site.hub.publish("dashboard", value);
        await reaches(tab, "dashboard", value);
        site.link.cut();
      }
      await site.hub.publish("dashboard", "last");
      await reaches(tab, "dashboard", "last");
      assert.deepEqual(await updates(tab, "dashboard"), [1, 2, 3, "last"]);
    });

    test("the WebSocket subscribes, over TLS and with its token as a subprotocol", async (t) => {
      const site = await Site.start(t, { tls: true });
      const tab = await page(await world.browser.person(t), site);
      await tab.run((jwt) => (window.jwt = jwt), site.hub.token());
      await tab.script(snippet("WebSocket", "js"));
      await tab.until("the subscription", () => window.seen.some(({ type }) => type === "subscribed"));
      await site.hub.publish("users.active", 9);
      await reaches(tab, "users.active", 9);
      assert.deepEqual(await types(tab), ["connection_established", "initial_metrics", "subscribed", "metrics_update"]);
    });
  });

  describe("what dashboards had before", TOGETHER, () => {
    test("an EventSource with a token in its query", async (t) => {
      const site = await Site.start(t);
      await site.hub.publish("users", 1);
      const query = { metrics: "dashboard,users", access_token: site.hub.token() };
      const tab = await eventSource(await world.browser.person(t), { page: site.blank }, query);
      await tab.until("the snapshot", () => window.seen.length >= 2);
      await site.hub.publish("users", 2);
      await reaches(tab, "users", 2);
      assert.deepEqual(await types(tab), ["connection_established", "initial_metrics", "metrics_update"]);
      assert.deepEqual(await tab.run(() => window.seen[1].data), { users: 1 });
    });

    test("a WebSocket with a token in its query", async (t) => {
      const site = await Site.start(t);
      const query = { userId: "ada", metrics: "dashboard", token: site.hub.token() };
      const tab = await webSocket(await world.browser.person(t), { page: site.blank }, query);
      await tab.until("the snapshot", () => window.seen.length >= 2);
      await tab.run(() => {
        window.socket.send(JSON.stringify({ type: "subscribe", data: { metrics: ["users"] } }));
        window.socket.send(JSON.stringify({ type: "ping" }));
      });
      await tab.until("the answers", () => window.seen.some(({ type }) => type === "pong"));
      await site.hub.publish("users", 1);
      await reaches(tab, "users", 1);
      const all = ["connection_established", "initial_metrics", "subscribed", "pong", "metrics_update"];
      assert.deepEqual(await types(tab), all);
    });

    test("either with the cookie that the application set", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      await person.hasCookie(site.url("/"), "access_token", site.hub.token());
      for (const open of [eventSource, webSocket]) {
        const tab = await open(person, { page: site.blank }, { metrics: "users" });
        await tab.until("the snapshot", () => window.seen.length >= 2);
      }
    });

    test("the position moves on a quiet stream and no message is shown for it", async (t) => {
      const site = await Site.start(t);
      const query = { metrics: "quiet", access_token: site.hub.token() };
      const tab = await eventSource(await world.browser.person(t), { page: site.blank }, query);
      await tab.until("the snapshot", () => window.seen.length >= 2);
      await tab.run(() => window.source.addEventListener("cursor", (event) => (window.position = event.lastEventId)));
      const { messageId } = await site.hub.publish("other", 1);
      await tab.until("the position", (id) => window.position === id, messageId);
      await tab.until("a heartbeat", () => window.seen.at(-1).type === "heartbeat");
      assert.equal(await tab.run(() => window.seen.at(-1).id), messageId, "what the browser will come back with");
      assert.deepEqual((await types(tab)).filter((type) => type === "metrics_update"), []);
    });

    test("each is told what a refusal looks like to it, and no more", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      const source = await eventSource(person, { page: site.blank }, { access_token: "nonsense" });
      await source.until("its end", () => window.errors.length);
      assert.deepEqual(await source.run(() => window.errors), [2], "dead at once, and for good");
      const socket = await webSocket(person, { page: site.blank }, { token: "nonsense" });
      await socket.until("its end", () => window.ending);
      assert.deepEqual(await socket.run(() => window.ending), { code: 1006, wasClean: false });
    });
  });
}

// What operators do with the console.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Console } from "../../support/console.mjs";
import { eventSource } from "../../support/native.mjs";
import { Site } from "../../support/site.mjs";
import { until } from "../../support/wait.mjs";

export function use(world) {
  const at = async (t, view, options) => {
    const site = await Site.start(t, options);
    const person = await world.browser.person(t);
    const console = await Console.loggedIn(person, site);
    await console.goes(view);
    return { site, person, console };
  };

  describe("logging in to the console", () => {
    test("by pasting a token, after one that is not good", async (t) => {
      const site = await Site.start(t);
      const console = await Console.open(await world.browser.person(t), site);
      await console.fills("Token (JWT) of an administrator", "nonsense");
      await console.presses("Log in");
      await console.says("does not take this token", '[role="alert"]');
      await console.fills("Token (JWT) of an administrator", site.hub.token());
      await console.presses("Log in");
      await console.says("live", ".badge");
      await console.says("ada", ".who");
      await console.presses("Log out");
      await console.says("Token (JWT)");
    });

    test("by a link, of which nothing is left", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      const token = site.hub.token();
      const console = await Console.loggedIn(person, site, token);
      const left = await console.tab.run(() => JSON.stringify([
        location.href, { ...localStorage }, document.cookie, performance.getEntriesByType("resource").map(({ name }) => name),
      ]));
      assert.ok(!left.includes(token.split(".")[1]), left);
      await console.tab.page.reload();
      await console.says("live", ".badge");
      const other = await Console.open(person, site);
      await other.says("Token (JWT)");
    });

    test("by the cookie of the application", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      await person.hasCookie(site.url("/"), "access_token", site.hub.token());
      const console = await Console.open(person, site);
      await console.says("live", ".badge");
    });
  });

  describe("working with the console", () => {
    test("an alert is acknowledged with a note, and everybody is told", async (t) => {
      const { site, person, console } = await at(t, "live");
      const other = await Console.loggedIn(person, site, site.hub.token({ user: "grace" }));
      await console.tab.page.bringToFront();
      await site.hub.ask("/alerts", { severity: "high", message: "Payments are slow" });
      await console.says("Payments are slow", ".alerts-list");
      await console.presses("Acknowledge", ".alerts-list");
      await console.fills("Note (may be left out)", "I look into it", "dialog");
      await console.presses("Acknowledge", "dialog");
      const taken = async () => (await site.hub.ask("/alerts?state=acknowledged")).alerts[0];
      const alert = await until("the alert to be acknowledged", taken);
      assert.equal(alert.acknowledgedBy, "ada");
      assert.equal(alert.acknowledgedNote, "I look into it");
      for (const each of [console, other]) {
        await each.tab.page.bringToFront();
        await each.tab.page.select('.alerts select[aria-label="State"]', "acknowledged");
        await each.says("Acknowledged by ada", ".alerts-list");
      }
      assert.deepEqual(await console.complaints(), []);
    });

    test("an alert that is raised before the stream is there is seen", async (t) => {
      const site = await Site.start(t);
      const console = await Console.open(await world.browser.person(t), site);
      const { page } = console.tab;
      const held = [];
      let isHeld = true;
      await page.setRequestInterception(true);
      page.on("request", (request) => (isHeld && request.url().includes("/stream") ? held.push(request) : request.continue()));
      await console.fills("Token (JWT) of an administrator", site.hub.token());
      await console.presses("Log in");
      await until("the stream to be asked for", () => held.length > 0);
      await console.says("None.", ".alerts");
      await site.hub.ask("/alerts", { severity: "high", message: "Payments are slow" });
      isHeld = false;
      await Promise.all(held.map((request) => request.continue()));
      await console.says("Payments are slow", ".alerts-list");
    });

    test("a session is disconnected", async (t) => {
      const { site, person, console } = await at(t, "connections");
      const query = { access_token: site.hub.token({ user: "grace" }) };
      const tab = await eventSource(person, { page: site.blank }, query);
      await tab.until("its snapshot", () => window.seen.length >= 2);
      await console.tab.page.bringToFront();
      await console.says("grace", "table");
      await console.tab.run(() => document.querySelector('[aria-label="Disconnect grace"]').click());
      await console.presses("Disconnect", "dialog");
      await console.says("Disconnected.");
      await until("the end of the session", async () => (await site.hub.connections("grace")).length === 0);
      await tab.until("the last word", () => window.seen.at(-1).data.code === "disconnected");
      await tab.close();
      assert.deepEqual(await console.complaints(), []);
    });

    test("what a session asks for is told in words, and what is overdue marked until it is not", async (t) => {
      const { site, person, console } = await at(t, "connections", { config: '[[metric]]\nname = "orders.*"\nttl_ms = 1500\n' });
      const metrics = JSON.stringify(["users", { metric: "credits.*", fields: ["/total", "/by/plan"], where: "data.total < 10", maxHz: 2 }]);
      const tab = await eventSource(person, { page: site.blank }, { access_token: site.hub.token({ user: "grace" }), metrics });
      await tab.until("its snapshot", () => window.seen.length >= 2);
      await console.tab.page.bringToFront();
      await console.says("users\ncredits.* · /by/plan, /total · where data.total < 10 · 2 a second at most", "table");
      await console.goes("live");
      await site.hub.publish("orders.today", 1);
      await console.says("overdue", ".tile .age");
      await console.presses("orders.today", ".tiles");
      await console.says("overdue", "dialog");
      await console.presses("Close", "dialog");
      await site.hub.publish("orders.today", 2);
      await console.tab.until("it to be current", () => !document.querySelector(".tile.stale"));
      assert.deepEqual(await console.complaints(), []);
    });

    test("the past of a metric is drawn, listed and exported", async (t) => {
      const { site, console } = await at(t, "live");
      for (let sum = 1; sum <= 5; sum++) await site.hub.publish("orders.today", { count: sum, sum: sum * 100 });
      await console.says("orders.today", ".tiles");
      await console.goes("history");
      await console.fills("Metric", "orders.today");
      await console.fills("Number", "/sum");
      await console.fills("Each point", "max");
      await console.presses("Show");
      await console.tab.until("its numbers", () => document.querySelectorAll("main svg :is(path, circle)").length > 0);
      await console.says("500", ".figures");
      await console.tab.run(() => (document.querySelector("details").open = true));
      await console.says("5", "details table");
      await console.presses("CSV");
      await until("the export", () => console.tab.answers.find(({ path, status }) => path.endsWith("/export") && status === 200));
      assert.deepEqual(await console.complaints(), []);
    });

    test("what is published in Try it comes over the raw stream, and to Live and the audit trail", async (t) => {
      const { console } = await at(t, "try");
      for (const [transport, sign] of [["sse", "data: "], ["websocket", '{"type":"connection_established"']]) {
        await console.fills("Transport", transport);
        await console.presses("Open");
        await console.says(sign, ".wire");
        await console.says("initial_metrics", ".wire");
        await console.presses("Publish");
        await console.says("Taken as");
        await console.says('"demo.orders":{"count":12', ".wire");
        await console.presses("Close");
      }
      await console.goes("live");
      await console.says("demo.orders", ".tiles");
      await console.goes("audit");
      await console.says("publish", "table");
      await console.says("ada", "table");
      assert.deepEqual(await console.complaints(), []);
    });

    test("all of it is reached by keyboard", async (t) => {
      const { site, console } = await at(t, "live");
      await site.hub.ask("/alerts", { severity: "high", message: "Payments are slow" });
      await console.says("Payments are slow", ".alerts-list");
      const { keyboard } = console.tab.page;
      const focused = () => console.tab.run(() => document.activeElement.textContent.trim());
      /** Goes until the focus is on what says this, never beyond the page: there the browser's own buttons are. */
      const reaches = async (text, isBefore = false) => {
        if (isBefore) await keyboard.down("Shift");
        for (let steps = 0; (await focused()) !== text; steps++) {
          assert.ok(steps < 20, `${text} is not reached; at last ${await focused()}`);
          await keyboard.press("Tab");
        }
        await keyboard.up("Shift");
      };
      await reaches("To the content", true);
      await keyboard.press("Enter");
      await reaches("Acknowledge");
      await keyboard.press("Enter");
      await console.says("Cancel", "dialog");
      await keyboard.press("Escape");
      await console.tab.until("the dialog to close", () => !document.querySelector("dialog"));
      assert.equal(await focused(), "Acknowledge", "the focus is where it was");
      await reaches("Connections", true);
      await keyboard.press("Enter");
      await console.says("ada (this page)", "table");
    });

    test("a hub that goes and comes back is told", async (t) => {
      const { site, console } = await at(t, "live");
      await site.hub.publish("users", 1);
      await console.says("users", ".tiles");
      await site.hub.kill();
      await console.tab.until("the word for it", () => document.querySelector(".badge").textContent !== "live");
      await console.says("stale", ".tile");
      await site.hub.start();
      await console.says("live", ".badge");
      await site.hub.publish("users", 2);
      await console.says("2", ".tile .value");
    });
  });
}

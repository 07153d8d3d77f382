// Streams that the hub compresses: browsers ask for it by themselves, and no event may wait for another.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { A } from "../support/hub.mjs";
import { eventSource, reaches, updates } from "../support/native.mjs";
import { Site } from "../support/site.mjs";

const LONG = "a metric that is long enough to be compressed ".repeat(50);

export function gzip(world) {
  describe("streams in gzip", { concurrency: 3 }, () => {
    test("an EventSource in gzip shows each event at once, also over a break", async (t) => {
      const site = await Site.start(t);
      const query = { metrics: "m", access_token: site.hub.token() };
      const tab = await eventSource(await world.browser.person(t), { page: site.blank }, query);
      await tab.until("the snapshot", () => window.seen.length >= 2);
      const values = [1, LONG, 2, 3, LONG + "again", 4];
      for (const value of values) {
        await site.hub.publish("m", value);
        // Nothing more is published before it is there.
        await reaches(tab, "m", value);
        // What was read so far is kept where a stream of gzip is torn.
        if (value === 2) site.link.cut();
      }
      assert.deepEqual(await updates(tab, "m"), values);
      const streams = tab.answers.filter(({ path }) => path === `${A}/stream`);
      assert.ok(streams.length >= 2);
      assert.deepEqual(new Set(streams.map(({ encoding }) => encoding)), new Set(["gzip"]));
    });

    test("a stop is read to its last word, and the EventSource comes back", async (t) => {
      const site = await Site.start(t);
      const query = { metrics: "m", access_token: site.hub.token() };
      const tab = await eventSource(await world.browser.person(t), { page: site.blank }, query);
      await tab.until("the snapshot", () => window.seen.length >= 2);
      await site.hub.drain();
      await tab.until("the last words", () => window.seen.some(({ type }) => type === "server_shutdown"));
      await site.hub.start();
      await site.hub.publish("m", "back");
      await reaches(tab, "m", "back");
    });

    test("fetch reads each event at once, and whether the end was one", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      for (const end of ["in order", "torn"]) {
        const tab = await person.opens(site.blank);
        await tab.run(async (address) => {
          const answer = await fetch(address);
          window.encoding = answer.headers.get("content-encoding");
          window.text = "";
          const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
          (async () => {
            for (;;) {
              const { done, value } = await reader.read();
              if (done) return "done";
              window.text += value;
            }
          })().then(
            (how) => (window.end = how),
            (error) => (window.end = error.name),
          );
        }, `${A}/stream?${new URLSearchParams({ metrics: "m", access_token: site.hub.token() })}`);
        assert.equal(await tab.run(() => window.encoding), "gzip");
        for (const value of ["small", LONG]) {
          await site.hub.publish("m", value);
          await tab.until("the event", (what) => window.text.includes(what), `{"m":"${value}"}`);
        }
        if (end === "in order") {
          await site.hub.drain();
          await tab.until("the end", () => window.end);
          assert.equal(await tab.run(() => window.end), "done");
          assert.ok(await tab.run(() => window.text.includes("server_shutdown")));
          await site.hub.start();
        } else {
          site.link.cut();
          await tab.until("the end", () => window.end);
          assert.equal(await tab.run(() => window.end), "TypeError");
        }
      }
    });
  });
}

// Pages of other origins.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventSource, webSocket } from "../support/native.mjs";
import { Site } from "../support/site.mjs";

export function origins(world) {
  describe("a page of another origin", () => {
    test("may stream where it is listed, with its token and with a cookie", async (t) => {
      const elsewhere = await Site.elsewhere(t);
      const site = await Site.start(t, { origins: [elsewhere.origin] });
      const person = await world.browser.person(t);
      const url = { page: `${elsewhere.origin}/app/blank`, hub: site.url("") };
      const withToken = await eventSource(person, url, { access_token: site.hub.token() });
      await withToken.until("the snapshot", () => window.seen.length >= 2);
      await person.hasCookie(site.url("/"), "access_token", site.hub.token());
      const withCookie = await eventSource(person, url, {}, { withCredentials: true });
      await withCookie.until("the snapshot", () => window.seen.length >= 2);
      const socket = await webSocket(person, url, {});
      await socket.until("the snapshot", () => window.seen.length >= 2);
    });

    // Attack: cross-site WebSocket hijacking, and its like over SSE and POST.
    test("may not use the cookie of somebody who only came by", async (t) => {
      const elsewhere = await Site.elsewhere(t);
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      await person.hasCookie(site.url("/"), "access_token", site.hub.token());
      const url = { page: `${elsewhere.origin}/app/blank`, hub: site.url("") };
      const source = await eventSource(person, url, {}, { withCredentials: true });
      await source.until("its end", () => window.errors.includes(EventSource.CLOSED));
      const socket = await webSocket(person, url, {});
      await socket.until("its end", () => window.ending);
      for (const tab of [source, socket]) assert.deepEqual(await tab.run(() => window.seen), []);
      assert.deepEqual(await site.hub.connections(), []);
    });
  });
}

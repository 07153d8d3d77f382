// The client library and who may come in: tokens that expire, and refusals with their reasons.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fast } from "../../support/clocks.mjs";
import { Dashboard } from "../../support/dashboard.mjs";
import { eventSource } from "../../support/native.mjs";
import { Site } from "../../support/site.mjs";
import { until } from "../../support/wait.mjs";

/** The clocks are the same here, so that a token's end is its end. */
const EXACT = "[auth]\nleeway_ms = 0\n";

export function tokens(world) {
  for (const transport of ["sse", "websocket"]) {
    describe(`the library's tokens over ${transport}`, () => {
      test("are renewed before they expire, and the stream goes on", async (t) => {
        const site = await Site.start(t, { config: EXACT });
        site.application.sign = () => site.hub.token({ ttl: "20s" });
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport }, fast(5));
        const { connection: { connectionId } } = await dashboard.seen;
        await until("two renewals", () => site.application.signed.length >= 3);
        await site.hub.publish("n", 1);
        await dashboard.shows(1);
        const { connection, states, reasons } = await dashboard.seen;
        assert.equal(connection.connectionId, connectionId);
        assert.equal(states.at(-1).state, "live");
        assert.equal(states.filter(({ state }) => state === "live").length, 1, "it was live all the time");
        assert.deepEqual(reasons.slice(0, 3), ["start", "expiring", "expiring"]);
      });

      test("that have expired are told, and another one brings it back without a loss", async (t) => {
        const site = await Site.start(t, { config: EXACT });
        site.application.sign = () => site.hub.token({ ttl: "3s" });
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport });
        site.application.sign = () => 503;
        const { states } = await dashboard.is("resuming", "token_unavailable");
        assert.ok(states.some(({ reason }) => reason === "token_expired"), JSON.stringify(states));
        await site.hub.publish("n", 1);
        site.application.sign = () => site.hub.token();
        await dashboard.shows(1);
        await dashboard.hasAll(1, 1);
      });

      test("that are refused are asked for again", async (t) => {
        const site = await Site.start(t);
        const good = site.application.sign;
        site.application.sign = () => (site.application.signed.length ? good() : "nonsense");
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport });
        const { reasons } = await dashboard.seen;
        assert.deepEqual(reasons, ["start", "unauthenticated"]);
      });

      // Attack: reading credentials out of logs, errors or the trail (the canary).
      test("never go to an address or to storage", async (t) => {
        const site = await Site.start(t);
        const dashboard = await Dashboard.open(await world.browser.person(t), site, { transport });
        site.link.cut();
        await site.hub.publish("n", 1);
        await dashboard.shows(1);
        const [jwt] = site.application.signed;
        const kept = await dashboard.tab.run(() => JSON.stringify([
          performance.getEntriesByType("resource").map(({ name }) => name),
          { ...localStorage },
          { ...sessionStorage },
          document.cookie,
        ]));
        assert.ok(kept.includes("statshub.js"), kept);
        assert.ok(!kept.includes(jwt.split(".")[1]) && !kept.includes(jwt.split(".")[2]), kept);
      });

      test("are not needed where there is a cookie", async (t) => {
        const site = await Site.start(t);
        const person = await world.browser.person(t);
        await person.hasCookie(site.url("/"), "access_token", site.hub.token());
        await Dashboard.open(person, site, { transport, cookies: true });
        assert.deepEqual(site.application.signed, []);
      });
    });

    test(`another user's cookie begins with nothing of the last one's, over ${transport}`, async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      await person.hasCookie(site.url("/"), "access_token", site.hub.token());
      await site.hub.publish("n", "for ada", { userId: "ada" });
      const dashboard = await Dashboard.open(person, site, { transport, cookies: true });
      await dashboard.shows("for ada");
      await person.hasCookie(site.url("/"), "access_token", site.hub.token({ user: "grace" }));
      site.link.cut();
      const { connection } = await dashboard.isNot("live").then(() => dashboard.is("live"));
      assert.equal(connection.userId, "grace");
      assert.equal(await dashboard.tab.run(() => window.hub.metrics.size), 0);
    });

    describe(`why the library is not let in over ${transport}`, () => {
      const refused = async (t, site, before) =>
        Dashboard.begin(await world.browser.person(t), site, { transport }, before);

      test("401: no token is good", async (t) => {
        const site = await Site.start(t);
        site.application.sign = () => "nonsense";
        const dashboard = await refused(t, site);
        await dashboard.is("refused", "unauthenticated");
        site.application.sign = () => site.hub.token();
        await dashboard.tab.run(() => window.hub.reconnect());
        await dashboard.is("live");
      });

      test("403: the role is not enough, which asking again would not change", async (t) => {
        const site = await Site.start(t);
        site.application.sign = () => site.hub.token({ role: "teacher" });
        const dashboard = await refused(t, site);
        const { status } = await dashboard.is("refused", "forbidden");
        assert.equal(status.retryAt, null);
        assert.ok(status.message);
      });

      test("429: all connections are taken, until one is free", async (t) => {
        const site = await Site.start(t, { config: "[sessions]\nconnections_per_user_max = 1\n" });
        const query = { access_token: site.hub.token() };
        const other = await eventSource(await world.browser.person(t), { page: site.blank }, query);
        await other.until("its snapshot", () => window.seen.length >= 2);
        const dashboard = await refused(t, site, fast(5));
        const { status } = await dashboard.is("refused", "connection_limit");
        assert.ok(status.retryAt > status.since);
        await other.close();
        await dashboard.is("live");
      });

      test("an operator has ended it: it stays away", async (t) => {
        const site = await Site.start(t);
        const dashboard = await refused(t, site);
        await dashboard.is("live");
        await site.hub.ask("/disconnect", { userId: "ada" });
        await dashboard.is("closed", "disconnected");
        assert.deepEqual(await site.hub.connections(), []);
      });

      test("the session was taken over elsewhere: it begins one of its own", async (t) => {
        const site = await Site.start(t);
        const dashboard = await refused(t, site);
        const { opened: [{ reconnectToken }] } = await dashboard.is("live");
        const taken = new AbortController();
        t.after(() => taken.abort());
        await fetch(site.hub.url(`/api/admin/analytics/reconnect?token=${reconnectToken}`), {
          headers: { Authorization: `Bearer ${site.hub.token()}` },
          signal: taken.signal,
        });
        await dashboard.is("resuming", "replaced");
        const { opened } = await dashboard.is("live");
        assert.notEqual(opened.at(-1).reconnectToken, reconnectToken);
      });
    });
  }
}

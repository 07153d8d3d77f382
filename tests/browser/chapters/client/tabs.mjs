// Several tabs of one origin, which need one connection.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fast } from "../../support/clocks.mjs";
import { Dashboard } from "../../support/dashboard.mjs";
import { Site } from "../../support/site.mjs";
import { until } from "../../support/wait.mjs";

const TABS = 6;

/** So many tabs of one person, each live. */
async function tabs(t, world, site, count, before) {
  const person = await world.browser.person(t);
  const all = [];
  while (all.length < count) all.push(await Dashboard.open(person, site, { metrics: ["n", `tab.${all.length}`] }, before));
  return { person, all };
}

const leads = async (dashboard) => (await dashboard.seen).connection?.leader;

/** The one that has the connection, and the others. */
async function byRole(all) {
  const roles = await Promise.all(all.map(leads));
  const leader = all.find((_, index) => roles[index]);
  return { leader, others: all.filter((dashboard) => dashboard !== leader) };
}

const oneConnection = (site) => until("one connection", async () => (await site.hub.connections()).length === 1);

export function sharing(world) {
  describe("tabs of one origin", () => {
    test("six need one connection, and each sees what it has asked for", async (t) => {
      const site = await Site.start(t);
      const { all } = await tabs(t, world, site, TABS);
      assert.equal((await site.hub.connections()).length, 1);
      await site.hub.publish("n", 1);
      for (let nth = 0; nth < TABS; nth++) await site.hub.publish(`tab.${nth}`, nth);
      for (const [nth, dashboard] of all.entries()) {
        await dashboard.shows(1);
        await dashboard.shows(nth, `tab.${nth}`);
        assert.deepEqual(await dashboard.tab.run(() => [...window.hub.metrics.keys()].sort()), ["n", `tab.${nth}`]);
      }
      assert.equal((await Promise.all(all.map(leads))).filter(Boolean).length, 1);
    });

    test("the connection is handed over when the tab that has it is closed, and nothing is lost", async (t) => {
      const site = await Site.start(t);
      let { all } = await tabs(t, world, site, 4);
      let n = 0;
      while (all.length > 1) {
        const { leader, others } = await byRole(all);
        const publishing = (async () => {
          for (let count = 0; count < 20; count++) await site.hub.publish("n", ++n);
        })();
        await leader.close();
        await publishing;
        for (const dashboard of others) await dashboard.shows(n);
        all = others;
      }
      await all[0].hasAll(1, n);
      await oneConnection(site);
    });

    test("a tab that crashes is followed likewise", { skip: world.kind !== "chromium" && "only Chromium can be told to crash" }, async (t) => {
      const site = await Site.start(t);
      const { all } = await tabs(t, world, site, 2);
      await site.hub.publish("n", 1);
      for (const dashboard of all) await dashboard.shows(1);
      const { leader, others: [other] } = await byRole(all);
      const protocol = await leader.tab.page.createCDPSession();
      protocol.send("Page.crash").catch(() => {});
      await site.hub.publish("n", 2);
      await other.shows(2);
      await other.hasAll(1, 2);
      await oneConnection(site);
    });

    const noCache = world.kind === "firefox" && "Firefox caches no page that had a request under way";

    test("a page that was left and is come back to is current again", { skip: noCache }, async (t) => {
      const site = await Site.start(t);
      site.application.pages.set("/app/other", "<!doctype html><title>another page</title>");
      const { all: [dashboard] } = await tabs(t, world, site, 1, [
        () => addEventListener("pageshow", ({ persisted }) => (window.persisted = persisted)),
      ]);
      await site.hub.publish("n", 1);
      await dashboard.shows(1);
      await dashboard.tab.page.goto(site.url("/app/other"));
      await until("no connection", async () => (await site.hub.connections()).length === 0);
      await site.hub.publish("n", 2);
      await dashboard.tab.back();
      assert.equal(await dashboard.tab.run(() => window.persisted), true, "the library did not keep it from being cached");
      await dashboard.shows(2);
      await dashboard.hasAll(1, 2);
      await oneConnection(site);
    });

    test("a tab that was left hands the connection over, and is one of many when it comes back", { skip: noCache }, async (t) => {
      const site = await Site.start(t);
      site.application.pages.set("/app/other", "<!doctype html><title>another page</title>");
      const { all } = await tabs(t, world, site, 2);
      const { leader, others: [other] } = await byRole(all);
      await leader.tab.page.goto(site.url("/app/other"));
      await site.hub.publish("n", 1);
      await other.shows(1);
      await leader.tab.back();
      await leader.shows(1);
      await site.hub.publish("n", 2);
      for (const dashboard of all) await dashboard.shows(2);
      await other.hasAll(1, 2);
      await oneConnection(site);
    });

    test("a frozen tab loses the connection to one that is seen", { skip: world.kind !== "chromium" && "only Chromium can be told to freeze" }, async (t) => {
      const site = await Site.start(t);
      const { all } = await tabs(t, world, site, 2, fast(5));
      const { leader, others: [other] } = await byRole(all);
      await other.tab.page.bringToFront();
      const protocol = await leader.tab.page.createCDPSession();
      await protocol.send("Page.setWebLifecycleState", { state: "frozen" });
      await site.hub.publish("n", 1);
      await other.shows(1);
      await protocol.send("Page.setWebLifecycleState", { state: "active" });
      await leader.shows(1);
      await site.hub.publish("n", 2);
      for (const dashboard of all) {
        await dashboard.shows(2);
        await dashboard.hasAll(1, 2);
      }
      await oneConnection(site);
    });

    test("a tab that is blocked is followed, and has no say when it no longer is", async (t) => {
      const site = await Site.start(t);
      const { all } = await tabs(t, world, site, 3, fast(5));
      const { leader, others } = await byRole(all);
      const blocked = leader.tab.run(() => {
        for (const end = performance.now() + 10_000; performance.now() < end; );
      });
      const heir = await until("another leader", async () => (await byRole(others)).leader);
      await site.hub.publish("n", 1);
      for (const dashboard of others) await dashboard.shows(1);
      const { connection, states: { length } } = await heir.seen;
      await blocked;
      await until("one leader", async () => !(await leads(leader)));
      await site.hub.publish("n", 2);
      for (const dashboard of all) {
        await dashboard.shows(2);
        await dashboard.hasAll(1, 2);
        assert.equal((await dashboard.seen).connection.connectionId, connection.connectionId);
      }
      assert.deepEqual((await heir.seen).states.slice(length), []);
      await oneConnection(site);
    });

    test("a tab whose token is refused lets another one try", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      const good = site.application.sign;
      site.application.sign = () => "nonsense";
      const bad = await Dashboard.begin(person, site, { shared: "the wall" });
      await bad.is("refused", "unauthenticated");
      site.application.sign = good;
      const other = await Dashboard.open(person, site, { shared: "the wall" });
      await bad.is("live");
      assert.ok(await leads(other));
      await oneConnection(site);
    });

    test("two users in one browser do not share", async (t) => {
      const site = await Site.start(t);
      const person = await world.browser.person(t);
      const ada = await Dashboard.open(person, site);
      site.application.sign = () => site.hub.token({ user: "grace" });
      const grace = await Dashboard.open(person, site);
      await site.hub.publish("n", "for ada", { userId: "ada" });
      await ada.shows("for ada");
      await site.hub.publish("n", "for all");
      await grace.shows("for all");
      assert.deepEqual(await grace.updates(), ["for all"]);
      for (const user of ["ada", "grace"]) assert.equal((await site.hub.connections(user)).length, 1);
    });
  });
}

// A hundred drops of all kinds, at random: what the page sees is as if there had been none.

import { test } from "node:test";
import { Chance, seed } from "../../support/chance.mjs";
import { Dashboard } from "../../support/dashboard.mjs";
import { Site } from "../../support/site.mjs";
import { pause } from "../../support/wait.mjs";

const DROPS = 100;

/** What can happen to a link, each with how it ends. */
const FAULTS = [
  (link) => link.cut(),
  (link) => {
    link.resetNext(1);
    link.cut();
  },
  async (link, chance) => {
    await link.refuse();
    await pause(chance.below(60));
    await link.accept();
  },
  async (link, chance) => {
    link.unplug();
    await pause(chance.below(60));
    link.plug();
  },
  async (link, chance) => {
    link.slow({ delayMs: chance.below(30), bytesPerSecond: 50_000 });
    link.cut();
    await pause(chance.below(60));
    link.slow({});
  },
];

/** At once, and again until it holds: after so many failures in a row it would wait for up to half a minute. */
async function comesBack(dashboard, n) {
  const atOnce = () => dashboard.tab.run(() => window.hub.reconnect());
  await atOnce();
  const again = setInterval(() => atOnce().catch(() => {}), 3000);
  try {
    await dashboard.shows(n);
  } finally {
    clearInterval(again);
  }
}

export function drops(world) {
  test(`${DROPS} random drops: nothing lost, nothing twice, all in order`, async (t) => {
    const chance = new Chance(seed(t));
    const site = await Site.start(t, { config: "[limits]\nfailed_resumes_per_minute = 10000\n" });
    const person = await world.browser.person(t);
    const dashboards = [
      await Dashboard.open(person, site, { transport: "sse" }),
      await Dashboard.open(person, site, { transport: "websocket" }),
    ];
    let n = 0;
    for (let drop = 0; drop < DROPS; drop++) {
      for (let count = chance.below(3); count >= 0; count--) await site.hub.publish("n", ++n);
      const fault = chance.one(FAULTS)(chance.one([site.link, site.back]), chance);
      await site.hub.publish("n", ++n);
      await fault;
      await pause(chance.below(40));
      // Never so much that a backlog could not hold it.
      if (drop % 10 === 9) for (const dashboard of dashboards) await comesBack(dashboard, n);
    }
    for (const dashboard of dashboards) {
      await comesBack(dashboard, n);
      await dashboard.hasAll(1, n);
    }
  });
}

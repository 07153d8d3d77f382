// Each view of the console with the demo's data: that it has something to show, can be used by everybody, and
// breaks no rule of its own; and how it looks.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Console, VIEWS } from "../../support/console.mjs";
import { Site } from "../../support/site.mjs";

const LOOKS = [
  { name: "light", scheme: "light", width: 1280, height: 800 },
  { name: "dark", scheme: "dark", width: 1280, height: 800 },
  { name: "phone", scheme: "light", width: 380, height: 800 },
];

export function look(world) {
  describe("the console with the demo's data", () => {
    test("every view, in light and dark and on a phone", async (t) => {
      const site = await Site.start(t, { args: ["demo"] });
      await site.hub.ask("/alerts", { severity: "critical", message: "The database does not answer", host: "db1" });
      await site.hub.ask("/alerts", { severity: "low", message: "A backup took longer than usual" });
      const console = await Console.loggedIn(await world.browser.person(t), site);
      for (const [view, hasContent] of Object.entries(VIEWS)) {
        await console.goes(view);
        await console.tab.until(`something to see in ${view}`, hasContent);
        for (const { name, scheme, width, height } of LOOKS) {
          if (!(await console.tab.looks({ scheme, width, height }))) continue;
          await console.screenshot(`${world.kind}-${view}-${name}`);
          if (name === "light" || world.kind === "chromium") {
            assert.deepEqual(await console.violations(), [], `${view}, ${name}`);
          }
          const overflow = await console.tab.run(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${view} is ${overflow} px wider than a ${name}`);
        }
      }
      // That of README, when its lines have become long.
      await console.goes("live");
      await console.tab.until("lines", VIEWS.live);
      if (world.kind === "chromium") {
        await console.tab.looks(LOOKS[0]);
        await console.screenshot("console");
      }
      assert.deepEqual(await console.complaints(), []);
    });

    test("the login", async (t) => {
      const site = await Site.start(t, { args: ["demo"] });
      const console = await Console.open(await world.browser.person(t), site);
      await console.says("Token (JWT)");
      await console.screenshot(`${world.kind}-login`);
      assert.deepEqual(await console.violations(), []);
    });
  });
}

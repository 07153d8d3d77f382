// What operators do with alert rules in the console.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Console } from "../../support/console.mjs";
import { Site } from "../../support/site.mjs";
import { until } from "../../support/wait.mjs";

/** What a browser says of each answer that is a refusal. */
const REFUSED = /Failed to load resource.*400/;

export function rules(world) {
  const at = async (t, options) => {
    const site = await Site.start(t, options);
    const console = await Console.loggedIn(await world.browser.person(t), site);
    await console.goes("rules");
    const complaints = async () => (await console.complaints()).filter((it) => !REFUSED.test(it));
    return { site, console, complaints };
  };

  describe("alert rules in the console", () => {
    test("one is written, mended, tried out, saved, silenced and deleted", async (t) => {
      const { site, console, complaints } = await at(t);
      await console.says("No such rules.");
      await console.presses("New rule");
      await console.fills("Name", "busy", "dialog");
      await console.fills("Metric or pattern", "orders.*", "dialog");
      await console.fills("When", "data.count > 3 &&", "dialog");
      await console.presses("Save", "dialog");
      await console.says("line 1, column 1", "dialog");
      await console.tab.until("the cursor to be there", () => document.activeElement.name === "when" && document.activeElement.ariaInvalid === "true");
      await console.fills("When", "data.count > 3", "dialog");
      await console.fills("Message", "{data.count} on {metric}", "dialog");
      await console.presses("Try", "dialog");
      await console.says("one is wanted, as the rule is on a pattern", "dialog");
      await console.fills("Try on the metric", "orders.today", "dialog");
      for (const [count, verdict] of [[3, "It does not hold."], [5, "It holds: an alert would begin."]]) {
        await console.fills("With the value (JSON)", JSON.stringify({ count }), "dialog");
        await console.presses("Try", "dialog");
        await console.says(verdict, ".outcome");
        await console.says(`${count} on orders.today`, ".outcome");
      }
      assert.deepEqual(await console.violations(), []);
      await console.presses("Save", "dialog");
      await console.says("inactive", "table");
      assert.equal((await site.hub.ask("/rules/busy")).rule.when, "data.count > 3");

      await site.hub.publish("orders.today", { count: 5 });
      await console.says("orders.today: firing since", "table");
      await console.fills("State", "pending");
      await console.says("0 of 1");
      await console.fills("State", "firing");
      await console.fills("Name or metric", "today");
      await console.says("orders.today: firing since", "table");
      await console.presses("Silence", "tbody");
      await console.fills("Why", "It is known");
      await console.presses("Silence", "main form");
      await console.says("Silenced: busy, until", "main form");
      await console.says("firing, silenced", "table");
      const [silence] = (await site.hub.ask("/silences")).silences;
      assert.deepEqual([silence.alert, silence.metric, silence.why, silence.by], ["busy", null, "It is known", "ada"]);
      await console.presses("End");
      await console.presses("End it", "dialog");
      await console.says("Nothing is silenced.");

      await console.fills("State", "");
      await console.fills("Name or metric", "bus");
      await console.presses("Edit");
      await console.fills("When", "data.count > 9", "dialog");
      await console.presses("Save", "dialog");
      await until("the change", async () => (await site.hub.ask("/rules/busy")).rule.when === "data.count > 9");
      await console.presses("Delete");
      await console.presses("Delete", "dialog");
      await console.tab.until("it to be gone", () => !document.querySelector("tbody tr"));
      assert.deepEqual((await site.hub.ask("/rules")).rules, []);
      assert.deepEqual(await complaints(), []);
    });

    test("one of the file is shown and tried out, and not changed", async (t) => {
      const config = '[[alert]]\nname = "busy"\non = "orders"\nwhen = "data > 3"\nseverity = "low"\n';
      const { site, console, complaints } = await at(t, { config });
      await console.says("file", "table");
      await console.presses("Show");
      await console.says("is changed there", "dialog");
      const buttons = await console.tab.run(() => [...document.querySelectorAll("dialog button")].map((it) => it.textContent));
      assert.deepEqual(buttons, ["Close", "Try"]);
      const changeable = await console.tab.run(() =>
        [...document.querySelectorAll("dialog :is(input, textarea, select)")].filter((it) => !it.readOnly && !it.disabled).map((it) => it.name));
      assert.deepEqual(changeable, ["metric", "data"]);
      await site.hub.publish("orders", 7);
      await console.presses("Try", "dialog");
      await console.says("It holds", ".outcome");
      assert.deepEqual(await complaints(), []);
    });

    test("of notifications that were given up one is tried again, and one dropped", async (t) => {
      const receiver = await Site.elsewhere(t);
      const answers = (status) => receiver.pages.set("/app/hook", { status, type: "text/plain", body: "" });
      // Gone: then it is not tried again by itself.
      answers(410);
      const config = '[[alert]]\nname = "busy"\non = "orders.*"\nwhen = "data > 3"\nseverity = "low"\n' +
        `[[webhook]]\nname = "pager"\nurl = "${receiver.origin}/app/hook"\nsecret = "whsec_${btoa("0123456789abcdef0123456789abcdef")}"\n`;
      const { site, console, complaints } = await at(t, { config });
      for (const metric of ["orders.today", "orders.ever"]) await site.hub.publish(metric, 7);
      await console.says("0 pending, 2 dead");
      answers(200);
      await console.presses("Retry");
      await console.says("It is tried again.");
      await console.says("0 pending, 1 dead");
      await console.presses("Drop");
      await console.presses("Drop", "dialog");
      await console.says("0 pending, 0 dead");
      await console.tab.page.select('select[aria-label="Which"]', "recent");
      await console.says("delivered", "main section:nth-of-type(3) table");
      const { recent } = await site.hub.ask("/notifications");
      assert.deepEqual(recent.map(({ webhook, alert }) => [webhook, alert]), [["pager", "busy"]]);
      assert.deepEqual(await complaints(), []);
    });
  });
}

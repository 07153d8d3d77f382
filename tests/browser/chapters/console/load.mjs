// Five hundred metrics with ten new values a second: the console goes on drawing, and ends with the last.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Console } from "../../support/console.mjs";
import { Site } from "../../support/site.mjs";
import { pause } from "../../support/wait.mjs";

const METRICS = 500;
const PER_SECOND = 10;
const SECONDS = 3;
/** Of the layout, in the unit of the Layout Instability API; what nobody notices. */
const JUMPS_MAX = 0.01;

const name = (nth) => `load.${String(nth).padStart(3, "0")}`;
const batch = (value) => ({ messages: Array.from({ length: METRICS }, (_, nth) => ({ metric: name(nth), data: value })) });

export function load(world) {
  test(`the console with ${METRICS} metrics and ${PER_SECOND} values a second of each`, async (t) => {
    const site = await Site.start(t);
    await site.hub.ask("/publish", batch(0));
    const console = await Console.loggedIn(await world.browser.person(t), site);
    await console.tab.until("the tiles", (count) => document.querySelectorAll(".tile").length === count, METRICS);
    await console.tab.run(() => {
      window.frames_ = 0;
      window.long = [];
      window.shifts = 0;
      const count = () => {
        window.frames_ += 1;
        requestAnimationFrame(count);
      };
      requestAnimationFrame(count);
      const observe = (type, take) => {
        if (!PerformanceObserver.supportedEntryTypes.includes(type)) return;
        new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type });
      };
      observe("longtask", ({ duration }) => window.long.push(duration));
      observe("layout-shift", ({ value }) => (window.shifts += value));
    });
    const began = Date.now();
    const last = PER_SECOND * SECONDS;
    for (let value = 1; value <= last; value++) {
      await site.hub.ask("/publish", batch(value));
      await pause(Math.max(0, began + (value * 1000) / PER_SECOND - Date.now()));
    }
    const took = (Date.now() - began) / 1000;
    const { frames, long, shifts } = await console.tab.run(() => ({ frames: window.frames_, long: window.long, shifts: window.shifts }));
    t.diagnostic(`${Math.round((METRICS * last) / took)} values a second, ${Math.round(frames / took)} frames a second, ` +
      `${long.length} tasks over 50 ms, the longest ${Math.round(Math.max(0, ...long))} ms`);
    assert.ok(shifts < JUMPS_MAX, `things jump about: ${shifts}`);
    // Only tiles that are seen are drawn: so all of them are.
    await console.tab.looks({ width: 1280, height: 30_000 });
    await console.tab.until("the last values", (value) =>
      [...document.querySelectorAll(".tile .value")].every(({ textContent }) => textContent === String(value)), last);
    assert.deepEqual(await console.complaints(), []);
  });
}

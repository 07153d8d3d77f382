// Everything, in one browser: a browser is started once, each test has a person of its own in it.

import { after, before, describe } from "node:test";
import { drops } from "./chapters/client/drops.mjs";
import { fallback } from "./chapters/client/fallback.mjs";
import { faults } from "./chapters/client/faults.mjs";
import { react } from "./chapters/client/react.mjs";
import { sharing } from "./chapters/client/tabs.mjs";
import { tokens } from "./chapters/client/tokens.mjs";
import { native } from "./chapters/native.mjs";
import { origins } from "./chapters/origins.mjs";
import { restarts } from "./chapters/restarts.mjs";
import { Browser } from "./support/browser.mjs";

const CHAPTERS = [native, origins, restarts, faults, fallback, sharing, tokens, react, drops];

/** @param {"chromium" | "firefox"} kind */
export function suite(kind) {
  describe(kind, () => {
    /** What chapters are given: the browser is there once tests run. */
    const world = { kind, browser: undefined };
    before(async () => (world.browser = await Browser.launch(kind)));
    after(() => world.browser?.close());
    for (const chapter of CHAPTERS) chapter(world);
  });
}

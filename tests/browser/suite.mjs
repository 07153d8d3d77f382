// Everything, in one browser: a browser is started once, each test has a person of its own in it.

import { after, before, describe } from "node:test";
import { native } from "./chapters/native.mjs";
import { restarts } from "./chapters/restarts.mjs";
import { origins } from "./chapters/origins.mjs";
import { Browser } from "./support/browser.mjs";

const CHAPTERS = [native, origins, restarts];

/** @param {"chromium" | "firefox"} kind */
export function suite(kind) {
  describe(kind, () => {
    /** What chapters are given: it is there once tests run. */
    const world = { kind, browser: undefined };
    before(async () => (world.browser = await Browser.launch(kind)));
    after(() => world.browser?.close());
    for (const chapter of CHAPTERS) chapter(world);
  });
}

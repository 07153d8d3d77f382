// Chapters in one browser: it is started once, and each test has a person of its own in it.

import { after, before, describe } from "node:test";
import { Browser } from "./support/browser.mjs";

/**
 * @param {"chromium" | "firefox"} kind
 * @param {((world: {kind: string, browser: Browser}) => void)[]} chapters
 */
export function suite(kind, chapters) {
  describe(kind, () => {
    /** What chapters are given: the browser is there once tests run. */
    const world = { kind, browser: undefined };
    before(async () => (world.browser = await Browser.launch(kind)));
    after(() => world.browser?.close());
    for (const chapter of chapters) chapter(world);
  });
}

// The console, as somebody who sits before it: by what it says, and not by how it is made.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { ROOT } from "./hub.mjs";
import { until } from "./wait.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENSHOTS = resolve(ROOT, process.env.SCREENSHOTS ?? "target/screenshots");

/** By what is in the address, each with what it shows when it has something to show. */
export const VIEWS = {
  live: () => document.querySelectorAll(".tile .value").length >= 3,
  connections: () => document.querySelectorAll("table tbody tr button").length > 0,
  delivery: () => /version/.test(document.querySelector("main").textContent) && document.querySelectorAll("main svg path").length > 0,
  rules: () => document.querySelectorAll("table tbody tr button").length > 0,
  audit: () => document.querySelectorAll("table tbody tr").length > 0,
  try: () => document.querySelectorAll("main form").length === 2,
  // Last, so that there is some; a number that is alone is a dot.
  history: () => document.querySelectorAll("main svg :is(path, circle)").length > 0,
};

/** What a page notes from its beginning. */
const notes = [
  () => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) =>
      window.violations.push(`${violatedDirective} ${blockedURI} ${sourceFile}`));
  },
];

export class Console {
  /** Not logged in yet. */
  static async open(person, site, fragment = "") {
    const console = new Console();
    console.tab = await person.opens(site.url(`/${fragment}`), notes);
    // It draws only while it is seen.
    await console.tab.page.bringToFront();
    return console;
  }

  /** By the link that a hub prints. */
  static async loggedIn(person, site, token = site.hub.token()) {
    const console = await Console.open(person, site, `#token=${token}`);
    await console.says("live", ".badge");
    return console;
  }

  /** @param {keyof typeof VIEWS} view */
  async goes(view) {
    await this.tab.run((id) => (location.hash = `#/${id}`), view);
    await this.tab.until(`the view ${view}`, (id) => {
      const current = document.querySelector('nav [aria-current="page"]');
      return current?.getAttribute("href") === `#/${id}` && document.querySelector("main").childElementCount > 0;
    }, view);
  }

  text(selector = "body") {
    return this.tab.run((css) => document.querySelector(css)?.textContent ?? "", selector);
  }

  /** Waits until this is to be read there. */
  says(text, selector = "body") {
    const look = async () => (await this.text(selector)).includes(text);
    return until(`${selector} to say ${text}`, look, () => this.#looksLike());
  }

  /** For a test that has failed. */
  async #looksLike() {
    const page = await this.tab.run(() => `${location.hash} ${document.visibilityState}: ${document.body.textContent}`);
    return `${page} ${JSON.stringify(await this.complaints())}`;
  }

  /** The button that says this, below `selector`. */
  async presses(label, selector = "body") {
    await this.tab.until(`a button ${label} in ${selector}`, (css, wanted) => {
      const buttons = [...document.querySelectorAll(`${css} button`)];
      const button = buttons.find((it) => it.textContent.trim() === wanted && !it.disabled && it.checkVisibility());
      button?.click();
      return Boolean(button);
    }, selector, label);
  }

  /** Writes into the field with this label, below `selector`. */
  async fills(label, value, selector = "main") {
    const [field] = await this.#controls(selector, label);
    await field.evaluate((control) => (control.tagName === "SELECT" ? null : ((control.value = ""), control.focus())));
    if (await field.evaluate((control) => control.tagName === "SELECT")) await field.select(value);
    else await field.type(value);
    await field.evaluate((control) => control.dispatchEvent(new Event("change", { bubbles: true })));
  }

  async #controls(selector, label) {
    const found = await this.tab.page.$$(`${selector} label`);
    const controls = [];
    for (const element of found) {
      if ((await element.evaluate((it) => it.firstElementChild?.textContent)) === label) {
        controls.push(await element.$("input, select, textarea"));
      }
    }
    if (!controls.length) throw new Error(`no field ${label}`);
    return controls;
  }

  /** What WCAG 2 A and AA are broken by, in words; nothing where all is well. */
  async violations() {
    await this.tab.run(AXE);
    const { violations } = await this.tab.run(() =>
      window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] }));
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
  }

  /** Everything that a browser had to complain about. */
  async complaints() {
    return [...this.tab.complaints, ...(await this.tab.run(() => window.violations))];
  }

  async screenshot(name) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.tab.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }
}

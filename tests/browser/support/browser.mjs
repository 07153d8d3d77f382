// The browsers as Debian ships them, without a window: Chromium by its own protocol, Firefox by
// WebDriver BiDi.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { pause, until } from "./wait.mjs";

/** How each is found and started. */
const KINDS = {
  chromium: {
    browser: "chrome",
    executables: ["chromium", "chromium-browser", "google-chrome"],
    // Its sandbox does not run as root, as tests in a container do.
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
    // What puppeteer switches off so that tests do not see it, and real dashboards do.
    ignoreDefaultArgs: [
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
    ],
  },
  firefox: {
    browser: "firefox",
    executables: ["firefox-esr", "firefox"],
    args: [],
  },
};

function executable(kind) {
  const directories = (process.env.PATH ?? "").split(":");
  const found = KINDS[kind].executables
    .flatMap((name) => directories.map((directory) => `${directory}/${name}`))
    .find((path) => existsSync(path));
  if (!found) throw new Error(`no ${kind} on the path; tests/run installs it`);
  return found;
}

export class Browser {
  /** @param {keyof typeof KINDS} kind */
  static async launch(kind) {
    const { executables, ...options } = KINDS[kind];
    const browser = new Browser();
    browser.kind = kind;
    browser.driven = await puppeteer.launch({
      ...options,
      executablePath: executable(kind),
      headless: true,
      acceptInsecureCerts: true,
      protocolTimeout: 60_000,
      defaultViewport: { width: 1280, height: 800 },
    });
    return browser;
  }

  /** Somebody with storage and cookies of their own, until the test is over. */
  async person(t) {
    const context = await this.driven.createBrowserContext();
    t.after(() => context.close());
    return new Person(context);
  }

  /** All its processes stand still for `ms`, as on a laptop that is closed. */
  async sleep(ms) {
    const tree = processes(this.driven.process().pid);
    tree.forEach((pid) => signal(pid, "SIGSTOP"));
    try {
      await pause(ms);
    } finally {
      tree.reverse().forEach((pid) => signal(pid, "SIGCONT"));
    }
  }

  close() {
    return this.driven.close();
  }
}

/** One may have ended since it was found. */
function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** `root` and all that descend from it. */
function processes(root) {
  const children = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, parent] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
      children.set(+parent, [...(children.get(+parent) ?? []), +pid]);
    } catch {
      // It has ended.
    }
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

class Person {
  constructor(context) {
    this.context = context;
  }

  /** As if the application had set it: out of the page's reach. */
  hasCookie(url, name, value) {
    const { hostname } = new URL(url);
    return this.context.setCookie({ name, value, domain: hostname, path: "/", httpOnly: true, sameSite: "Lax" });
  }

  /**
   * @param {string} url
   * @param {[Function, ...unknown[]]} [before] what runs in the page before anything of its own, with arguments
   * @returns {Promise<Tab>} once the page is loaded
   */
  async opens(url, before) {
    const tab = new Tab(await this.context.newPage());
    if (before) await tab.page.evaluateOnNewDocument(...before);
    await tab.page.goto(url);
    return tab;
  }
}

export class Tab {
  /** What the console showed as an error or a warning, and what nobody caught. */
  complaints = [];
  /** What it was answered, each with `path`, `status` and `encoding`. */
  answers = [];

  /** @param {import("puppeteer-core").Page} page */
  constructor(page) {
    this.page = page;
    page.on("console", (message) => {
      if (["error", "warn"].includes(message.type())) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("response", (response) => {
      const encoding = response.headers()["content-encoding"];
      this.answers.push({ path: new URL(response.url()).pathname, status: response.status(), encoding });
    });
  }

  /** What `code` gives, in the page. */
  run(code, ...args) {
    return this.page.evaluate(code, ...args);
  }

  /** A script of the page's own, as if it stood in its HTML. */
  script(content, type = "text/javascript") {
    return this.page.addScriptTag({ content, type });
  }

  /** What `code` gives in the page, once that is truthy; something that can be told in JSON. */
  until(what, code, ...args) {
    return until(what, () => this.run(code, ...args));
  }

  /**
   * In a window of this size, for somebody who prefers this `scheme` of colours. Gives whether that was possible:
   * not every browser can be told of colours.
   */
  async looks({ scheme, width, height }) {
    await this.page.setViewport({ width, height });
    if (!scheme) return true;
    try {
      await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      return true;
    } catch {
      return this.run((wanted) => matchMedia(`(prefers-color-scheme: ${wanted})`).matches, scheme);
    }
  }

  /** To the page before, which may not have been unloaded meanwhile; then no load is told of. */
  async back() {
    const { href } = await this.run(() => ({ href: (history.back(), location.href) }));
    await this.until("the page before", (from) => location.href !== from, href);
  }

  close() {
    return this.page.close();
  }
}

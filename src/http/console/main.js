// The console: the bar, the tabs, and one view at a time; or the login.

import { session } from "./session.js";
import { h, say } from "./ui/dom.js";
import { clock, duration } from "./ui/format.js";
import { login } from "./login.js";
import "./views/audit.js";
import "./views/connections.js";
import "./views/delivery.js";
import "./views/history.js";
import "./views/live.js";
import "./views/rules.js";
import "./views/tryit.js";

/** @typedef {import("./types.js").Kind} Kind */

/** Address, title and element of each view. */
const VIEWS = [
  { id: "live", title: "Live", tag: "live-view" },
  { id: "connections", title: "Connections", tag: "connections-view" },
  { id: "delivery", title: "Delivery", tag: "delivery-view" },
  { id: "history", title: "History", tag: "history-view" },
  { id: "rules", title: "Rules", tag: "rules-view" },
  { id: "audit", title: "Audit", tag: "audit-view" },
  { id: "try", title: "Try it", tag: "tryit-view" },
];

/** A word about a token that is about to end comes so long before. */
const EXPIRES_SOON_MS = 5 * 60_000;

/** @type {Record<string, Kind>} */
const KINDS = { live: "good", resuming: "warn", stale: "warn", offline: "bad", refused: "bad", closed: "bad" };

/** Reasons of the library in words. @type {Record<string, string>} */
const REASONS = {
  network: "The hub cannot be reached",
  ended: "The stream has ended",
  silent: "Nothing has come for too long",
  woke: "The page was asleep",
  offline: "There is no network",
  shutdown: "The hub is restarting",
  connection_limit: "This user has as many connections as are allowed",
  rate_limited: "Too many requests",
  unavailable: "The hub has its streams switched off, or is overloaded",
  replaced: "The session was taken over elsewhere",
  disconnected: "An operator has disconnected this session",
};

class Console extends HTMLElement {
  #state = h("span", { class: "badge" }, "connecting");
  #user = h("span", { class: "who-name" });
  #noticeText = h("p");
  #again = h("button", { type: "button", class: "small", click: () => session.hub?.reconnect() }, "Try now");
  #fresh = h("button", { type: "button", class: "small", click: () => session.logOut() }, "Use another token");
  #notice = h("div", { class: "notice", hidden: true }, this.#noticeText, this.#again, this.#fresh);
  #links = VIEWS.map(({ id, title }) => h("a", { href: `#/${id}` }, title));
  #main = h("main", { id: "main", tabindex: "-1" });
  #bar = h("header", { class: "bar" },
    h("div", { class: "bar-row" },
      h("div", { class: "brand" },
        h("img", { src: new URL("icon.svg", import.meta.url), alt: "" }), h("h1", {}, "statshub")),
      h("nav", { class: "tabs", "aria-label": "Views" }, this.#links),
      h("div", { class: "who" },
        h("span", { role: "status" }, h("span", { class: "unseen" }, "Stream: "), this.#state),
        this.#user,
        h("a", { href: new URL("../../api/docs", import.meta.url) }, "API"),
        h("button", { type: "button", class: "small", click: () => session.logOut() }, "Log out"))));
  #shown = "";
  /** @type {typeof session.hub} */
  #hub = null;

  connectedCallback() {
    session.addEventListener("change", () => this.#show());
    addEventListener("hashchange", () => this.#navigate());
    setInterval(() => session.hub && this.#tellState(), 1000);
    session.takeFromAddress();
    session.begin();
  }

  // A fresh link opened over this page changes only the fragment and loads nothing anew.
  #navigate() {
    if (session.takeFromAddress()) session.begin();
    else this.#show();
    this.#main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  #show() {
    if (session.wanted !== null) return this.#askForToken(session.wanted);
    if (!session.hub) return;
    if (!this.#bar.isConnected) this.replaceChildren(this.#skip(), this.#bar, this.#main, this.#notice);
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const view = VIEWS.find(({ id }) => id === path) ?? /** @type {typeof VIEWS[0]} */ (VIEWS[0]);
    this.#links.forEach((link, i) => {
      if (VIEWS[i] === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
    // The query is a question to the view, and what it shows is one user's: another one makes it anew.
    const wanted = `${view.id}?${query}`;
    if (wanted !== this.#shown || session.hub !== this.#hub) {
      this.#shown = wanted;
      this.#hub = session.hub;
      this.#main.replaceChildren(document.createElement(view.tag));
      document.title = `${view.title} – statshub`;
      this.#links[VIEWS.indexOf(view)]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.#tellState();
  }

  #skip() {
    const skip = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#main.focus();
    };
    return h("a", { class: "skip", href: "#main", click: skip }, "To the content");
  }

  /** @param {string} why */
  #askForToken(why) {
    this.#shown = "";
    this.#main.replaceChildren();
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    document.title = "statshub";
    this.replaceChildren(login(why));
    this.querySelector("input")?.focus();
  }

  #tellState() {
    const { hub } = session;
    if (!hub) return;
    const { state, reason, message, since, retryAt } = hub.status;
    say(this.#state, state);
    this.#state.dataset.kind = KINDS[state] ?? "";
    this.#state.title = `since ${clock(since)}`;
    const { user, expires } = session.claims;
    say(this.#user, hub.connection?.userId ?? user);
    const left = expires === null ? Infinity : expires - Date.now();
    const isFine = state === "live" || state === "connecting" && !retryAt;
    this.#notice.hidden = isFine && left > EXPIRES_SOON_MS && !session.dropped;
    this.#again.hidden = isFine || state === "offline";
    this.#fresh.hidden = left > EXPIRES_SOON_MS;
    this.#notice.dataset.kind = KINDS[state] === "bad" ? "bad" : "";
    if (!isFine) {
      const next = retryAt && retryAt > Date.now() ? `; next try in ${duration(retryAt - Date.now())}` : "";
      say(this.#noticeText, `${message ?? REASONS[reason] ?? reason}. What you see is of ${clock(since)}${next}.`);
    } else if (left <= EXPIRES_SOON_MS) {
      say(this.#noticeText, `Your token ends in ${duration(left)}.`);
    } else {
      say(this.#noticeText, `${session.dropped} messages were left out, because this page could not keep up or was away too long. The values are current.`);
    }
  }
}

customElements.define("hub-console", Console);

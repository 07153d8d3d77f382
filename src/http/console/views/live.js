// The metrics as tiles, and the alerts beside them.

import { session } from "../session.js";
import { h, say } from "../ui/dom.js";
import { AlertsPanel } from "./live-alerts.js";
import { details } from "./live-details.js";
import { Painter } from "./live-painter.js";
import { Tile } from "./live-tile.js";

/** @typedef {import("../model/metrics.js").Metric} Metric */

class LiveView extends HTMLElement {
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #grid = h("div", { class: "tiles" });
  #count = h("span", { class: "quiet" });
  #empty = h("p", { class: "panel empty" }, "No values yet. Publish one under ", h("a", { href: "#/try" }, "Try it"), ", or let the hub read a source.");
  #waiting = h("p", { class: "panel empty" }, "Waiting for the stream…");
  #wasLive = false;
  #filter = h("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter metrics by name", input: () => this.#judgeAll() });
  #painter = new Painter();
  #alerts = new AlertsPanel();
  #ends = [() => {}];
  /** Metrics that have no tile yet: they get theirs together. @type {Metric[]} */
  #fresh = [];

  connectedCallback() {
    this.append(
      this.#alerts.element,
      h("section", { class: "metrics", "aria-labelledby": "metrics-title" },
        h("div", { class: "tiles-head" }, h("h2", { id: "metrics-title" }, "Metrics"), this.#count, this.#filter),
        this.#empty, this.#waiting, this.#grid));
    for (const metric of session.metrics.all.values()) this.#add(metric);
    const tick = setInterval(() => this.#painter.all(), 1000);
    const isLive = () => {
      this.#painter.isLive = session.hub?.state === "live";
      this.#wasLive ||= this.#painter.isLive;
      this.#painter.all();
      this.#tellCount();
    };
    session.addEventListener("change", isLive);
    isLive();
    this.#ends = [
      session.metrics.listen((metric, isNew) => (isNew ? this.#add(metric) : this.#changed(metric))),
      () => clearInterval(tick),
      () => session.removeEventListener("change", isLive),
      () => this.#painter.end(),
      this.#alerts.begin(),
    ];
  }

  disconnectedCallback() {
    for (const end of this.#ends) end();
  }

  /** @param {Metric} metric */
  #changed(metric) {
    const tile = this.#tiles.get(metric.name);
    if (tile) this.#painter.mark(tile);
  }

  /** @param {Metric} metric */
  #add(metric) {
    if (!this.#fresh.length) requestAnimationFrame(() => this.#insert());
    this.#fresh.push(metric);
  }

  /** In order of the names, so that related ones stand together and none jumps. */
  #insert() {
    if (!this.isConnected) return;
    for (const metric of this.#fresh.splice(0)) {
      const tile = new Tile(metric, () => details(metric));
      this.#tiles.set(metric.name, tile);
      this.#judge(tile);
      this.#painter.watch(tile);
    }
    const sorted = [...this.#tiles.values()].sort((a, b) => compare(a.metric.name, b.metric.name));
    sorted.forEach(({ element }, place) => {
      const there = this.#grid.children[place];
      if (there !== element) this.#grid.insertBefore(element, there ?? null);
    });
    this.#tellCount();
  }

  #judgeAll() {
    for (const tile of this.#tiles.values()) this.#judge(tile);
    this.#tellCount();
  }

  /** @param {Tile} tile */
  #judge(tile) {
    const wanted = this.#filter.value.trim().toLowerCase();
    tile.element.hidden = !tile.metric.name.toLowerCase().includes(wanted);
  }

  #tellCount() {
    const all = this.#tiles.size;
    const shown = [...this.#tiles.values()].filter(({ element }) => !element.hidden).length;
    say(this.#count, shown === all ? all : `${shown} of ${all}`);
    this.#empty.hidden = all > 0 || !this.#wasLive;
    this.#waiting.hidden = all > 0 || this.#wasLive;
  }
}

const compare = new Intl.Collator(undefined, { numeric: true }).compare;

customElements.define("live-view", LiveView);

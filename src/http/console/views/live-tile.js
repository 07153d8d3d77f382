// One metric: its name and age, a number with its change and its recent past, and the other numbers in it.

import { h, say } from "../ui/dom.js";
import { change, duration, format } from "../ui/format.js";
import { at } from "../ui/leaves.js";
import { drawSpark, fit } from "../ui/spark.js";

/** @typedef {import("../model/metrics.js").Metric} Metric */

/** What a canvas has of a tile's width and height, in each size; as in the style sheet. */
const SPARK = { s: { part: 1, height: 28 }, w: { part: 0.5, height: 22 }, m: { part: 0.5, height: 42 }, l: { part: 0.5, height: 42 } };
const PADDING = 24;
/** As much of a name as fits beside its number. */
const LABEL_CHARS = 16;

export class Tile {
  isSeen = false;
  paintedAt = 0;
  #width = 0;
  #laidOut = "";
  #age = h("span", { class: "age" });
  #value = h("span", { class: "value" });
  #change = h("span", { class: "change" });
  #label = h("div", { class: "label" });
  #spark = h("canvas", { "aria-hidden": "true" });
  #rest = h("div", { class: "rest", hidden: true });
  /** @type {{button: HTMLElement, label: HTMLElement, number: HTMLElement}[]} */
  #cells = [];

  /**
   * @param {Metric} metric
   * @param {() => void} open shows all of it
   */
  constructor(metric, open) {
    this.metric = metric;
    const name = h("button", { type: "button", class: "plain", title: metric.name, click: open }, metric.name);
    this.element = h("article", { class: "tile", "data-size": metric.size, "data-metric": metric.name },
      h("div", { class: "tile-head" }, h("h3", {}, name), this.#age),
      h("div", { class: "main" },
        h("div", {}, h("div", { class: "figure" }, this.#value, this.#change), this.#label),
        this.#spark),
      this.#rest);
  }

  /** @param {number} width */
  measured(width) {
    this.#width = width;
  }

  /**
   * Writes only: to read what was laid out would have the browser lay it out in the midst of a frame.
   * @param {number} now
   * @param {boolean} isLive
   */
  paint(now, isLive) {
    const { metric } = this;
    this.#layOut();
    const isStale = !isLive || metric.isStale(now);
    this.element.classList.toggle("stale", isStale);
    this.element.dataset.priority = metric.priority;
    const age = duration(now - metric.time);
    say(this.#age, isStale ? `${isLive && metric.isOverdue ? "overdue" : "stale"} · ${age}` : age);
    const shown = metric.traces[metric.headline];
    this.#value.classList.toggle("text", !shown);
    if (!shown) return this.#paintText();
    const { leaf, points } = shown;
    const meant = leaf.name || metric.name;
    say(this.#value, format(meant, at(metric.value, leaf.path)));
    say(this.#change, shown.change === null ? "" : change(meant, shown.change));
    say(this.#label, leaf.name);
    const { part, height } = SPARK[metric.size];
    fit(this.#spark, (this.#width - PADDING) * part, height);
    drawSpark(this.#spark, points, isStale);
    metric.traces.forEach(({ leaf }, i) => {
      const cell = this.#cells[i];
      if (cell) say(cell.number, format(leaf.name, at(metric.value, leaf.path)));
    });
  }

  #paintText() {
    const { value, text } = this.metric;
    say(this.#value, text ? String(at(value, text.path)) : value === null || typeof value !== "object" ? String(value) : "{…}");
    say(this.#label, text?.name ?? "");
  }

  /** The other numbers, each a button that makes it the one that is drawn. */
  #layOut() {
    const { size, traces } = this.metric;
    const wanted = size + traces.map(({ leaf }) => leaf.name).join();
    if (wanted === this.#laidOut) return;
    this.#laidOut = wanted;
    this.element.dataset.size = size;
    this.#label.hidden = size === "s";
    this.#rest.hidden = size === "s";
    this.#cells = size === "s" ? [] : traces.map((_, i) => this.#cell(i));
    this.#choose(this.metric.headline);
    this.#rest.replaceChildren(...this.#cells.map(({ button }) => button));
  }

  /** @param {number} index */
  #cell(index) {
    const name = this.metric.traces[index]?.leaf.name ?? "";
    const label = h("span", { title: name }, shortened(name));
    const number = h("b");
    const click = () => {
      const before = this.#cells[this.metric.headline];
      this.#choose(index);
      // The one that was pressed is no button any more.
      before?.button.focus();
      this.paint(Date.now(), !this.element.classList.contains("stale"));
    };
    return { button: h("button", { type: "button", class: "plain", click }, label, number), label, number };
  }

  /** @param {number} index */
  #choose(index) {
    this.metric.headline = index;
    this.#cells.forEach(({ button }, i) => (button.hidden = i === index));
  }
}

/** What names of one metric differ in stands at their ends. @param {string} name */
function shortened(name) {
  let short = name;
  while (short.length > LABEL_CHARS && short.includes(".")) short = short.slice(short.indexOf(".") + 1);
  return short === name ? name : `…${short}`;
}

// The metrics as they come in: values, recent numbers, and how often they usually come.

import { at, leaves, numbers } from "../ui/leaves.js";
import { Ring } from "./ring.js";

/** @typedef {import("../ui/leaves.js").Leaf} Leaf */
/** @typedef {"s" | "w" | "m" | "l"} Size */

/** Numbers behind a sparkline. */
const POINTS = 60;
/** Numbers that a tile of each size shows. */
const ROOM = { s: 1, w: 4, m: 11, l: 19 };
/** A metric without a new value for so many of its usual intervals is stale, */
const STALE_AFTER_INTERVALS = 4;
/** but not before so long. */
const STALE_AFTER_MS = 10_000;
/** How much a new interval counts beside those before it. */
const SMOOTHING = 0.25;

/** A number of a metric with its recent past. */
class Trace {
  points = new Ring(POINTS);

  /** @param {Leaf} leaf */
  constructor(leaf) {
    this.leaf = leaf;
  }

  /** How much it has changed since the sparkline's begin. */
  get change() {
    return this.points.length > 1 ? this.points.last - this.points.at(0) : null;
  }
}

export class Metric {
  /** @type {unknown} */
  value = undefined;
  /** When the value came to be, in milliseconds since 1970. */
  time = 0;
  priority = "normal";
  /** Whether the hub says that another value should have come by now. */
  isOverdue = false;
  /** @type {Size} */
  size = "s";
  /** What a tile shows, the headline's first. @type {Trace[]} */
  traces = [];
  /** All of its numbers. @type {Leaf[]} */
  numbers = [];
  /** Where its text is, where there is no number in it. @type {Leaf | null} */
  text = null;
  headline = 0;
  #keys = "";
  #updates = 0;
  #interval = 0;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /**
   * @param {unknown} value
   * @param {number} time
   * @param {boolean} isOverdue
   */
  update(value, time, isOverdue) {
    if (this.#updates > 0 && time > this.time) {
      const interval = time - this.time;
      this.#interval += (interval - this.#interval) * (this.#updates === 1 ? 1 : SMOOTHING);
    }
    if (this.time !== time) this.#updates += 1;
    this.value = value;
    this.time = time;
    this.isOverdue = isOverdue;
    this.#lookInside();
    for (const { leaf, points } of this.traces) {
      const now = at(value, leaf.path);
      if (typeof now === "number") points.push(now);
    }
  }

  /** Looks for numbers anew only where the value has another shape: that costs more than all the rest. */
  #lookInside() {
    const keys = shape(this.value);
    if (keys === this.#keys) return;
    this.#keys = keys;
    this.numbers = numbers(this.value);
    this.text = this.numbers.length ? null : leaves(this.value, (it) => typeof it === "string")[0] ?? null;
    const own = this.numbers.filter((leaf) => !leaf.isListed);
    const shown = own.length ? own : this.numbers;
    const sizes = /** @type {Size[]} */ (Object.keys(ROOM));
    this.size = sizes.find((size) => shown.length <= ROOM[size]) ?? "l";
    const known = new Map(this.traces.map((trace) => [trace.leaf.name, trace]));
    this.traces = shown.slice(0, ROOM[this.size]).map((leaf) => known.get(leaf.name) ?? new Trace(leaf));
    this.headline = Math.min(this.headline, Math.max(0, this.traces.length - 1));
  }

  /** @param {number} now */
  isStale(now) {
    if (this.isOverdue) return true;
    if (this.#updates < 3) return false;
    return now - this.time > Math.max(STALE_AFTER_MS, STALE_AFTER_INTERVALS * this.#interval);
  }
}

/**
 * The names of the fields and the kinds of what is in them.
 * @param {unknown} value
 * @returns {string}
 */
function shape(value) {
  if (value === null || typeof value !== "object") return typeof value;
  if (Array.isArray(value)) return `[${value.length},${shape(value[0])}]`;
  let text = "{";
  for (const key in value) text += `${key}:${shape(/** @type {any} */ (value)[key])},`;
  return `${text}}`;
}

/** All metrics, by name. Tells who listens of each new value. */
export class Metrics {
  /** @type {Map<string, Metric>} */
  all = new Map();
  /** @type {Set<(metric: Metric, isNew: boolean) => void>} */
  #listeners = new Set();

  /**
   * @param {string} name
   * @param {unknown} value
   * @param {number} time
   * @param {boolean} [isOverdue]
   */
  set(name, value, time, isOverdue = false) {
    const known = this.all.get(name);
    const metric = known ?? new Metric(name);
    if (!known) this.all.set(name, metric);
    metric.update(value, time, isOverdue);
    for (const listener of this.#listeners) listener(metric, !known);
  }

  /** Its value is, until there is another. @param {string} name */
  setOverdue(name) {
    const metric = this.all.get(name);
    if (!metric) return;
    metric.isOverdue = true;
    for (const listener of this.#listeners) listener(metric, false);
  }

  /**
   * @param {Record<string, unknown>} values
   * @param {string} priority
   */
  setPriority(values, priority) {
    for (const name in values) {
      const metric = this.all.get(name);
      if (metric) metric.priority = priority;
    }
  }

  /**
   * When a value really came to be, of one that a snapshot brought; by now there may be another.
   * @param {string} name
   * @param {unknown} value
   * @param {number} time
   */
  setTime(name, value, time) {
    const metric = this.all.get(name);
    if (metric && time < metric.time && JSON.stringify(value) === JSON.stringify(metric.value)) metric.time = time;
  }

  /**
   * @param {(metric: Metric, isNew: boolean) => void} listener
   * @returns {() => void} ends it
   */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

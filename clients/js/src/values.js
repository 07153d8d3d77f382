import { admits } from "./pattern.js";
import { isAfter } from "./id.js";

// The latest value of each metric: `all` that the connection brings, `visible` what this tab has
// asked for. `tell` hears of each new visible one.
export class Values {
  all = new Map();
  visible = new Map();
  #patterns;
  #tell;

  constructor(patterns, tell) {
    this.#patterns = patterns;
    this.#tell = tell;
  }

  // Entries are [metric, {value, timestamp, messageId}]. One that is no newer changes nothing.
  merge(entries) {
    for (const [metric, entry] of entries) {
      const known = this.all.get(metric);
      if (known && !isAfter(entry.messageId, known.messageId)) continue;
      this.all.set(metric, entry);
      if (admits(this.#patterns, metric)) this.#show(metric, entry);
    }
  }

  prune(keep) {
    for (const metric of [...this.all.keys()]) {
      if (keep(metric)) continue;
      this.all.delete(metric);
      this.visible.delete(metric);
    }
  }

  // This tab's patterns are others now.
  set patterns(patterns) {
    this.#patterns = patterns;
    for (const metric of [...this.visible.keys()]) {
      if (!admits(patterns, metric)) this.visible.delete(metric);
    }
    for (const [metric, entry] of this.all) {
      if (!this.visible.has(metric) && admits(patterns, metric)) this.#show(metric, entry);
    }
  }

  #show(metric, entry) {
    this.visible.set(metric, entry);
    this.#tell({ metric, ...entry });
  }
}

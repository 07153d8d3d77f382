import { admits } from "./pattern.js";
import { isAfter } from "./id.js";

// The latest value of each metric: `all` that the connection brings, `visible` what this tab has
// asked for. `tell` hears of each new visible one, and of those that are overdue.
export class Values {
  all = new Map();
  visible = new Map();
  #patterns;
  #tell;

  constructor(patterns, tell) {
    this.#patterns = patterns;
    this.#tell = tell;
  }

  // Entries are [metric, {value, timestamp, messageId, stale}]. One that is no newer changes nothing, unless it is of the
  // same message and has more of it, or less.
  merge(entries) {
    for (const [metric, entry] of entries) {
      const known = this.all.get(metric);
      if (known && !isAfter(entry.messageId, known.messageId) && !isOtherForm(entry, known)) continue;
      this.#set(metric, entry);
    }
  }

  /**
   * A value should have been followed by another by now.
   * @param {{ metric: string, updatedAt?: string, ttlMs?: number }} stale
   */
  expire({ metric, updatedAt, ttlMs }) {
    const known = this.all.get(metric);
    if (!known || known.stale) return;
    const entry = { ...known, stale: true };
    this.all.set(metric, entry);
    if (!this.visible.has(metric)) return;
    this.visible.set(metric, entry);
    this.#tell("stale", { metric, messageId: entry.messageId, updatedAt: updatedAt ?? entry.timestamp, ttlMs });
  }

  // These are overdue, and no others.
  set overdue(metrics) {
    const those = new Set(metrics);
    for (const [metric, { stale, ...entry }] of [...this.all]) {
      if (those.has(metric)) this.expire({ metric });
      else if (stale) this.#set(metric, entry);
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

  #set(metric, entry) {
    this.all.set(metric, entry);
    if (admits(this.#patterns, metric)) this.#show(metric, entry);
  }

  #show(metric, entry) {
    this.visible.set(metric, entry);
    this.#tell("value", { metric, ...entry });
  }
}

function isOtherForm({ messageId, value }, known) {
  return messageId === known.messageId && JSON.stringify(value) !== JSON.stringify(known.value);
}

// The hub's statistics, asked for at an interval and kept for a while: what the views draw over time.

import { every } from "../ui/poll.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../types.js").Stats} Stats */
/** @typedef {import("../types.js").Point} Point */
/** @typedef {{time: number, stats: Stats | null}} Sample */

const INTERVAL_MS = 5000;
/** Half an hour. */
const SAMPLES_MAX = 360;

export class Samples extends EventTarget {
  /** Oldest first; without statistics where the hub did not answer, so that a line has a gap there. @type {Sample[]} */
  all = [];
  #users = 0;
  #stop = () => {};
  #session;

  /** @param {Session} session */
  constructor(session) {
    super();
    this.#session = session;
  }

  /** @returns {Stats | null} */
  get last() {
    return this.all.at(-1)?.stats ?? null;
  }

  /**
   * Only while a view shows them: each question is a line in the audit trail.
   * @returns {() => void} ends it
   */
  watch() {
    this.#users += 1;
    if (this.#users === 1) {
      const { time } = this.all.at(-1) ?? { time: 0 };
      if (Date.now() - time > 2 * INTERVAL_MS && this.all.length) this.#keep({ time: time + 1, stats: null });
      this.#stop = every(INTERVAL_MS, () => this.#ask());
    }
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#stop();
    };
  }

  async #ask() {
    try {
      this.#keep({ time: Date.now(), stats: await this.#session.api("connection-stats") });
    } catch {
      this.#keep({ time: Date.now(), stats: null });
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Sample} sample */
  #keep(sample) {
    this.all.push(sample);
    if (this.all.length > SAMPLES_MAX) this.all.shift();
  }

  /**
   * A number over time.
   * @param {(stats: Stats) => number | null} pick
   * @returns {Point[]}
   */
  points(pick) {
    return this.all.map(({ time, stats }) => [time, stats && pick(stats)]);
  }

  /**
   * How fast a count grows, a second. A count that went back is that of another process: a gap.
   * @param {(stats: Stats) => number} pick
   * @returns {Point[]}
   */
  rates(pick) {
    /** @type {Sample | undefined} */
    let before;
    return this.all.map((sample) => {
      const from = before;
      before = sample;
      if (!from?.stats || !sample.stats) return [sample.time, null];
      const grown = pick(sample.stats) - pick(from.stats);
      return [sample.time, grown < 0 ? null : (1000 * grown) / (sample.time - from.time)];
    });
  }
}

// The alerts: what the hub has of them, and what comes in.

import { isUnavailable } from "../errors.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../types.js").Alert} Alert */
/** @typedef {{state: string, severity: string}} Filter an empty text takes all */

const PAGE = 100;
/** Kept where the hub itself keeps none. */
const LIVE_MAX = 200;

export class Alerts extends EventTarget {
  /** @type {Map<string, Alert>} */
  #all = new Map();
  /** @type {Filter} */
  filter = { state: "", severity: "" };
  /** Whether the hub keeps alerts, so that they can be acknowledged. */
  isKept = true;
  hasMore = false;
  /** What comes in while the hub is asked: it is not older than the answer. @type {Alert[] | null} */
  #meanwhile = null;
  #session;

  /** @param {Session} session */
  constructor(session) {
    super();
    this.#session = session;
  }

  /** The newest first. */
  get list() {
    const { state, severity } = this.filter;
    const wanted = [...this.#all.values()].filter((alert) =>
      (!state || alert.state === state) && (!severity || alert.severity === severity));
    return wanted.sort((a, b) => Date.parse(b.raisedAt) - Date.parse(a.raisedAt));
  }

  /** @param {Filter} filter */
  async show(filter) {
    this.filter = filter;
    this.#changed();
    await this.load();
  }

  /** Asks the hub for what the filter wants. The answer takes the place of what was there: that may have missed changes. */
  async load() {
    /** @type {Alert[]} */
    const meanwhile = (this.#meanwhile = []);
    const { state, severity } = this.filter;
    try {
      const { alerts, nextCursor } = await this.#session.api("alerts", { query: { state, severity, limit: PAGE } });
      if (meanwhile !== this.#meanwhile) return;
      this.isKept = true;
      this.hasMore = nextCursor !== null;
      this.#all.clear();
      // The oldest first, as they come in.
      for (const alert of [...alerts.reverse(), ...meanwhile]) this.#put(alert);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.isKept = false;
    } finally {
      if (meanwhile === this.#meanwhile) this.#meanwhile = null;
    }
    this.#changed();
  }

  /**
   * A message of the stream: a new alert, or one that somebody has seen to.
   * @param {Record<string, any>} data
   * @param {{messageId: string, timestamp: string}} message
   */
  hear(data, message) {
    const fresh = { alertId: message.messageId, raisedAt: message.timestamp, state: "open" };
    const isChange = typeof data.alertId === "string" && typeof data.state === "string";
    this.#learn(/** @type {Alert} */ (isChange ? data : { ...data, ...fresh }));
    if (this.#all.size > LIVE_MAX) {
      const oldest = this.#all.keys().next().value;
      if (oldest !== undefined) this.#all.delete(oldest);
    }
    this.#changed();
  }

  /**
   * @param {Alert} alert
   * @param {"acknowledge" | "resolve"} step
   * @param {string} note
   */
  async take(alert, step, note) {
    const body = note ? { note } : {};
    const path = `alerts/${encodeURIComponent(alert.alertId)}/${step}`;
    const done = await this.#session.api(path, { method: "POST", body });
    this.#learn(done.alert);
    this.#changed();
  }

  /** @param {Alert} alert */
  #learn(alert) {
    this.#meanwhile?.push(alert);
    this.#put(alert);
  }

  /** @param {Alert} alert */
  #put(alert) {
    const known = this.#all.get(alert.alertId);
    // Of two that cross on their way the later state is the true one: an alert never goes back.
    const order = ["open", "acknowledged", "resolved"];
    if (known && order.indexOf(known.state) > order.indexOf(alert.state)) return;
    this.#all.set(alert.alertId, alert);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

// A page with the client library, which writes down everything that it is told.

import assert from "node:assert/strict";
import { until } from "./wait.mjs";

/**
 * What the page has in `window.seen`:
 * `messages` each that was published, `values`, `states`, `dropped`, the `opened` of its connection, and the
 * `reasons` for which a token was asked.
 */
function begin(options) {
  const seen = { messages: [], values: [], states: [], dropped: [], opened: [], reasons: [] };
  const getToken = async ({ reason }) => {
    seen.reasons.push(reason);
    const answer = await fetch("/app/token");
    if (!answer.ok) throw new Error(`the application answers ${answer.status}`);
    return answer.text();
  };
  window.seen = seen;
  return import(`${location.origin}/statshub.js`).then(({ connect }) => {
    window.hub = connect({ metrics: ["n"], ...(options.cookies ? {} : { getToken }), ...options });
    window.hub.on("*", (data, message) => seen.messages.push(message));
    window.hub.on("value", (value) => seen.values.push(value));
    window.hub.on("state", (change) => seen.states.push({ ...change }));
    for (const type of ["connection_established", "reconnection_successful"]) {
      window.hub.on(type, (data) => seen.opened.push(data));
    }
    window.hub.on("dropped", (receipt) => seen.dropped.push(receipt));
  });
}

export class Dashboard {
  /**
   * Of `person`, on the hub's own origin.
   *
   * @param {object} [options] of `connect`, where functions do not come through; `cookies`: without tokens
   * @param {Parameters<import("./browser.mjs").Person["opens"]>[1]} [before]
   */
  static async begin(person, site, options = {}, before) {
    const dashboard = new Dashboard();
    dashboard.tab = await person.opens(site.blank, before);
    await dashboard.tab.run(begin, options);
    return dashboard;
  }

  /** The same, once it is live. */
  static async open(person, site, options, before) {
    const dashboard = await Dashboard.begin(person, site, options, before);
    await dashboard.is("live");
    return dashboard;
  }

  /** What was written down, and where the hub stands now. */
  get seen() {
    return this.tab.run(() => {
      const { hub, seen } = window;
      const { state, reason, connection } = hub;
      return { ...seen, state, reason, connection, status: { ...hub.status } };
    });
  }

  /** Waits for a state, and perhaps the reason for it. */
  is(state, reason) {
    return this.#until(`${state} ${reason ?? ""}`, (seen) => seen.state === state && (!reason || seen.reason === reason));
  }

  isNot(state) {
    return this.#until(`another state than ${state}`, (seen) => seen.state !== state);
  }

  /** Waits until the latest value of `metric` is this one, and current. */
  shows(value, metric = "n") {
    const look = ([name, wanted]) => window.hub.state === "live" && window.hub.get(name)?.value === wanted;
    return until(`${metric} to be ${value}`, () => this.tab.run(look, [metric, value]), () => this.seen);
  }

  async #until(what, matches) {
    const look = async () => {
      const seen = await this.seen;
      return matches(seen) && seen;
    };
    return until(what, look, () => this.seen);
  }

  /** The values of `metric` that were published to it, in the order in which they came. */
  async updates(metric = "n") {
    const { messages } = await this.seen;
    const those = messages.filter(({ type, data }) => type === "metrics_update" && metric in data);
    return those.map(({ data }) => data[metric]);
  }

  /** Each of `from` to `until` has come once and in order, and nothing was told to be lost. */
  async hasAll(from, until) {
    const wanted = Array.from({ length: until - from + 1 }, (_, index) => from + index);
    const { dropped, messages } = await this.seen;
    assert.deepEqual(await this.updates(), wanted);
    assert.deepEqual(dropped, []);
    const ids = messages.map(({ messageId }) => messageId.split("-").map(Number));
    ids.slice(1).forEach(([ms, sequence], index) => {
      const [before, nth] = ids[index];
      assert.ok(ms > before || (ms === before && sequence > nth), `${ids[index]} before ${ids[index + 1]}`);
    });
  }

  close() {
    return this.tab.close();
  }
}

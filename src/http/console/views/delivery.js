// How delivery goes: what comes in and goes out, how late, what was dropped, and what ails.

import { wordsOf } from "../errors.js";
import { session } from "../session.js";
import { LineChart } from "../ui/chart.js";
import { badge, h, panel, say } from "../ui/dom.js";
import { duration, number, percent } from "../ui/format.js";
import { every } from "../ui/poll.js";
import { checks, makeNodes, makeSources } from "./delivery-health.js";

/** @typedef {import("../types.js").Stats} Stats */

const HEALTH_INTERVAL_MS = 5000;
const ms = (/** @type {number | null} */ value) => (value === null ? "–" : `${number(value)} ms`);
const perSecond = (/** @type {number} */ value) => `${number(value)}/s`;

/** Title and text of each key figure. @type {[string, (stats: Stats) => string][]} */
const FIGURES = [
  ["Published", (it) => number(it.messages.published)],
  ["Delivered", (it) => number(it.messages.delivered)],
  ["Dropped and told", (it) => number(sum(it.messages.dropped))],
  ["Latency p50", (it) => ms(it.deliveryLatencyMs.p50)],
  ["Latency p95", (it) => ms(it.deliveryLatencyMs.p95)],
  ["Latency p99", (it) => ms(it.deliveryLatencyMs.p99)],
  ["Resumes tried", (it) => number(it.reconnections.attempted)],
  ["Resumes that succeeded", (it) => number(it.reconnections.succeeded) + (it.reconnections.attempted ? ` (${percent(it.reconnections.successRate)})` : "")],
  ["Messages waiting", (it) => number(it.totalBufferedMessages)],
  ["Backlogs full, mean", (it) => percent(it.bufferUtilization.mean)],
  ["Backlogs full, most", (it) => percent(it.bufferUtilization.max)],
  ["Up for", (it) => duration(1000 * it.uptimeSeconds)],
];

class DeliveryView extends HTMLElement {
  #figures = FIGURES.map(() => h("dd", {}, "–"));
  #dropped = h("dl", { class: "figures narrow" });
  #throughput = LineChart.make("Messages a second", perSecond);
  #latency = LineChart.make("Latency of delivery", ms);
  #losses = LineChart.make("Dropped messages a second, by priority", perSecond);
  #resumes = LineChart.make("Resumes a second", perSecond);
  #status = badge("…", "");
  #checks = h("dl", { class: "figures" });
  #sources = makeSources();
  #nodes = makeNodes();
  #nodesPanel = panel("Cluster nodes", [], this.#nodes.element);
  #ends = [() => {}];

  connectedCallback() {
    this.append(
      panel("Now", [], h("dl", { class: "panel-body figures" },
        FIGURES.map(([title], i) => h("div", {}, h("dt", {}, title), this.#figures[i])))),
      h("div", { class: "panels" },
        panel("Throughput", [], h("div", { class: "panel-body" }, this.#throughput)),
        panel("Latency", [], h("div", { class: "panel-body" }, this.#latency)),
        panel("Dropped", [], h("div", { class: "panel-body stack" }, this.#losses, this.#dropped)),
        panel("Resumes", [], h("div", { class: "panel-body" }, this.#resumes))),
      this.#nodesPanel,
      panel("Health", [this.#status], h("div", { class: "panel-body" }, this.#checks)),
      panel("Sources", [], this.#sources.element));
    const { samples } = session;
    const draw = () => this.#draw();
    samples.addEventListener("change", draw);
    this.#ends = [
      samples.watch(),
      () => samples.removeEventListener("change", draw),
      every(HEALTH_INTERVAL_MS, () => this.#askHealth()),
    ];
    draw();
  }

  disconnectedCallback() {
    for (const end of this.#ends) end();
  }

  #draw() {
    const { samples } = session;
    const stats = samples.last;
    this.#throughput.show([
      { name: "Published", points: samples.rates((it) => it.messages.published) },
      { name: "Delivered", points: samples.rates((it) => it.messages.delivered) },
    ]);
    this.#latency.show([
      { name: "p50", points: samples.points((it) => it.deliveryLatencyMs.p50) },
      { name: "p95", points: samples.points((it) => it.deliveryLatencyMs.p95) },
      { name: "p99", points: samples.points((it) => it.deliveryLatencyMs.p99) },
    ]);
    const priorities = /** @type {const} */ (["critical", "high", "normal", "low"]);
    this.#losses.show(priorities.map((priority) =>
      ({ name: priority, points: samples.rates((it) => it.messages.dropped[priority]) })));
    this.#resumes.show([
      { name: "Tried", points: samples.rates((it) => it.reconnections.attempted) },
      { name: "Succeeded", points: samples.rates((it) => it.reconnections.succeeded) },
    ]);
    FIGURES.forEach(([, text], i) => say(/** @type {Node} */ (this.#figures[i]), stats ? text(stats) : "–"));
    this.#dropped.replaceChildren(...priorities.map((priority) =>
      h("div", {}, h("dt", {}, `${priority}, in all`), h("dd", {}, stats ? number(stats.messages.dropped[priority]) : "–"))));
    this.#nodesPanel.hidden = !stats?.nodes;
    this.#nodes.show(stats?.nodes ?? []);
  }

  async #askHealth() {
    try {
      const health = await session.health();
      say(this.#status, health.status);
      this.#status.dataset.kind = health.status === "healthy" ? "good" : "warn";
      this.#checks.replaceChildren(...checks(health));
      this.#sources.show(health.checks?.sources ?? []);
    } catch (error) {
      say(this.#status, wordsOf(error));
      this.#status.dataset.kind = "bad";
    }
  }
}

/** @param {Record<string, number>} counts */
const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

customElements.define("delivery-view", DeliveryView);

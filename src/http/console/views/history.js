// One number of one metric over a time that is chosen, out of the hub's store, and the export of it.

import { isUnavailable, wordsOf } from "../errors.js";
import { session } from "../session.js";
import { LineChart } from "../ui/chart.js";
import { choice, field, h, panel, say } from "../ui/dom.js";
import { tell } from "../ui/dialog.js";
import { format, moment, number } from "../ui/format.js";
import { pointer } from "../ui/leaves.js";
import { Table } from "../ui/table.js";
import { RANGES, local, stepFor, wordsOfStep } from "./history-range.js";

/** @typedef {import("../types.js").Bucket} Bucket */
/** @typedef {import("../types.js").Point} Point */

const AGGREGATES = /** @type {[string, string][]} */ ([
  ["avg", "Average"], ["min", "Least"], ["max", "Most"], ["sum", "Sum"], ["last", "Last"], ["p95", "95th percentile"], ["count", "Count"],
]);

class HistoryView extends HTMLElement {
  #metric = h("input", { list: "known-metrics", required: true, autocomplete: "off", spellcheck: "false", change: () => this.#chosen() });
  #metrics = h("datalist", { id: "known-metrics" });
  #field = choice({ change: () => this.#load() }, []);
  #range = choice({ change: () => this.#ranged() }, [...RANGES.map(({ label }) => label), "From … to"]);
  #from = h("input", { type: "datetime-local", step: 1, change: () => this.#load() });
  #to = h("input", { type: "datetime-local", step: 1, change: () => this.#load() });
  #own = h("div", { class: "row", hidden: true }, field("From", this.#from), field("To", this.#to));
  #aggregate = choice({ change: () => this.#load() }, AGGREGATES);
  #chart = LineChart.make("History", (value) => format(this.#meant, value));
  #note = h("span", { class: "quiet", role: "status" });
  #figures = h("dl", { class: "figures" });
  #table = new Table("Values", /** @type {import("../ui/table.js").Column<Bucket>[]} */ ([
    { title: "From", text: (row) => moment(row.from) },
    { title: "Value", text: (row) => (row.value === null ? "–" : number(row.value)), className: "number" },
    { title: "Numbers", text: (row) => number(row.count), className: "number" },
  ]), (row) => row.from, "No values.");
  #values = h("details", { toggle: () => this.#fillTable() }, h("summary", {}, "Values as a table"), this.#table.element);
  /** @type {Bucket[]} */
  #buckets = [];
  #asked = 0;

  connectedCallback() {
    this.#chart.classList.add("tall");
    this.#chart.isClose = true;
    const exports = ["csv", "json", "ndjson"].map((kind) =>
      h("button", { type: "button", class: "small", click: () => this.#export(kind) }, kind.toUpperCase()));
    this.append(
      panel("What to show", [],
        h("form", { class: "panel-body toolbar", submit: (/** @type {Event} */ event) => this.#submitted(event) },
          field("Metric", this.#metric, "grow"), this.#metrics, field("Number", this.#field),
          field("Time", this.#range), this.#own, field("Each point", this.#aggregate),
          h("button", { class: "primary" }, "Show"))),
      panel("History", [this.#note], h("div", { class: "panel-body stack" }, this.#chart, this.#figures, this.#values)),
      panel("Export", [], h("div", { class: "panel-body row" },
        h("p", { class: "quiet" }, "Every message of this metric and time, whole, oldest first."), exports)));
    const given = new URLSearchParams(location.hash.split("?")[1]);
    const known = [...session.metrics.all.values()];
    const names = known.map(({ name }) => name).sort();
    const plotted = known.filter(({ numbers }) => numbers.length).map(({ name }) => name).sort();
    this.#metrics.append(...names.map((value) => h("option", { value })));
    this.#metric.value = given.get("metric") ?? plotted[0] ?? "";
    const now = Date.now();
    this.#from.value = local(now - 3_600_000);
    this.#to.value = local(now);
    if (!this.#metric.value) return this.#chart.show([], undefined, "Choose a metric");
    this.#offerFields(given.get("field") ?? "");
    this.#load();
  }

  /** @param {Event} event */
  #submitted(event) {
    event.preventDefault();
    this.#load();
  }

  #chosen() {
    this.#offerFields("");
    this.#load();
  }

  #ranged() {
    this.#own.hidden = this.#range.selectedIndex < RANGES.length;
    this.#load();
  }

  /**
   * The numbers of the metric's present value; of one that is not known, only the value itself.
   * @param {string} wanted
   */
  #offerFields(wanted) {
    const numbers = session.metrics.all.get(this.#metric.value)?.numbers ?? [];
    const fields = numbers.map(({ path, name }) => ({ value: pointer(path), name: name || "the value itself" }));
    if (!fields.length) fields.push({ value: "", name: "the value itself" });
    if (wanted && !fields.some(({ value }) => value === wanted)) fields.push({ value: wanted, name: wanted });
    this.#field.replaceChildren(...fields.map(({ value, name }) => h("option", { value }, name)));
    if (wanted) this.#field.value = wanted;
  }

  /** What says in which unit the numbers are. */
  get #meant() {
    if (this.#aggregate.value === "count") return "";
    return this.#field.value || this.#metric.value;
  }

  /** @returns {[number, number]} */
  #times() {
    const chosen = RANGES[this.#range.selectedIndex];
    const now = Date.now();
    if (chosen) return [now - chosen.ms, now];
    return [new Date(this.#from.value).getTime(), new Date(this.#to.value).getTime()];
  }

  async #load() {
    const mine = ++this.#asked;
    const [from, to] = this.#times();
    const metric = this.#metric.value.trim();
    if (!metric) return;
    if (!(from < to)) return this.#showNothing("The time has to begin before it ends");
    const step = stepFor(to - from);
    say(this.#note, "…");
    try {
      const query = { metric, field: this.#field.value, agg: this.#aggregate.value, step, from, to };
      const { buckets, series } = await session.api("history", { query });
      if (mine !== this.#asked) return;
      /** @type {{metric: string, buckets: Bucket[]}[]} */
      const found = buckets ? [{ metric, buckets }] : series;
      this.#show(found, [from, to], step);
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#showNothing(isUnavailable(error) ? "This hub keeps no history" : "Nothing to show");
      say(this.#note, wordsOf(error));
    }
  }

  /** @param {string} why */
  #showNothing(why) {
    this.#buckets = [];
    this.#chart.show([], undefined, why);
    this.#figures.replaceChildren();
    this.#fillTable();
    say(this.#note, why);
  }

  /**
   * @param {{metric: string, buckets: Bucket[]}[]} found
   * @param {[number, number]} range
   * @param {number} step
   */
  #show(found, range, step) {
    // Four colours are as many as can be told apart; a pattern may find more.
    const shown = found.slice(0, 4);
    const name = this.#field.selectedOptions[0]?.label ?? "";
    const meant = this.#meant;
    this.#chart.show(shown.map(({ metric, buckets }) => ({
      name: found.length > 1 ? metric : name,
      points: buckets.map(({ from, value }) => /** @type {Point} */ ([Date.parse(from), value])),
    })), range, "No numbers in this time");
    this.#buckets = shown[0]?.buckets ?? [];
    const values = this.#buckets.flatMap(({ value }) => value ?? []);
    const count = this.#buckets.reduce((sum, bucket) => sum + bucket.count, 0);
    const figure = (/** @type {string} */ title, /** @type {number | undefined} */ value) =>
      h("div", {}, h("dt", {}, title), h("dd", {}, value === undefined ? "–" : format(meant, value)));
    this.#figures.replaceChildren(
      figure("Least", values.length ? values.reduce((a, b) => Math.min(a, b)) : undefined),
      figure("Most", values.length ? values.reduce((a, b) => Math.max(a, b)) : undefined),
      figure("Mean", values.length ? values.reduce((a, b) => a + b, 0) / values.length : undefined),
      figure("Last", values.at(-1)),
      h("div", {}, h("dt", {}, "Numbers"), h("dd", {}, number(count))));
    const more = found.length > shown.length ? `; ${found.length - shown.length} more metrics are not shown` : "";
    say(this.#note, `a point each ${wordsOfStep(step)}${more}`);
    this.#fillTable();
  }

  #fillTable() {
    if (this.#values.open) this.#table.show(this.#buckets.filter(({ count }) => count > 0).reverse());
  }

  /** The token goes into a header, which a plain link could not send. @param {string} kind */
  async #export(kind) {
    const [from, to] = this.#times();
    try {
      const url = session.address("export", { metric: this.#metric.value.trim(), from, to, format: kind });
      const answer = await session.ask(url, {});
      const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: `${this.#metric.value}.${kind}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      tell(wordsOf(error), "bad");
    }
  }
}

customElements.define("history-view", HistoryView);

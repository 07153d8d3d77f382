// A chart of lines over time, drawn as SVG: axes, gaps, and what was at a moment by mouse or arrow keys.
//
// Drawn by us and not by a library: what is needed fits here, the hub's binary carries no third party's code to a
// browser, and no build step stands between these sources and what is served.

import { h, svg } from "./dom.js";
import { clock, day, minute, moment, number } from "./format.js";
import { ticks, timeTicks } from "./scale.js";

/** @typedef {import("../types.js").Series} Series */
/** @typedef {import("../types.js").Point} Point */

const MARGIN = { top: 8, right: 10, bottom: 20 };
/** Of a letter on the axis, and least between two words there. */
const LETTER = 6.2;
const TICK_ROOM = 90;
const ROW_ROOM = 42;
/** A line that grows from the right is calmer than one that is stretched anew with each point. */
const RANGE_MS_MIN = 300_000;
const DAY_MS = 86_400_000;

export class LineChart extends HTMLElement {
  /** @type {Series[]} */
  #series = [];
  /** @type {[number, number]} */
  #range = [0, 1];
  #format = number;
  #nothing = "No numbers yet";
  /** Whether small changes of large numbers matter more than how large they are: then the axis does not begin at 0. */
  isClose = false;
  /** The moment that is looked at. @type {number | null} */
  #at = null;
  #legend = h("div", { class: "chart-legend", "aria-hidden": "true" });
  #spoken = h("p", { class: "unseen", role: "status" });
  #area = h("div", { class: "chart-area", tabindex: "0", role: "group" });
  #size = new ResizeObserver(() => this.#later());
  #frame = 0;
  /** From a time and a number to a place. */
  #x = (/** @type {number} */ time) => time;
  #y = (/** @type {number} */ value) => value;

  /**
   * @param {string} label what it shows, for those who cannot see it
   * @param {(value: number) => string} [format]
   */
  static make(label, format = number) {
    const chart = /** @type {LineChart} */ (document.createElement("line-chart"));
    chart.#format = format;
    chart.#area.setAttribute("aria-label", `${label}. Arrow keys tell the values.`);
    return chart;
  }

  connectedCallback() {
    if (!this.firstChild) {
      this.append(this.#legend, this.#area, this.#spoken);
      this.#area.addEventListener("pointermove", (event) => this.#point(event.offsetX));
      this.#area.addEventListener("pointerleave", () => this.#look(null));
      this.#area.addEventListener("blur", () => this.#look(null));
      this.#area.addEventListener("keydown", (event) => this.#key(event));
    }
    this.#size.observe(this.#area);
  }

  disconnectedCallback() {
    this.#size.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /**
   * @param {Series[]} series their points in the order of time, at the same times
   * @param {[number, number]} [range] all of their times, and five minutes at least, unless said otherwise
   * @param {string} [nothing] said where there are no numbers
   */
  show(series, range, nothing = this.#nothing) {
    this.#series = series;
    this.#nothing = nothing;
    const times = series[0]?.points ?? [];
    const last = times.at(-1)?.[0] ?? Date.now();
    this.#range = range ?? [Math.min(times[0]?.[0] ?? last, last - RANGE_MS_MIN), last];
    this.#later();
  }

  #later() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#area;
    if (!width) return;
    const values = this.#series.flatMap(({ points }) => points.flatMap(([, value]) => value ?? []));
    const picture = svg("svg", { "aria-hidden": "true", viewBox: `0 0 ${width} ${height}` });
    if (values.length) this.#drawLines(picture, width, height, values);
    else picture.append(svg("text", { class: "nothing", x: width / 2, y: height / 2 }, this.#nothing));
    this.#area.querySelector("svg")?.remove();
    this.#area.append(picture);
    this.#look(this.#at);
  }

  /**
   * @param {Element} picture
   * @param {number} width
   * @param {number} height
   * @param {number[]} values
   */
  #drawLines(picture, width, height, values) {
    const rows = Math.max(2, Math.floor(height / ROW_ROOM));
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    const marks = ticks(low > 0 && !this.isClose ? 0 : low, high, rows);
    const labels = marks.map(this.#format);
    const left = 10 + LETTER * Math.max(...labels.map((label) => label.length));
    const [bottom, top] = [marks[0] ?? 0, marks.at(-1) ?? 1];
    const [from, to] = this.#range;
    this.#x = (time) => left + ((width - left - MARGIN.right) * (time - from)) / (to - from);
    this.#y = (value) => height - MARGIN.bottom - ((height - MARGIN.top - MARGIN.bottom) * (value - bottom)) / (top - bottom);
    marks.forEach((mark, i) => {
      const y = this.#y(mark);
      picture.append(
        svg("line", { class: "grid", x1: left, x2: width - MARGIN.right, y1: y, y2: y }),
        svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, labels[i]));
    });
    const times = timeTicks(from, to, Math.max(2, Math.floor((width - left) / TICK_ROOM)));
    for (const time of times) {
      const anchor = this.#x(time) > width - 30 ? "end" : "middle";
      picture.append(svg("text", { x: this.#x(time), y: height - 4, "text-anchor": anchor }, this.#time(time, times)));
    }
    this.#series.forEach(({ points }, i) => this.#drawLine(picture, points, `series-${i + 1}`));
    picture.append(svg("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" }));
  }

  /**
   * As finely as it differs from the others.
   * @param {number} time
   * @param {number[]} all
   */
  #time(time, all) {
    const [from, to] = this.#range;
    if (to - from > 2 * DAY_MS) return day(time);
    return all.every((it) => it % 60_000 === 0) ? minute(time) : clock(time);
  }

  /**
   * A line for each piece without a gap, and a dot for a number that is alone.
   * @param {Element} picture
   * @param {Point[]} points
   * @param {string} className
   */
  #drawLine(picture, points, className) {
    let path = "";
    points.forEach(([time, value], i) => {
      if (value === null) return;
      const isFirst = (points[i - 1]?.[1] ?? null) === null;
      const isLast = (points[i + 1]?.[1] ?? null) === null;
      const [x, y] = [this.#x(time), this.#y(value)];
      if (isFirst && isLast) picture.append(svg("circle", { class: className, cx: x, cy: y, r: 2 }));
      else path += `${isFirst ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    if (path) picture.append(svg("path", { class: className, d: path }));
  }

  /** @param {number} x */
  #point(x) {
    const points = this.#series[0]?.points ?? [];
    let nearest = null;
    let distance = Infinity;
    points.forEach(([time], i) => {
      const away = Math.abs(this.#x(time) - x);
      if (away < distance) [nearest, distance] = [i, away];
    });
    this.#look(nearest);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = (this.#series[0]?.points.length ?? 0) - 1;
    const at = this.#at ?? last;
    const places = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    if (!(event.key in places) || last < 0) return;
    event.preventDefault();
    const wanted = places[/** @type {keyof typeof places} */ (event.key)];
    this.#look(Math.min(last, Math.max(0, wanted)));
    this.#spoken.textContent = this.#legend.innerText;
  }

  /**
   * Says what was at a point, or at the last one.
   * @param {number | null} index
   */
  #look(index) {
    this.#at = index;
    const points = this.#series[0]?.points ?? [];
    const place = Math.min(index ?? points.length - 1, points.length - 1);
    const time = points[place]?.[0];
    this.#legend.replaceChildren(...this.#series.map(({ name, points }, i) => {
      const value = points[place]?.[1] ?? null;
      return h("span", { class: `series-${i + 1}` }, h("i"), `${name} `, h("b", {}, value === null ? "–" : this.#format(value)));
    }));
    if (time !== undefined) this.#legend.append(h("span", { class: "at" }, moment(time)));
    const cursor = this.#area.querySelector(".cursor");
    cursor?.setAttribute("visibility", index === null ? "hidden" : "visible");
    if (index !== null && time !== undefined) {
      cursor?.setAttribute("x1", String(this.#x(time)));
      cursor?.setAttribute("x2", String(this.#x(time)));
    }
  }
}

customElements.define("line-chart", LineChart);

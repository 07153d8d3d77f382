// One card a metric: the numbers found in its value, when they came, which of them changed.

import { Layout, flatten, format, make } from "./value.js";

const CARDS_MAX = 300;
const POINTS_MAX = 60;
const SVG = "http://www.w3.org/2000/svg";

export class Metrics {
  #cards = new Map();
  #unshown = new Set();
  #wanted = "";

  constructor(grid, more) {
    this.grid = grid;
    this.more = more;
  }

  get size() {
    return this.#cards.size + this.#unshown.size;
  }

  set(name, value, timestamp, priority = "normal") {
    let card = this.#cards.get(name);
    if (!card) {
      if (this.#cards.size >= CARDS_MAX) return this.#leaveOut(name);
      card = new Card(name);
      this.#cards.set(name, card);
      this.#insert(card);
    }
    card.update(value, timestamp, priority);
  }

  filter(text) {
    this.#wanted = text.trim().toLowerCase();
    for (const card of this.#cards.values()) this.#judge(card);
  }

  tick() {
    for (const card of this.#cards.values()) card.tick();
  }

  // In order of the names, so that related ones stand together and none jumps.
  #insert(card) {
    const next = [...this.grid.children].find((other) => other.dataset.name > card.name);
    this.grid.insertBefore(card.root, next ?? null);
    this.#judge(card);
  }

  #judge(card) {
    card.root.hidden = !card.name.toLowerCase().includes(this.#wanted);
  }

  #leaveOut(name) {
    this.#unshown.add(name);
    this.more.textContent = `${this.#unshown.size} more metrics are not shown; add ?metrics=name,other.* to the address to choose.`;
    this.more.hidden = false;
  }
}

class Card {
  #shown = new Map(); // path -> the element with its value
  #points = [];

  constructor(name) {
    this.name = name;
    this.root = make("article", "card");
    this.root.dataset.name = name;
    this.root.append(make("h3", "", name));
    this.body = this.root.appendChild(make("div", "body"));
    this.foot = this.root.appendChild(make("p", "foot"));
  }

  update(value, timestamp, priority) {
    const leaves = flatten(value);
    // A value of another shape is laid out anew; otherwise only texts change, and flash.
    const same = leaves.length === this.#shown.size && leaves.every(({ path }) => this.#shown.has(path));
    if (!same) this.#layOut(value, leaves);
    for (const leaf of leaves) this.#write(leaf, same);
    this.#plot(leaves);
    this.root.dataset.priority = priority;
    this.time = new Date(timestamp);
    this.tick();
  }

  tick() {
    this.foot.textContent = `${clock(this.time)} · ${age(Date.now() - this.time)}`;
  }

  #layOut(value, leaves) {
    this.#points = [];
    this.main = leaves.find((leaf) => typeof leaf.value === "number");
    this.line = null;
    const layout = new Layout(value, this.main?.path);
    this.#shown = layout.shown;
    const parts = [layout.root];
    if (this.main) parts.unshift(this.#headline(this.main.path));
    this.body.replaceChildren(...parts);
  }

  #headline(path) {
    const shown = make("dd", "value");
    this.#shown.set(path, shown);
    const list = make("dl");
    list.append(shown, make("dt", "name", path));
    const row = make("div", "headline");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 100 30");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.line = svg.appendChild(document.createElementNS(SVG, "polyline"));
    row.append(list, svg);
    return row;
  }

  #write({ path, value }, flash) {
    const shown = this.#shown.get(path);
    const text = format(path, value);
    if (shown.textContent === text) return;
    shown.textContent = text;
    shown.title = String(value);
    if (!flash) return;
    shown.classList.remove("changed");
    void shown.offsetWidth; // starts the animation over
    shown.classList.add("changed");
  }

  #plot(leaves) {
    const now = leaves.find(({ path }) => path === this.main?.path)?.value;
    if (typeof now !== "number" || !this.line) return;
    this.#points.push(now);
    if (this.#points.length > POINTS_MAX) this.#points.shift();
    if (this.#points.length < 2) return;
    const low = Math.min(...this.#points);
    const span = Math.max(...this.#points) - low;
    const place = (value, i) => {
      const x = (100 * i) / (this.#points.length - 1);
      const y = span ? 28 - (26 * (value - low)) / span : 15;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    };
    this.line.setAttribute("points", this.#points.map(place).join(" "));
  }
}

// Local, on 24 hours and so always as wide, for columns that line up.
export function clock(time) {
  return time.toLocaleTimeString(undefined, { hourCycle: "h23" });
}

function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

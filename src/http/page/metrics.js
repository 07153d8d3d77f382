// One card a metric: the numbers found in its value, when they came, which of them changed.

const CARDS_MAX = 300;
const VALUES_MAX = 24;
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
    if (!same) this.#layOut(leaves);
    for (const leaf of leaves) this.#write(leaf, same);
    this.#plot(leaves);
    this.root.dataset.priority = priority;
    this.time = new Date(timestamp);
    this.tick();
  }

  tick() {
    this.foot.textContent = `${clock(this.time)} · ${age(Date.now() - this.time)}`;
  }

  #layOut(leaves) {
    this.#shown.clear();
    this.#points = [];
    this.main = leaves.find(({ value }) => typeof value === "number");
    this.line = null;
    const rest = make("dl", "values");
    const parts = [];
    for (const leaf of leaves) {
      const shown = make("dd", "value");
      this.#shown.set(leaf.path, shown);
      if (leaf.path === this.main?.path) parts.push(this.#headline(leaf, shown));
      else if (rest.childElementCount < 2 * VALUES_MAX) rest.append(make("dt", "", leaf.path), shown);
    }
    if (rest.childElementCount) parts.push(rest);
    const over = leaves.length - VALUES_MAX - 1;
    if (over > 0) parts.push(make("p", "foot", `and ${over} more`));
    this.body.replaceChildren(...parts);
  }

  #headline(leaf, shown) {
    const list = make("dl");
    list.append(shown, make("dt", "name", leaf.path));
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

// Every leaf of a value with its path: {a: {b: 1}} gives a.b.
function flatten(value, path = "") {
  if (value === null || typeof value !== "object") return [{ path, value }];
  const leaves = Object.entries(value).flatMap(([key, inner]) => flatten(inner, path ? `${path}.${key}` : key));
  return leaves.length ? leaves : [{ path, value: null }];
}

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

function format(path, value) {
  if (typeof value !== "number") return value === null ? "–" : String(value);
  if (/bytes$/i.test(path)) return bytes(value);
  return value !== 0 && Math.abs(value) < 0.01 ? small.format(value) : numbers.format(value);
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (Math.abs(count) >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${numbers.format(count)} ${units[unit]}`;
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

function make(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

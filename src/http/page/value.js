// The layout of one value: plain fields as rows, an object as a group under its name, a list of
// objects as a table. Every leaf's element is found by its path, so that an update of the same
// shape changes texts and nothing else.

const ROWS_MAX = 24;

export class Layout {
  shown = new Map(); // path -> the element with the leaf's text
  #rows = 0;
  #left = 0; // rows that were too many

  // `headline` is the path of the leaf that stands elsewhere.
  constructor(value, headline) {
    this.headline = headline;
    this.root = make("div", "body");
    this.#group(this.root, "", isPlain(value) ? { "": value } : value, "");
    if (this.#left) this.root.append(make("p", "foot", `and ${this.#left} more`));
  }

  #group(parent, title, value, path) {
    if (isTable(value)) return this.#table(parent, title, value, path);
    const fields = Object.entries(value).filter(([key]) => join(path, key) !== this.headline);
    const plain = fields.filter(([, inner]) => isPlain(inner));
    const list = make("dl", "values");
    for (const [key] of plain) {
      const shown = this.#leaf("dd", join(path, key));
      if (this.#room()) list.append(make("dt", "", key), shown);
    }
    if (title && list.childElementCount) parent.append(make("h4", "", title));
    if (list.childElementCount) parent.append(list);
    for (const [key, inner] of fields) {
      if (!isPlain(inner)) this.#group(parent, join(title, key), inner, join(path, key));
    }
  }

  #table(parent, title, value, path) {
    const columns = columnsOf(value);
    const numeric = (name) => Object.values(value).every((row) => typeof (row[name] ?? 0) === "number");
    const kinds = columns.map((name) => (numeric(name) ? "number" : ""));
    const named = !Array.isArray(value); // an object's keys are a column of their own
    const table = make("table");
    table.createTHead().insertRow().append(
      ...(named ? [make("th")] : []),
      ...columns.map((name, i) => make("th", kinds[i], name)));
    const body = table.createTBody();
    for (const key of Object.keys(value)) {
      const cells = columns.map((name, i) => {
        const cell = this.#leaf("td", join(join(path, key), name));
        if (kinds[i]) cell.classList.add(kinds[i]);
        return cell;
      });
      if (this.#room()) body.insertRow().append(...(named ? [make("td", "name", key)] : []), ...cells);
    }
    if (!body.rows.length) return;
    if (title) parent.append(make("h4", "", title));
    parent.append(table);
  }

  #leaf(tag, path) {
    const shown = make(tag, "value");
    this.shown.set(path, shown);
    return shown;
  }

  #room() {
    if (this.#rows < ROWS_MAX) return (this.#rows += 1);
    this.#left += 1;
    return 0;
  }
}

// Every leaf of a value with its path: {a: {b: 1}} gives a.b. A list of plain values is one leaf,
// and a row of a table has one for every column.
export function flatten(value, path = "") {
  if (isTable(value)) {
    const columns = columnsOf(value);
    return Object.entries(value).flatMap(([key, row]) =>
      columns.map((name) => ({ path: join(join(path, key), name), value: row[name] ?? null })));
  }
  if (isPlain(value)) return [{ path, value }];
  return Object.entries(value).flatMap(([key, inner]) => flatten(inner, join(path, key)));
}

const isScalar = (value) => value === null || typeof value !== "object";
const isPlain = (value) => isScalar(value) || (Array.isArray(value) && value.every(isScalar));
const isRow = (value) => !isScalar(value) && !Array.isArray(value) && Object.values(value).every(isPlain);
const columnsOf = (rows) => [...new Set(Object.values(rows).flatMap(Object.keys))];
const join = (path, key) => (path === "" ? String(key) : `${path}.${key}`);

// A list of rows, or an object of rows that are alike.
function isTable(value) {
  if (isScalar(value)) return false;
  const rows = Object.values(value);
  if (!rows.length || !rows.every(isRow)) return false;
  const columns = columnsOf(value).length;
  return Array.isArray(value) || (rows.length > 1 && rows.every((row) => Object.keys(row).length === columns));
}

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

export function format(path, value) {
  if (Array.isArray(value)) return value.length ? value.map((it) => format(path, it)).join(", ") : "–";
  if (typeof value !== "number") return value === null ? "–" : String(value);
  if (/bytes(PerSecond)?$/i.test(path)) return bytes(value) + (/PerSecond$/.test(path) ? "/s" : "");
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

export function make(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

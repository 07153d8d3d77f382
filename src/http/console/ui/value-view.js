// One value with all that is in it: plain fields as rows, an object as a group under its name, a list of objects
// as a table.

import { h } from "./dom.js";
import { format } from "./format.js";

const ROWS_MAX = 500;

/**
 * @param {unknown} value
 * @returns {HTMLElement}
 */
export function valueView(value) {
  const root = h("div", { class: "value-view" });
  const room = { rows: ROWS_MAX };
  group(root, "", isPlain(value) ? { value } : /** @type {object} */ (value), room);
  if (room.rows < 0) root.append(h("p", { class: "quiet" }, `and ${-room.rows} more`));
  return root;
}

/**
 * @param {HTMLElement} parent
 * @param {string} title
 * @param {object} value
 * @param {{rows: number}} room
 */
function group(parent, title, value, room) {
  if (isTable(value)) return table(parent, title, value, room);
  const fields = Object.entries(value);
  const list = h("dl");
  for (const [key, inner] of fields) {
    if (isPlain(inner) && (room.rows -= 1) >= 0) list.append(h("dt", {}, key), h("dd", {}, format(key, inner)));
  }
  if (list.childElementCount) {
    if (title) parent.append(h("h3", {}, title));
    parent.append(list);
  }
  for (const [key, inner] of fields) {
    if (!isPlain(inner)) group(parent, title ? `${title}.${key}` : key, /** @type {object} */ (inner), room);
  }
}

/**
 * @param {HTMLElement} parent
 * @param {string} title
 * @param {Record<string, any>} rows
 * @param {{rows: number}} room
 */
function table(parent, title, rows, room) {
  const columns = columnsOf(rows);
  const isNamed = !Array.isArray(rows); // an object's keys are a column of their own
  const kind = (/** @type {string} */ name) =>
    Object.values(rows).every((row) => typeof (row[name] ?? 0) === "number") ? "number" : "";
  const head = h("tr", {}, isNamed && h("td"), columns.map((name) => h("th", { class: kind(name), scope: "col" }, name)));
  const body = Object.entries(rows).filter(() => (room.rows -= 1) >= 0).map(([key, row]) =>
    h("tr", {}, isNamed && h("th", { scope: "row" }, key),
      columns.map((name) => h("td", { class: kind(name) }, format(name, row[name])))));
  if (title) parent.append(h("h3", {}, title));
  parent.append(h("table", {}, h("thead", {}, head), h("tbody", {}, body)));
}

const isScalar = (/** @type {unknown} */ value) => value === null || typeof value !== "object";
const isPlain = (/** @type {unknown} */ value) => isScalar(value) || (Array.isArray(value) && value.every(isScalar));
const columnsOf = (/** @type {object} */ rows) => [...new Set(Object.values(rows).flatMap(Object.keys))];
const isRow = (/** @type {any} */ value) => !isScalar(value) && !Array.isArray(value) && Object.values(value).every(isPlain);

/**
 * A list of rows, or an object of rows that are alike.
 * @param {object} value
 */
function isTable(value) {
  const rows = Object.values(value);
  if (!rows.length || !rows.every(isRow)) return false;
  const columns = columnsOf(value).length;
  return Array.isArray(value) || (rows.length > 1 && rows.every((row) => Object.keys(row).length === columns));
}

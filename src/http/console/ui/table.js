// Tables whose rows stay the same elements while their texts change, so that neither focus nor scrolling is lost.

import { h, say } from "./dom.js";

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: Row) => string | number} [text]
 * @property {(current: () => Row) => Node} [node] made once a row, which it can ask for
 * @property {(node: any, row: Row) => void} [update] what of the node changes
 * @property {string} [className]
 */

/** @template Row */
export class Table {
  #columns;
  #key;
  #body = h("tbody");
  /** @type {Map<string, {element: HTMLTableRowElement, row: Row}>} */
  #rows = new Map();
  #empty;

  /**
   * @param {string} caption for those who cannot see where it stands
   * @param {Column<Row>[]} columns
   * @param {(row: Row) => string} key
   * @param {string} empty said where there are no rows
   */
  constructor(caption, columns, key, empty) {
    this.#columns = columns;
    this.#key = key;
    this.#empty = h("p", { class: "empty", hidden: true }, empty);
    const heads = columns.map(({ title, className = "" }) =>
      h("th", { class: className, scope: "col" }, title || h("span", { class: "unseen" }, "Actions")));
    const table = h("table", { class: "cards" },
      h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, heads)), this.#body);
    this.element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table, this.#empty);
  }

  /** @param {Row[]} rows */
  show(rows) {
    const keys = new Set(rows.map(this.#key));
    for (const [key, { element }] of this.#rows) {
      if (keys.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    rows.forEach((row, place) => {
      const shown = this.#shown(row);
      shown.row = row;
      const there = this.#body.children[place];
      if (there !== shown.element) this.#body.insertBefore(shown.element, there ?? null);
      this.#write(shown.element, row);
    });
    this.#empty.hidden = rows.length > 0;
  }

  /** @param {Row} row */
  #shown(row) {
    const key = this.#key(row);
    const known = this.#rows.get(key);
    if (known) return known;
    const made = { element: h("tr"), row };
    for (const { title, node, className = "" } of this.#columns) {
      const cell = h("td", { class: className, "data-label": title });
      if (node) cell.append(node(() => made.row));
      made.element.append(cell);
    }
    this.#rows.set(key, made);
    return made;
  }

  /**
   * @param {HTMLTableRowElement} element
   * @param {Row} row
   */
  #write(element, row) {
    this.#columns.forEach(({ text, update }, i) => {
      const cell = element.cells[i];
      if (!cell) return;
      if (text) say(cell, text(row));
      else if (update && cell.firstChild) update(cell.firstChild, row);
    });
  }
}

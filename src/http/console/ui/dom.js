// Elements out of code. Texts become text nodes and never markup, so that nothing that a hub tells can act.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [attributes] functions listen to the event of that name; `true` is an attribute
 *   without a value; `false` and nothing leave it out
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, /** @type {EventListener} */ (value));
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(asNode(child));
  }
  return element;
}

/** @param {Node | string | number} child */
const asNode = (child) => (child instanceof Node ? child : document.createTextNode(String(child)));

/**
 * An element of the document that is drawn rather than read.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {string} [text]
 */
export function svg(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text) element.textContent = text;
  return element;
}

/**
 * Writes only what has changed: the browser would lay out the same text again.
 * @param {Node} element
 * @param {string | number} text
 */
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * A labelled control.
 * @param {string} label
 * @param {HTMLElement} control
 * @param {string} [className]
 */
export function field(label, control, className = "") {
  return h("label", { class: `field ${className}` }, h("span", {}, label), control);
}

/**
 * A choice out of texts.
 * @param {Record<string, unknown>} attributes
 * @param {(string | [value: string, label: string])[]} options
 */
export function choice(attributes, options) {
  const made = options.map((option) => {
    const [value, label] = typeof option === "string" ? [option, option] : option;
    return h("option", { value }, label);
  });
  return h("select", attributes, made);
}

/**
 * @param {string} word
 * @param {import("../types.js").Kind} kind
 */
export function badge(word, kind) {
  return h("span", { class: "badge", "data-kind": kind }, word);
}

/**
 * A framed part of a view with its title.
 * @param {string} title
 * @param {Child[]} head
 * @param {...Child} body
 */
export function panel(title, head, ...body) {
  return h("section", { class: "panel" },
    h("div", { class: "panel-head" }, h("h2", {}, title), head), body);
}

// A schema as a list of fields, each with what it holds. What refers to itself is named and not opened again.

import { h } from "../ui/dom.js";
import { followed, kindOf, limitsOf, nameOf } from "./document.js";
import { prose } from "./prose.js";

/** @typedef {import("./document.js").Json} Json */

/**
 * @param {Json} document
 * @param {Json} schema
 * @param {string[]} within names of the schemas that this one is part of
 * @returns {HTMLElement | null}
 */
export function fields(document, schema, within = []) {
  const name = nameOf(schema);
  if (name && within.includes(name)) return null;
  const inside = name ? [...within, name] : within;
  const real = followed(document, schema);
  const one = real.items ?? (typeof real.additionalProperties === "object" ? real.additionalProperties : null);
  const parts = [
    ...Object.entries(real.properties ?? {}).map(([key, value]) => field(document, key, value, real.required?.includes(key), inside)),
    ...(real.oneOf ?? real.anyOf ?? []).map((/** @type {Json} */ choice, /** @type {number} */ at) =>
      h("li", {}, h("span", { class: "quiet" }, at ? "or " : "either "), kindOf(document, choice), fields(document, choice, inside))),
    ...(real.allOf ?? []).flatMap((/** @type {Json} */ part) => [...(fields(document, part, inside)?.children ?? [])]),
  ];
  if (parts.length) return h("ul", { class: "fields" }, parts);
  return one ? fields(document, one, inside) : null;
}

/**
 * @param {Json} document
 * @param {string} key
 * @param {Json} schema
 * @param {boolean} required
 * @param {string[]} within
 */
function field(document, key, schema, required, within) {
  const real = followed(document, schema);
  const limits = [required ? "" : "may be left out", ...limitsOf(nameOf(schema) ? {} : real)].filter(Boolean);
  return h("li", {},
    h("code", {}, key), " ", h("span", { class: "quiet" }, [kindOf(document, schema), ...limits].join("; ")), " ",
    prose(schema.description ?? real.description ?? ""),
    fields(document, schema, within));
}

// Descriptions: paragraphs, in which what stands between backquotes is code.

import { h } from "../ui/dom.js";

/** @param {string} text */
export function prose(text) {
  const parts = text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));
  return h("span", {}, parts);
}

/** @param {string} text */
export const paragraphs = (text) => text.split(/\n\n+/).filter(Boolean).map((part) => h("p", {}, prose(part)));

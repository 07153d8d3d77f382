// Questions and short words to whoever sits here.

import { field, h } from "./dom.js";

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} confirm what the button says
 * @property {boolean} [isDangerous]
 * @property {string} [note] the label of a field for a note, where one may be given
 */

/**
 * Asks before something is done.
 * @param {Question} question
 * @returns {Promise<{note: string} | null>} `null`: no
 */
export function ask({ title, text, confirm, isDangerous = false, note }) {
  return new Promise((resolve) => {
    const input = note ? h("input", { name: "note", maxlength: 1000, autocomplete: "off" }) : null;
    /** @type {{note: string} | null} */
    let answer = null;
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      answer = { note: input?.value.trim() ?? "" };
      dialog.close();
    };
    const form = h("form", { class: "stack", submit },
      h("h2", { id: "dialog-title" }, title),
      h("p", {}, text),
      input && field(note ?? "", input),
      h("div", { class: "buttons" },
        h("button", { type: "button", click: () => dialog.close() }, "Cancel"),
        h("button", { class: isDangerous ? "danger" : "primary" }, confirm)));
    const dialog = open(form, () => resolve(answer));
  });
}

/**
 * @param {Node} content with an element `dialog-title`
 * @param {() => void} closed
 */
export function open(content, closed = () => {}) {
  const close = () => {
    dialog.remove();
    closed();
  };
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", close }, content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

const TOAST_MS = 6000;
const toasts = h("div", { class: "toasts", role: "status" });

/**
 * @param {string} text
 * @param {import("../types.js").Kind} [kind]
 */
export function tell(text, kind = "") {
  if (!toasts.isConnected) document.body.append(toasts);
  const toast = h("p", { class: "toast", "data-kind": kind }, text);
  toasts.append(toast);
  setTimeout(() => toast.remove(), TOAST_MS);
}

// Asks for a token.

import { session } from "./session.js";
import { field, h } from "./ui/dom.js";

/**
 * @param {string} why what was wrong with the one before; empty where there was none
 */
export function login(why) {
  const token = h("input", {
    type: "password", name: "token", autocomplete: "off", spellcheck: "false", required: true,
  });
  const button = h("button", { class: "primary" }, "Log in");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    await session.logIn(token.value);
    button.disabled = false;
  };
  return h("main", { class: "login" },
    h("form", { submit },
      h("h1", {}, "statshub"),
      why && h("p", { class: "why", role: "alert" }, `${why}.`),
      field("Token (JWT) of an administrator", token),
      button,
      h("p", {},
        "Or open the link that the hub printed when it was started in development mode. ",
        h("code", {}, "statshub token --user you"),
        " makes a token. It stays in this tab and is gone with it.")));
}

// The interface as a page: what `openapi.json` says, for people.

import { wordsOf } from "../errors.js";
import { h, panel } from "../ui/dom.js";
import { followed, groups, kindOf, limitsOf } from "./document.js";
import { paragraphs, prose } from "./prose.js";
import { fields } from "./schema.js";

/** @typedef {import("./document.js").Json} Json */
/** @typedef {import("./document.js").Operation} Operation */

/** Relative to this file, so that a proxy may serve all of it below any path. */
const HUB = new URL("../../../", import.meta.url);
const DOCUMENT = new URL("api/openapi.json", HUB);
/** Where the contents stand beside the operations; as in docs.css. */
const WIDE = "(min-width: 56.01rem)";

class ApiDocs extends HTMLElement {
  /** @type {Json} */
  #document = {};

  async connectedCallback() {
    try {
      const answer = await fetch(DOCUMENT);
      if (!answer.ok) throw new Error(`The hub answered ${answer.status}`);
      this.#document = await answer.json();
    } catch (error) {
      this.replaceChildren(h("main", {}, h("p", { class: "empty", role: "alert" }, `There is no document: ${wordsOf(error)}`)));
      return;
    }
    this.#show();
    addEventListener("hashchange", () => this.#open());
    this.#open();
  }

  #show() {
    const { info } = this.#document;
    const all = groups(this.#document);
    this.replaceChildren(
      h("header", { class: "bar" }, h("div", { class: "bar-row" },
        h("div", { class: "brand" }, h("img", { src: new URL("../icon.svg", import.meta.url), alt: "" }),
          h("h1", {}, `${info.title} ${info.version} API`)),
        h("nav", { class: "tabs", "aria-label": "Elsewhere" },
          h("a", { href: new URL("console", HUB) }, "Console"), h("a", { href: DOCUMENT }, "openapi.json")))),
      h("main", { id: "main" }, h("div", { class: "docs" },
        h("nav", { "aria-label": "Operations" }, h("details", { open: matchMedia(WIDE).matches },
          h("summary", {}, "Operations"), all.map(({ name, operations }) => [
            h("h3", {}, name), ...operations.map(({ id, operation }) => h("a", { href: `#${id}` }, operation.summary))]).flat())),
        h("div", {},
          panel("About", [], h("div", { class: "panel-body stack" }, paragraphs(info.description ?? ""))),
          panel("Credentials", [], h("div", { class: "panel-body" }, this.#credentials())),
          all.map(({ name, description, operations }) =>
            panel(name, [h("span", { class: "quiet" }, prose(description))],
              ...operations.map((operation) => this.#operation(operation))))))));
  }

  /** What the address names is opened and shown. */
  #open() {
    const named = document.getElementById(location.hash.slice(1));
    if (!(named instanceof HTMLDetailsElement)) return;
    named.open = true;
    named.scrollIntoView();
  }

  #credentials() {
    const schemes = Object.entries(this.#document.components?.securitySchemes ?? {});
    return h("ul", { class: "stack" }, schemes.map(([name, scheme]) => h("li", {},
      h("code", {}, name), " ",
      h("span", { class: "quiet" }, scheme.type === "http" ? `header Authorization: ${scheme.scheme}` : `${scheme.in} ${scheme.name}`), " ",
      prose(scheme.description ?? ""))));
  }

  /** @param {Operation} it */
  #operation({ id, methods, path, operation }) {
    const { parameters = [], requestBody, responses = {} } = operation;
    return h("details", { class: "operation", id },
      h("summary", {}, h("span", { class: "method" }, methods), h("code", {}, path), h("span", {}, operation.summary)),
      h("div", {},
        h("div", { class: "stack" }, paragraphs(operation.description ?? "")),
        h("p", { class: "quiet" }, `Credentials: ${this.#ways(operation.security)}`),
        parameters.length ? this.#parameters(parameters) : null,
        requestBody ? h("div", {},
          h("h3", {}, requestBody.required ? "Body" : "Body, which may be left out"), this.#contents(requestBody.content)) : null,
        Object.entries(responses).map(([status, response]) => this.#answer(status, followed(this.#document, response)))));
  }

  /** @param {Json[] | undefined} security */
  #ways(security = []) {
    const ways = security.map((way) => Object.keys(way).join(" and ") || "none");
    return ways.join(", ") || "none";
  }

  /** @param {Json[]} parameters */
  #parameters(parameters) {
    const row = (/** @type {Json} */ it) => {
      const schema = followed(this.#document, it.schema ?? {});
      const about = [it.description, schema.description].filter(Boolean).join(" ");
      return h("tr", {},
        h("td", { "data-label": "Name" }, h("code", {}, it.name)),
        h("td", { "data-label": "In" }, `${it.in}${it.required ? ", wanted" : ""}`),
        h("td", { "data-label": "What" }, h("span", {}, [kindOf(this.#document, it.schema ?? {}), ...limitsOf(schema)].join("; "))),
        h("td", {}, prose(about)));
    };
    const head = ["Name", "In", "What", ""].map((title) => h("th", { scope: "col" }, title));
    return h("div", { class: "scroll" }, h("h3", {}, "Parameters"),
      h("table", { class: "cards" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, parameters.map(row))));
  }

  /**
   * @param {string} status
   * @param {Json} response
   */
  #answer(status, response) {
    const headers = Object.keys(response.headers ?? {});
    const [first = "", ...rest] = (response.description ?? "").split(". ");
    return h("details", { open: status < "300" },
      h("summary", {}, h("code", {}, status), " ", prose(first)),
      h("div", { class: "stack" },
        rest.length ? paragraphs(rest.join(". ")) : null,
        headers.length ? h("p", { class: "quiet" }, `Headers: ${headers.join(", ")}`) : null,
        this.#contents(response.content)));
  }

  /** @param {Record<string, Json> | undefined} content */
  #contents(content = {}) {
    return h("div", { class: "stack" }, Object.entries(content).map(([kind, { schema = {}, example }]) => h("div", { class: "stack" },
      h("p", { class: "quiet" }, `${kind}: ${kindOf(this.#document, schema)}`),
      fields(this.#document, schema),
      example === undefined ? null
        : h("pre", { class: "example" }, typeof example === "string" ? example : JSON.stringify(example, null, 2)))));
  }
}

customElements.define("api-docs", ApiDocs);

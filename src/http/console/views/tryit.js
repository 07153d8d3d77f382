// Publishing, raising an alert, and what then comes over the wire.

import { wordsOf } from "../errors.js";
import { session } from "../session.js";
import { choice, field, h, panel, say } from "../ui/dom.js";
import { Wire } from "./tryit-wire.js";

const PRIORITIES = ["critical", "high", "normal", "low"];

class TryItView extends HTMLElement {
  #wire = new Wire();

  connectedCallback() {
    this.append(
      h("div", { class: "panels" }, publishing(), alerting()),
      this.#wire.element);
  }

  disconnectedCallback() {
    this.#wire.close();
  }
}

function publishing() {
  const metric = h("input", { value: "demo.orders", required: true, autocomplete: "off", spellcheck: "false" });
  const data = h("textarea", { spellcheck: "false", required: true });
  data.value = '{"count": 12, "sum": 340.5}';
  const priority = choice({}, PRIORITIES);
  priority.value = "normal";
  const user = h("input", { autocomplete: "off", placeholder: "everybody" });
  return form("Publish a value", "Publish", "publish",
    () => ({
      metric: metric.value.trim(), data: parsed(data.value), priority: priority.value,
      ...(user.value.trim() && { userId: user.value.trim() }),
    }),
    field("Metric", metric), field("Data (any JSON)", data),
    h("div", { class: "row" }, field("Priority", priority, "grow"), field("Only for the user", user, "grow")));
}

function alerting() {
  const severity = choice({}, ["critical", "high", "medium", "low"]);
  severity.value = "high";
  const message = h("input", { value: "Payments are slow", required: true, autocomplete: "off" });
  const more = h("textarea", { spellcheck: "false" });
  more.value = '{"host": "db1"}';
  return form("Raise an alert", "Raise", "alerts",
    () => ({ ...(more.value.trim() ? /** @type {object} */ (parsed(more.value)) : {}), severity: severity.value, message: message.value }),
    field("Severity", severity), field("Message", message), field("More fields (a JSON object, may be left out)", more));
}

/**
 * @param {string} title
 * @param {string} verb
 * @param {string} path
 * @param {() => unknown} body
 * @param {...Node} fields
 */
function form(title, verb, path, body, ...fields) {
  const answer = h("p", { role: "status", class: "quiet" });
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const { messageId, durability } = await session.api(path, { method: "POST", body: body() });
      say(answer, `Taken as ${messageId} (durability: ${durability}).`);
    } catch (error) {
      say(answer, wordsOf(error));
    }
  };
  return panel(title, [],
    h("form", { class: "panel-body stack", submit }, ...fields,
      h("div", { class: "row" }, h("button", { class: "primary" }, verb), answer)));
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${wordsOf(error)}`);
  }
}

customElements.define("tryit-view", TryItView);

// The alert rules: where they hold, and changing them; what is silenced; what webhooks were told.

import { wordsOf } from "../errors.js";
import { alertInWords, isLookedFor, ruleInWords, stateOf } from "../model/rules.js";
import { session } from "../session.js";
import { badge, choice, field, h, panel, say } from "../ui/dom.js";
import { ask, tell } from "../ui/dialog.js";
import { moment, number } from "../ui/format.js";
import { every } from "../ui/poll.js";
import { Table } from "../ui/table.js";
import { edit } from "./rules-editor.js";
import { NotificationsPanel } from "./rules-notifications.js";
import { SilencesPanel } from "./rules-silences.js";

/** @typedef {import("../types.js").RuleState} RuleState */
/** @typedef {import("../types.js").BrokenRule} BrokenRule */

const INTERVAL_MS = 3000;
/** Metrics that are told of in a row; more would make it longer than a page. */
const ALERTS_SHOWN_MAX = 5;

class RulesView extends HTMLElement {
  #count = h("span", { class: "quiet", role: "status" });
  #text = h("input", { type: "search", autocomplete: "off", spellcheck: "false", input: () => this.#show() });
  #state = choice({ change: () => this.#show() },
    [["", "All"], "firing", "acknowledged", "pending", "resolved", "inactive", ["unanswered", "without an answer"]]);
  #new = h("button", { type: "button", class: "primary", click: () => this.#edit(null) }, "New rule");
  #broken = h("ul", { class: "broken" });
  #metrics = h("datalist", { id: "known-metrics" });
  #names = h("datalist", { id: "known-rules" });
  #silences = new SilencesPanel();
  #notifications = new NotificationsPanel();
  #table = this.#makeTable();
  /** @type {RuleState[]} */
  #rules = [];
  #asked = 0;
  #poll = () => {};

  connectedCallback() {
    this.append(
      panel("Rules", [this.#count, this.#new],
        h("div", { class: "panel-body toolbar" }, field("Name or metric", this.#text, "grow"), field("State", this.#state)),
        this.#table.element, this.#broken),
      this.#silences.element, this.#notifications.element, this.#metrics, this.#names);
    const offer = () => this.#metrics.replaceChildren(...[...session.metrics.all.keys()].map((value) => h("option", { value })));
    offer();
    const stop = session.metrics.listen((_, isNew) => isNew && offer());
    const end = every(INTERVAL_MS, async () => {
      await Promise.all([this.#load(), this.#silences.load(), this.#notifications.load()]);
    });
    this.#poll = () => {
      stop();
      end();
    };
  }

  disconnectedCallback() {
    this.#poll();
  }

  async #load() {
    const mine = ++this.#asked;
    try {
      const { rules, broken } = await session.api("rules");
      if (mine !== this.#asked) return;
      this.#rules = rules;
      this.#show();
      this.#tellBroken(broken);
      this.#offerNames();
    } catch (error) {
      if (mine === this.#asked) say(this.#count, wordsOf(error));
    }
  }

  #show() {
    const shown = this.#rules.filter((it) => isLookedFor(it, this.#text.value, this.#state.value));
    this.#table.show(shown);
    const all = this.#rules.length;
    say(this.#count, all ? (shown.length < all ? `${number(shown.length)} of ${number(all)}` : number(all)) : "none");
  }

  /** @param {BrokenRule[]} broken */
  #tellBroken(broken) {
    const text = JSON.stringify(broken);
    if (this.#broken.dataset.shown === text) return;
    this.#broken.dataset.shown = text;
    this.#broken.replaceChildren(...broken.map(({ name, key, reason }) => h("li", {},
      `${name} was made by another version and does not work in this one: ${key}: ${reason}`,
      h("button", { type: "button", class: "small", click: () => this.#delete(name) }, "Delete"))));
  }

  #offerNames() {
    const names = this.#rules.map(({ rule }) => rule.name);
    const offered = [...this.#names.children].map((option) => option.getAttribute("value"));
    if (names.join("\n") === offered.join("\n")) return;
    this.#names.replaceChildren(...names.map((value) => h("option", { value })));
  }

  /** @param {RuleState | null} state `null`: a new one */
  #edit(state) {
    edit({
      rule: state?.rule ?? null,
      isReadOnly: state?.source === "file",
      names: this.#rules.map(({ rule }) => rule.name),
      saved: () => this.#load(),
    });
  }

  /** @param {string} name */
  async #delete(name) {
    const isSure = await ask({
      title: `Delete the rule ${name}?`,
      text: "Its alerts are resolved, and everybody who watches is told.",
      confirm: "Delete",
      isDangerous: true,
    });
    if (!isSure) return;
    try {
      await session.api(`rules/${encodeURIComponent(name)}`, { method: "DELETE" });
      tell("Deleted.", "good");
    } catch (error) {
      tell(wordsOf(error), "bad");
    }
    await this.#load();
  }

  #makeTable() {
    return new Table("Rules", /** @type {import("../ui/table.js").Column<RuleState>[]} */ ([
      {
        title: "Rule",
        node: () => h("div", {}, h("div"), h("div", { class: "quiet" })),
        update: (node, { rule, metrics }) => {
          say(node.firstChild, rule.name);
          say(node.lastChild, `${rule.on}${metrics === 1 ? "" : ` · ${number(metrics)} metrics`}`);
        },
      },
      {
        title: "State",
        node: () => badge("", ""),
        update: (node, { alerts }) => {
          const { word, kind } = stateOf(alerts);
          say(node, word);
          node.dataset.kind = kind;
        },
        className: "tight",
      },
      { title: "Where", text: placesOf, className: "lines" },
      { title: "Severity", text: ({ rule }) => rule.severity, className: "tight" },
      { title: "Fires on", text: ({ rule }) => ruleInWords(rule), className: "lines" },
      {
        title: "Origin",
        node: () => h("div", {}, h("div"), h("div", { class: "quiet" })),
        update: (node, { source, changedBy, changedAt }) => {
          say(node.firstChild, source);
          say(node.lastChild, changedAt ? `${changedBy}, ${moment(changedAt)}` : "");
        },
      },
      {
        title: "",
        node: (current) => this.#actions(current),
        update: (node, { rule, source }) => {
          const first = node.firstChild;
          const last = node.lastChild;
          say(first, source === "file" ? "Show" : "Edit");
          first.ariaLabel = `${first.textContent} ${rule.name}`;
          last.hidden = source === "file";
        },
        className: "actions-cell",
      },
    ]), ({ rule }) => rule.name, "No such rules.");
  }

  /** @param {() => RuleState} current */
  #actions(current) {
    const { name } = current().rule;
    return h("div", { class: "actions" },
      h("button", { type: "button", class: "small", click: () => this.#edit(current()) }),
      h("button", { type: "button", class: "small", "aria-label": `Silence ${name}`, click: () => this.#silences.begin(name) }, "Silence"),
      h("button", { type: "button", class: "small", "aria-label": `Delete ${name}`, click: () => this.#delete(name) }, "Delete"));
  }
}

/** @param {RuleState} state */
function placesOf({ alerts, lastError }) {
  const lines = alerts.slice(0, ALERTS_SHOWN_MAX).map(alertInWords);
  if (alerts.length > ALERTS_SHOWN_MAX) lines.push(`and ${number(alerts.length - ALERTS_SHOWN_MAX)} more`);
  if (lastError) lines.push(`${lastError.metric}: no answer: ${lastError.reason}`);
  return lines.join("\n");
}

customElements.define("rules-view", RulesView);

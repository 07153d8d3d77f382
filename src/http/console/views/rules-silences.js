// The silences: begun, ended.

import { wordsOf } from "../errors.js";
import { LASTS, silencedInWords, silenceOf, timesInWords } from "../model/silences.js";
import { session } from "../session.js";
import { badge, choice, field, h, panel, say } from "../ui/dom.js";
import { ask, tell } from "../ui/dialog.js";
import { number } from "../ui/format.js";
import { Table } from "../ui/table.js";

/** @typedef {import("../types.js").Silence} Silence */

export class SilencesPanel {
  #alert = h("input", { list: "known-rules", placeholder: "every rule", autocomplete: "off", spellcheck: "false" });
  #metric = h("input", { list: "known-metrics", placeholder: "every metric", autocomplete: "off", spellcheck: "false" });
  #from = h("input", { type: "datetime-local" });
  #lasts = choice({}, LASTS);
  #why = h("input", { required: true, maxlength: 1000, autocomplete: "off" });
  #answer = h("p", { role: "status", class: "quiet" });
  #count = h("span", { class: "quiet", role: "status" });
  #table = makeTable((silence) => this.#end(silence));
  #asked = 0;
  element = panel("Silences", [this.#count],
    h("form", { class: "panel-body stack", submit: (/** @type {Event} */ event) => this.#add(event) },
      h("div", { class: "toolbar" },
        field("Rule", this.#alert, "grow"), field("Metric or pattern", this.#metric, "grow"),
        field("From (empty: now)", this.#from, "moment"), field("For", this.#lasts), field("Why", this.#why, "grow"),
        h("button", { class: "primary" }, "Silence")),
      this.#answer),
    this.#table.element);

  async load() {
    const mine = ++this.#asked;
    try {
      const { silences } = await session.api("silences");
      if (mine !== this.#asked) return;
      this.#table.show(silences);
      say(this.#count, silences.length ? number(silences.length) : "none");
    } catch (error) {
      if (mine === this.#asked) say(this.#count, wordsOf(error));
    }
  }

  /** Somebody wants this one silenced, and has yet to say why. @param {string} rule */
  begin(rule) {
    this.#alert.value = rule;
    this.#metric.value = "";
    this.element.scrollIntoView({ block: "center" });
    this.#why.focus({ preventScroll: true });
  }

  /** @param {Event} event */
  async #add(event) {
    event.preventDefault();
    say(this.#answer, "");
    const texts = {
      alert: this.#alert.value, metric: this.#metric.value, from: this.#from.value, lasts: this.#lasts.value, why: this.#why.value,
    };
    try {
      const silence = await session.api("silences", { method: "POST", body: silenceOf(texts, Date.now()) });
      say(this.#answer, `Silenced: ${silencedInWords(silence)}, ${timesInWords(silence)}.`);
      for (const control of [this.#alert, this.#metric, this.#from, this.#why]) control.value = "";
    } catch (error) {
      return say(this.#answer, wordsOf(error));
    }
    await this.load();
  }

  /** @param {Silence} silence */
  async #end(silence) {
    const isSure = await ask({
      title: `End the silence of ${silencedInWords(silence)}?`,
      text: "What it holds back, and still holds, is told at once.",
      confirm: "End it",
    });
    if (!isSure) return;
    try {
      await session.api(`silences/${encodeURIComponent(silence.id)}`, { method: "DELETE" });
      tell("Ended.", "good");
    } catch (error) {
      tell(wordsOf(error), "bad");
    }
    await this.load();
  }
}

/** @param {(silence: Silence) => void} end */
function makeTable(end) {
  return new Table("Silences", /** @type {import("../ui/table.js").Column<Silence>[]} */ ([
    { title: "Silenced", text: silencedInWords },
    {
      title: "State",
      node: () => badge("", ""),
      update: (node, { active }) => {
        say(node, active ? "active" : "to come");
        node.dataset.kind = active ? "warn" : "";
      },
      className: "tight",
    },
    { title: "When", text: timesInWords },
    { title: "Why", text: (row) => row.why },
    { title: "By", text: (row) => row.by },
    {
      title: "",
      node: (current) => {
        const label = `End the silence of ${silencedInWords(current())}`;
        return h("div", { class: "actions" },
          h("button", { type: "button", class: "small", "aria-label": label, click: () => end(current()) }, "End"));
      },
    },
  ]), ({ id }) => id, "Nothing is silenced.");
}

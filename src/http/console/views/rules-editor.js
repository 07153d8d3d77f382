// A rule in a form: written, tried out on a value, saved. What the hub finds wrong is told where it is.

import { KEYS, FormFault, faultOf, offsetOf, outcomeOf, ruleOf, textsOf } from "../model/rules.js";
import { session } from "../session.js";
import { choice, field, h, say } from "../ui/dom.js";
import { open, tell } from "../ui/dialog.js";

/** @typedef {import("../types.js").RuleSpec} RuleSpec */
/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */
/**
 * @typedef {object} Editing
 * @property {RuleSpec | null} rule `null`: a new one
 * @property {boolean} isReadOnly as those of the file are
 * @property {string[]} names of all rules there are
 * @property {() => void} saved
 */

const SPAN = "As in 90s, 5m, 1h 30m, 1d.";
/** Label, and what to write there. @type {Record<string, [label: string, hint: string]>} */
const WORDS = {
  name: ["Name", "1 to 64 of A-Z a-z 0-9 _ . -"],
  on: ["Metric or pattern", "Each metric of a pattern, such as orders.*, has an alert of its own."],
  severity: ["Severity", ""],
  when: ["When", "What should not be, over data (the value) and metric (its name), as in data.errorRate > 0.05"],
  resolve: ["Resolve", "When it is over; empty: as soon as “When” no longer holds."],
  message: ["Message", "{expression} stands for a value, as in Error rate is {data.errorRate}; {{ for a brace."],
  for: ["For", `How long it must hold before it fires; empty: at once. ${SPAN}`],
  keepFiringFor: ["Keep firing for", "How long it must be over before it is resolved; empty: at once."],
  repeatEvery: ["Repeat every", "While nobody has acknowledged it; empty: told once."],
  absentFor: ["Absent for", "Fires when there was no update for so long; empty: never."],
  field: ["Number", "A JSON Pointer, such as /errorRate; empty: the value itself."],
  deviation: ["Deviation", "How many scales from the usual are too many; 4 is a good one."],
  season: ["Season", "After which time things are alike again, such as 1d or 7d."],
  seasons: ["Seasons", "How many are looked back, 3 to 30; empty: 7."],
  scaleMin: ["Smallest scale", "In the number's unit; empty: 0."],
  metric: ["Try on the metric", "Needed where the rule is on a pattern."],
  data: ["With the value (JSON)", "Empty: the metric's newest value."],
};
const CODE = ["when", "resolve", "message", "data"];
/** `.` and `..` mean something else in an address. */
const NAME = "(?!\\.{1,2}$)[A-Za-z0-9_.\\-]{1,64}";

/** @param {Editing} editing */
export function edit(editing) {
  new Editor(editing);
}

class Editor {
  /** @type {Map<string, {control: Control, fault: HTMLElement}>} */
  #fields = new Map();
  #editing;
  #general = h("p", { class: "fault", role: "alert" });
  #outcome = h("div", { class: "outcome", role: "status" });
  #save = h("button", { class: "primary", form: "rule-form" }, "Save");
  #dialog;

  /** @param {Editing} editing */
  constructor(editing) {
    this.#editing = editing;
    const { rule, isReadOnly } = editing;
    const title = rule ? (isReadOnly ? `${rule.name} (in the file)` : rule.name ?? "") : "New rule";
    const anomaly = h("details", { open: Boolean(rule?.anomaly) }, h("summary", {}, "Anomaly"),
      this.#row("field", "deviation", "season", "seasons", "scaleMin"));
    const form = h("form", { id: "rule-form", class: "stack", submit: this.#submits(() => this.#saves()) },
      this.#row("name", "on", "severity"),
      this.#field("when"), this.#field("resolve"), this.#field("message"),
      this.#row("for", "keepFiringFor", "repeatEvery", "absentFor"),
      anomaly);
    const trial = h("form", { class: "stack trial", submit: this.#submits(() => this.#tries()) },
      this.#row("metric", "data"),
      h("div", { class: "row" }, h("button", {}, "Try")), this.#outcome);
    this.#fill(rule);
    this.#dialog = open(h("div", { class: "editor" },
      h("div", { class: "head" }, h("h2", { id: "dialog-title" }, title),
        h("button", { type: "button", class: "small", click: () => this.#dialog.close() }, isReadOnly ? "Close" : "Cancel")),
      isReadOnly && h("p", { class: "quiet" }, "It stands in the configuration file and is changed there; it can be tried out here."),
      form, trial, this.#general,
      !isReadOnly && h("div", { class: "buttons" }, this.#save)));
    this.#dialog.classList.add("wide");
    if (!isReadOnly) this.#fields.get(rule ? "on" : "name")?.control.focus();
  }

  /** @param {...string} keys */
  #row(...keys) {
    return h("div", { class: "three" }, keys.map((key) => this.#field(key)));
  }

  /** @param {string} key */
  #field(key) {
    const [label, hint] = WORDS[key] ?? [key, ""];
    const fault = h("p", { class: "fault", id: `fault-${key}` });
    const described = { "aria-describedby": `fault-${key} hint-${key}`, name: key, input: () => this.#clear(key) };
    const control = this.#control(key, described);
    this.#fields.set(key, { control, fault });
    return h("div", {}, field(label, control), fault, hint && h("p", { class: "hint", id: `hint-${key}` }, hint));
  }

  /**
   * @param {string} key
   * @param {Record<string, unknown>} attributes
   * @returns {Control}
   */
  #control(key, attributes) {
    if (key === "severity") return choice(attributes, ["critical", "high", "medium", "low"]);
    const plain = { ...attributes, spellcheck: "false", autocomplete: "off" };
    if (CODE.includes(key)) return h("textarea", { ...plain, rows: 2 });
    const more = {
      name: { required: true, pattern: NAME, title: WORDS.name?.[1] },
      on: { required: true, list: "known-metrics" },
      metric: { list: "known-metrics" },
    }[key];
    return h("input", { ...plain, ...more });
  }

  /** @param {RuleSpec | null} rule */
  #fill(rule) {
    const { isReadOnly } = this.#editing;
    const texts = rule ? textsOf(rule) : { severity: "high" };
    for (const key of KEYS) {
      const control = this.#fields.get(key)?.control;
      if (!control) continue;
      control.value = /** @type {Record<string, string>} */ (texts)[key] ?? "";
      const isFixed = isReadOnly || key === "name" && rule !== null;
      if (control instanceof HTMLSelectElement) control.disabled = isFixed;
      else control.readOnly = isFixed;
    }
  }

  /** @param {() => Promise<void>} act */
  #submits(act) {
    return async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
      for (const key of this.#fields.keys()) this.#clear(key);
      say(this.#general, "");
      if (button) button.disabled = true;
      try {
        await act();
      } catch (error) {
        this.#tells(faultOf(error));
      } finally {
        if (button) button.disabled = false;
      }
    };
  }

  /** @param {string} key */
  #text(key) {
    return this.#fields.get(key)?.control.value ?? "";
  }

  get #rule() {
    return ruleOf(Object.fromEntries(KEYS.map((key) => [key, this.#text(key)])));
  }

  async #saves() {
    const { rule: old, names, saved, isReadOnly } = this.#editing;
    if (isReadOnly) return;
    const { name = "", ...rule } = this.#rule;
    if (!old && names.includes(name)) throw new FormFault("name", "There is a rule of this name already");
    await session.api(`rules/${encodeURIComponent(name)}`, { method: "PUT", body: rule });
    this.#dialog.close();
    tell(`Saved: ${name} is in force.`, "good");
    saved();
  }

  async #tries() {
    this.#outcome.replaceChildren();
    const rule = this.#rule;
    const metric = this.#text("metric").trim();
    const data = this.#text("data").trim();
    /** @type {Record<string, unknown>} */
    const body = { rule, ...(metric && { metric }) };
    if (data) body.data = parsed(data);
    const { kind, lines } = outcomeOf(await session.api("rules/test", { method: "POST", body }), rule);
    this.#outcome.dataset.kind = kind;
    this.#outcome.replaceChildren(...lines.map((line) => h("p", {}, line)));
    this.#outcome.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} key */
  #clear(key) {
    const it = this.#fields.get(key);
    if (!it) return;
    say(it.fault, "");
    it.control.removeAttribute("aria-invalid");
  }

  /** Goes to where it is wrong. @param {import("../model/rules.js").Fault} fault */
  #tells({ key, text, line, column }) {
    const it = this.#fields.get(key);
    if (!it) return say(this.#general, text);
    say(it.fault, text);
    it.control.setAttribute("aria-invalid", "true");
    const folded = it.control.closest("details");
    if (folded) folded.open = true;
    it.control.focus();
    if (line && it.control instanceof HTMLTextAreaElement) {
      const at = offsetOf(it.control.value, line, column ?? 1);
      it.control.setSelectionRange(at, at + 1);
    }
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormFault("data", `This is no JSON: ${error instanceof Error ? error.message : error}`);
  }
}

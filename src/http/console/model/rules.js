// Alert rules: as operators write them into a form, and in words.

import { ApiError, wordsOf } from "../errors.js";
import { moment } from "../ui/format.js";

/** @typedef {import("../types.js").RuleSpec} RuleSpec */
/** @typedef {import("../types.js").RuleState} RuleState */
/** @typedef {import("../types.js").RuleAlert} RuleAlert */
/** @typedef {import("../types.js").RuleTested} RuleTested */
/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Kind} Kind */

/**
 * What is wrong, and at which key; line and column are from 1, and only there in an expression.
 * @typedef {{key: string, text: string, line?: number, column?: number}} Fault
 */

/** Keys that hold expressions; only what is wrong in these has a place that is one of the form. */
const EXPRESSIONS = ["when", "resolve", "message"];
const SPANS = /** @type {const} */ (["for", "keepFiringFor", "absentFor", "repeatEvery"]);
const NUMBERS = /** @type {const} */ (["deviation", "seasons", "scaleMin"]);
export const KEYS = [
  "name", "on", "severity", ...EXPRESSIONS, ...SPANS, "field", "season", ...NUMBERS,
];
/** The worst first. @type {[RuleAlert["state"], Kind][]} */
const STATES = [["firing", "bad"], ["acknowledged", "warn"], ["pending", "warn"], ["resolved", ""]];

/** What a form cannot send. */
export class FormFault extends Error {
  /**
   * @param {string} key
   * @param {string} text
   */
  constructor(key, text) {
    super(text);
    this.key = key;
  }
}

/**
 * The rule that a form says. Expressions stay as they are, so that the places which the hub tells are those of the form.
 * @param {Record<string, string>} texts by key
 * @returns {RuleSpec}
 * @throws {FormFault}
 */
export function ruleOf(texts) {
  const text = (/** @type {string} */ key) => (texts[key] ?? "").trim();
  /** @type {Record<string, unknown>} */
  const rule = { name: text("name"), on: text("on"), severity: text("severity") };
  if (!rule.name) delete rule.name;
  for (const key of EXPRESSIONS) if (text(key)) rule[key] = texts[key];
  for (const key of SPANS) if (text(key)) rule[key] = text(key);
  if (["field", "season", ...NUMBERS].some((key) => text(key))) {
    /** @type {Record<string, unknown>} */
    const anomaly = { field: text("field") };
    if (text("season")) anomaly.season = text("season");
    for (const key of NUMBERS) {
      if (!text(key)) continue;
      anomaly[key] = Number(text(key));
      if (!Number.isFinite(anomaly[key])) throw new FormFault(key, "a number is wanted");
    }
    rule.anomaly = anomaly;
  }
  return /** @type {RuleSpec} */ (/** @type {unknown} */ (rule));
}

/**
 * What a form shows of a rule.
 * @param {RuleSpec} rule
 * @returns {Record<string, string>}
 */
export function textsOf(rule) {
  const { anomaly = {}, ...plain } = rule;
  /** @type {Record<string, unknown>} */
  const all = { ...plain, ...anomaly };
  return Object.fromEntries(KEYS.map((key) => [key, String(all[key] ?? "")]));
}

/**
 * Where it belongs in the form. An empty key: to nothing that is there.
 * @param {unknown} error
 * @returns {Fault}
 */
export function faultOf(error) {
  if (error instanceof FormFault) return { key: error.key, text: error.message };
  const { path, line, column } = error instanceof ApiError ? error.details : {};
  if (typeof path !== "string") return { key: "", text: wordsOf(error) };
  const text = wordsOf(error).replace(/^Invalid body at [^:]*: /, "");
  const last = path.replace(/^rule\./, "").split(".").pop() ?? "";
  const key = last === "anomaly" ? partOfAnomaly(text) : last;
  if (EXPRESSIONS.includes(key) && line) return { key, text, line, column };
  return { key, text };
}

/** The hub names the part in its words. @param {string} text */
function partOfAnomaly(text) {
  const part = /^(?:missing field `)?(field|deviation|seasons|season|scale_min)\b/.exec(text)?.[1] ?? "deviation";
  return part === "scale_min" ? "scaleMin" : part;
}

/**
 * How many characters stand before a place.
 * @param {string} text
 * @param {number} line from 1
 * @param {number} column from 1
 */
export function offsetOf(text, line, column) {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, it) => sum + it.length + 1, 0);
  return Math.min(text.length, before + Math.min(column - 1, lines[line - 1]?.length ?? 0));
}

/**
 * The worst of where it holds.
 * @param {RuleAlert[]} alerts
 * @returns {{word: string, kind: Kind}}
 */
export function stateOf(alerts) {
  for (const [state, kind] of STATES) {
    const those = alerts.filter((it) => it.state === state);
    if (!those.length) continue;
    const isSilenced = those.every((it) => it.silenced);
    return { word: isSilenced ? `${state}, silenced` : state, kind: isSilenced ? "" : kind };
  }
  return { word: "inactive", kind: "" };
}

/**
 * Whether somebody who looks for this wants to see the rule. Empty texts take all.
 * @param {RuleState} state
 * @param {string} text some of its name, its metric, or one where it holds
 * @param {string} wanted a state on any of its metrics, `inactive`, or `unanswered`
 */
export function isLookedFor({ rule, alerts, lastError }, text, wanted) {
  const some = text.trim().toLowerCase();
  const names = [rule.name, rule.on, ...alerts.map(({ metric }) => metric)];
  if (some && !names.some((it) => it.toLowerCase().includes(some))) return false;
  if (wanted === "inactive") return alerts.length === 0;
  if (wanted === "unanswered") return lastError !== null;
  return !wanted || alerts.some(({ state }) => state === wanted);
}

/** @param {RuleAlert} alert */
export function alertInWords(alert) {
  const parts = [
    `${alert.state}${alert.reason === "condition" ? "" : ` (${alert.reason})`} since ${moment(alert.since)}`,
    alert.overSince && `over since ${moment(alert.overSince)}`,
    alert.acknowledgedBy && `acknowledged by ${alert.acknowledgedBy}`,
    alert.silenced && "silenced",
  ];
  return `${alert.metric}: ${parts.filter(Boolean).join(", ")}`;
}

/** A line for each thing that it looks at. @param {RuleSpec} rule */
export function ruleInWords(rule) {
  const { anomaly } = rule;
  const lines = [
    rule.when && `${rule.when}${rule.for ? ` for ${rule.for}` : ""}`,
    rule.absentFor && `no update for ${rule.absentFor}`,
    anomaly && `${anomaly.field || "value"} unlike every ${anomaly.season} by ${anomaly.deviation}`,
  ];
  return lines.filter(Boolean).join("\n");
}

/**
 * What came of trying a rule out, with the verdict first.
 * @param {RuleTested} tested
 * @param {RuleSpec} rule
 * @returns {{kind: Kind, lines: string[]}}
 */
export function outcomeOf(tested, rule) {
  const { holds, when, resolve, message, metric } = tested;
  const verdict = holds === null ? "Nobody can tell whether it holds"
    : holds ? "It holds: an alert would begin" : "It does not hold";
  const lines = [
    `${verdict}${holds && rule.for ? `, after ${rule.for}` : ""}.`,
    when && `when: ${said(when)}`,
    resolve && `resolve: ${said(resolve)}`,
    `message: ${message}`,
    `on ${metric}: ${shortened(JSON.stringify(tested.data))}`,
    (rule.absentFor || rule.anomaly) && "Absence and anomalies are not looked at here.",
  ];
  return { kind: holds === null ? "warn" : holds ? "bad" : "good", lines: lines.filter((it) => typeof it === "string") };
}

/** @param {Said} it */
const said = ({ result, error }) => (error === null ? String(result) : `no answer: ${error}`);

/** @param {string} text */
const shortened = (text) => (text.length > 300 ? `${text.slice(0, 299)}…` : text);

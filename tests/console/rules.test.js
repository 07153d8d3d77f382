// Alert rules in the console: forms, faults and words. Run by `node --test tests/console`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../src/http/console/errors.js";
import {
  alertInWords, faultOf, FormFault, isLookedFor, offsetOf, outcomeOf, ruleInWords, ruleOf, stateOf, textsOf,
} from "../../src/http/console/model/rules.js";
import { silencedInWords, silenceOf, timesInWords } from "../../src/http/console/model/silences.js";

const alert = (state, more = {}) => ({
  metric: "system", state, reason: "condition", since: new Date().toISOString(), overSince: null, alertId: null,
  acknowledgedBy: null, silenced: false, ...more,
});
const refusal = (message, details) => new ApiError(400, "invalid_request", message, details);

test("a rule with every key goes through the form unchanged", () => {
  const rule = {
    name: "high", on: "system", severity: "critical", when: "data.errorRate >\n  0.05", resolve: "data.errorRate < 0.03",
    message: "is {data.errorRate}", for: "2m", keepFiringFor: "5m", absentFor: "1h", repeatEvery: "1d",
    anomaly: { field: "/errorRate", deviation: 4, season: "1d", seasons: 7, scaleMin: 0 },
  };
  assert.deepEqual(ruleOf(textsOf(rule)), rule);
});

test("what is left empty is not sent, and expressions keep their places", () => {
  const rule = ruleOf({ name: " ", on: " system ", severity: "low", when: "  data > 1", resolve: " ", for: " 5m " });
  assert.deepEqual(rule, { on: "system", severity: "low", when: "  data > 1", for: "5m" });
});

test("an anomaly of the whole value is one, and its numbers are numbers", () => {
  assert.deepEqual(ruleOf({ on: "a", severity: "low", deviation: "4", season: "1d" }).anomaly, { field: "", deviation: 4, season: "1d" });
  assert.throws(() => ruleOf({ deviation: "many" }), (error) => error instanceof FormFault && error.key === "deviation");
});

test("a fault is told at its field, with its place in an expression only", () => {
  for (const [message, details, fault] of [
    ["Invalid body at rule.when: line 2, column 5: no", { path: "rule.when", line: 2, column: 5 }, { key: "when", text: "line 2, column 5: no", line: 2, column: 5 }],
    ["Invalid body at keepFiringFor: a time", { path: "keepFiringFor" }, { key: "keepFiringFor", text: "a time" }],
    ["Invalid body at rule.anomaly: scale_min is a number", { path: "rule.anomaly" }, { key: "scaleMin", text: "scale_min is a number" }],
    ["Invalid body at anomaly: missing field `season`", { path: "anomaly", line: 1, column: 9 }, { key: "season", text: "missing field `season`" }],
    ["Invalid body at metric: one is wanted", { path: "metric" }, { key: "metric", text: "one is wanted" }],
    ["There is no such rule", undefined, { key: "", text: "There is no such rule" }],
  ]) {
    assert.deepEqual(faultOf(refusal(message, details)), fault);
  }
  assert.deepEqual(faultOf(new FormFault("data", "no JSON")), { key: "data", text: "no JSON" });
});

test("a place is found in the text, and never beyond it", () => {
  assert.equal(offsetOf("ab\ncd", 1, 2), 1);
  assert.equal(offsetOf("ab\ncd", 2, 1), 3);
  assert.equal(offsetOf("ab\ncd", 2, 99), 5);
  assert.equal(offsetOf("ab\ncd", 9, 1), 5);
  assert.equal(offsetOf("", 1, 1), 0);
});

test("of a rule on many metrics the worst is told, and silence where all of these are silenced", () => {
  assert.deepEqual(stateOf([]), { word: "inactive", kind: "" });
  assert.deepEqual(stateOf([alert("pending"), alert("firing"), alert("acknowledged")]), { word: "firing", kind: "bad" });
  assert.deepEqual(stateOf([alert("firing", { silenced: true }), alert("pending")]), { word: "firing, silenced", kind: "" });
  assert.deepEqual(stateOf([alert("firing", { silenced: true }), alert("firing")]), { word: "firing", kind: "bad" });
});

test("rules are looked for by name, metric and state", () => {
  const state = (more) => ({ rule: { name: "Busy", on: "orders.*", severity: "low" }, alerts: [], lastError: null, ...more });
  const firing = state({ alerts: [alert("firing"), alert("pending", { metric: "orders.today" })] });
  for (const text of ["", " bus", "ORDERS.*", "today"]) assert.ok(isLookedFor(firing, text, ""), text);
  assert.ok(!isLookedFor(firing, "users", ""));
  assert.deepEqual(["firing", "pending", "resolved", "inactive", "unanswered"].map((it) => isLookedFor(firing, "", it)), [true, true, false, false, false]);
  assert.ok(isLookedFor(state(), "", "inactive"));
  assert.ok(isLookedFor(state({ lastError: { metric: "a", reason: "no" } }), "", "unanswered"));
});

test("where a rule holds, and what it looks at, is told in words", () => {
  const words = alertInWords(alert("acknowledged", { reason: "absence", acknowledgedBy: "ada", silenced: true }));
  assert.match(words, /^system: acknowledged \(absence\) since .+, acknowledged by ada, silenced$/);
  assert.equal(
    ruleInWords({ on: "a", severity: "low", when: "data > 1", for: "2m", absentFor: "5m", anomaly: { field: "/x", deviation: 4, season: "1d" } }),
    "data > 1 for 2m\nno update for 5m\n/x unlike every 1d by 4");
});

test("trying a rule out says what came of it", () => {
  const rule = { on: "a", severity: "low", when: "data > 1", for: "2m" };
  const tested = { metric: "a", data: 2, when: { result: true, error: null }, resolve: null, holds: true, message: "a is 2", values: {} };
  assert.deepEqual(outcomeOf(tested, rule), {
    kind: "bad", lines: ["It holds: an alert would begin, after 2m.", "when: true", "message: a is 2", "on a: 2"],
  });
  const unknown = { ...tested, holds: null, when: { result: null, error: "No such key: x" } };
  const { kind, lines } = outcomeOf(unknown, { ...rule, absentFor: "5m" });
  assert.equal(kind, "warn");
  assert.equal(lines[1], "when: no answer: No such key: x");
  assert.match(lines.at(-1), /not looked at/);
  assert.ok(outcomeOf({ ...tested, holds: false, data: "x".repeat(9999) }, rule).lines.every((line) => line.length < 400));
});

test("a silence begins now unless it is said when, and lasts as long as is chosen", () => {
  const now = Date.UTC(2026, 0, 31, 12);
  const texts = { alert: " high ", metric: "", from: "", lasts: String(3_600_000), why: " repairs " };
  assert.deepEqual(silenceOf(texts, now), { alert: "high", until: "2026-01-31T13:00:00.000Z", why: "repairs" });
  const later = silenceOf({ ...texts, alert: "", metric: "orders.*", from: "2026-02-01T08:00" }, now);
  assert.equal(later.from, new Date(2026, 1, 1, 8).toISOString());
  assert.equal(later.until, new Date(2026, 1, 1, 9).toISOString());
  assert.equal("alert" in later, false);
});

test("what is silenced, and how long, is told in words", () => {
  assert.equal(silencedInWords({ alert: "high", metric: null }), "high");
  assert.equal(silencedInWords({ alert: null, metric: "orders.*" }), "every rule on orders.*");
  assert.equal(silencedInWords({ alert: "high", metric: "orders.*" }), "high on orders.*");
  const times = { from: "2026-01-31T12:00:00.000Z", until: "2026-01-31T13:00:00.000Z" };
  assert.match(timesInWords({ ...times, active: true }), /^until /);
  assert.match(timesInWords({ ...times, active: false }), / to /);
});

import { StatshubError } from "./error.js";

const PATTERN = /^(?=.{1,128}$)(?:(?:[\w-]+|\*)(?:\.(?:[\w-]+|\*))*(?:\.\*\*)?|\*\*)$/;
const POINTER = /^(?:\/(?:[^~]|~[01])*)?$/;
const FIELDS_MAX = 32;
// To which the hub rounds down, in updates a second.
const RATES = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];
// Of one connection, and the different forms in which it asks for metrics.
export const PATTERNS_MAX = 100;
const FORMS_MAX = 16;

export const EVERYTHING = "**";

// A selector is a pattern, or an object with one that asks for metrics in some form.
export const patternOf = (selector) => selector.metric ?? selector;

// Nothing for values as they are published.
const formOf = (selector) => (selector.metric ? JSON.stringify({ ...selector, metric: "" }) : "");

// The hub would refuse the whole stream for one bad selector: better told where it is written. What a condition says
// is for the hub to judge. At most one a pattern: the last.
export function checked(selectors) {
  if (!Array.isArray(selectors)) throw new StatshubError("Metrics must be an array", "invalid_request");
  for (const selector of selectors) {
    const fault = faultOf(selector);
    if (fault) throw new StatshubError(`Invalid metrics: ${fault}`, "invalid_request");
  }
  return newest(selectors.map(canonical));
}

function faultOf(selector) {
  const { metric, fields, where, maxHz, ...others } = typeof selector === "string" ? { metric: selector } : (selector ?? {});
  if (typeof metric !== "string" || !PATTERN.test(metric) || Object.keys(others).length) return JSON.stringify(selector);
  const isPointers = Array.isArray(fields) && fields.length && fields.every((it) => typeof it === "string" && POINTER.test(it));
  if (fields !== undefined && (!isPointers || fields.length > FIELDS_MAX)) return `fields: 1 to ${FIELDS_MAX} JSON Pointers, each empty or beginning with /`;
  if (where !== undefined && typeof where !== "string") return "where: a text";
  if (maxHz !== undefined && !(typeof maxHz === "number" && maxHz >= RATES.at(-1) && maxHz <= RATES[0])) return "maxHz: a number of updates a second, 0.01 to 10";
}

// The same for all that ask for the same, whether the hub says it or a page.
export function canonical(selector) {
  if (!selector.metric) return selector;
  const { metric, fields = [""], where, maxHz } = selector;
  const isIn = (pointer) => fields.some((other) => pointer.startsWith(`${other}/`));
  const form = {
    fields: fields.includes("") ? undefined : [...new Set(fields.filter((it) => !isIn(it)))].sort(),
    where,
    maxHz: maxHz && RATES.find((rate) => rate <= maxHz),
  };
  for (const key in form) if (form[key] === undefined) delete form[key];
  return Object.keys(form).length ? { metric, ...form } : metric;
}

export const isSame = (selector, other) => JSON.stringify(selector) === JSON.stringify(other);

export const newest = (selectors) => [...new Map(selectors.map((it) => [patternOf(it), it])).values()];

// `**` stands for any number of segments, none too.
export function matches(pattern, name) {
  if (pattern === EVERYTHING || pattern === name) return true;
  const segments = name.split(".");
  const wanted = pattern.split(".");
  const open = wanted.at(-1) === EVERYTHING;
  if (open) wanted.pop();
  if (open ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((segment, i) => segment === "*" || segment === segments[i]);
}

// Whether there may be a name that both stand for.
function overlap(pattern, other) {
  const [ours, theirs] = [pattern.split("."), other.split(".")];
  for (let i = 0; ; i++) {
    const both = [ours[i], theirs[i]];
    if (both.includes(EVERYTHING)) return true;
    if (both.includes(undefined)) return both[0] === both[1];
    if (both[0] !== both[1] && !both.includes("*")) return false;
  }
}

export const admits = (selectors, name) => selectors.some((selector) => matches(patternOf(selector), name));

// The one that says in which form a metric comes.
export function narrowest(selectors, name) {
  const narrowness = (pattern) => (pattern.includes("*") ? pattern.split(".").filter((it) => !it.includes("*")).length : Infinity);
  // Of several the last, as with the hub.
  const those = selectors.filter((selector) => matches(patternOf(selector), name)).reverse();
  return those.sort((a, b) => narrowness(patternOf(b)) - narrowness(patternOf(a)))[0];
}

// What one connection has to ask for to serve all of `lists`: each tab picks its own out of that. What
// two of them want in different forms comes as it is published, which serves both.
export function union(lists) {
  const wishes = [...new Map([...lists].map((list) => [JSON.stringify(list), list])).values()];
  const all = new Map();
  const forms = new Set();
  for (const wish of wishes) {
    for (const selector of wish) {
      const [pattern, form] = [patternOf(selector), formOf(selector)];
      const isServed = (it) => formOf(it) === form || !overlap(patternOf(it), pattern);
      const isAgreed = form && wishes.every((other) => other === wish || other.every(isServed));
      const isKept = isAgreed && (forms.has(form) || forms.size < FORMS_MAX);
      if (isKept) forms.add(form);
      all.set(pattern, isKept ? selector : pattern);
    }
  }
  // With as many as there may be, `**` would be one too many.
  const isAll = all.get(EVERYTHING) === EVERYTHING && !forms.size;
  return isAll || all.size >= PATTERNS_MAX ? [EVERYTHING] : [...all.values()];
}

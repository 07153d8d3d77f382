import { StatshubError } from "./error.js";

const PATTERN = /^(?=.{1,128}$)(?:(?:[\w-]+|\*)(?:\.(?:[\w-]+|\*))*(?:\.\*\*)?|\*\*)$/;
// Of one connection.
export const PATTERNS_MAX = 100;

export const EVERYTHING = "**";

// The hub would refuse the whole stream for one bad pattern: better told where it is written.
export function checked(patterns) {
  if (!Array.isArray(patterns)) throw new StatshubError("Metrics must be an array", "invalid_request");
  for (const pattern of patterns) {
    if (typeof pattern === "string" && PATTERN.test(pattern)) continue;
    throw new StatshubError(`Invalid metrics: ${JSON.stringify(pattern)}`, "invalid_request");
  }
  return [...new Set(patterns)];
}

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

export const admits = (patterns, name) => patterns.some((pattern) => matches(pattern, name));

// What one connection has to ask for to serve all of `lists`: each tab picks its own out of that.
export function union(lists) {
  const all = [...new Set([...lists].flat())];
  // With as many as there may be, `**` would be one too many.
  return all.includes(EVERYTHING) || all.length >= PATTERNS_MAX ? [EVERYTHING] : all;
}

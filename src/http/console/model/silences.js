// Silences: as they are asked for, and in words.

import { moment } from "../ui/format.js";

/** @typedef {import("../types.js").Silence} Silence */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** @type {[ms: string, label: string][]} */
export const LASTS = [
  [String(30 * MINUTE), "30 minutes"], [String(HOUR), "1 hour"], [String(4 * HOUR), "4 hours"], [String(12 * HOUR), "12 hours"],
  [String(DAY), "1 day"], [String(3 * DAY), "3 days"], [String(7 * DAY), "1 week"], [String(30 * DAY), "30 days"],
];

/**
 * @param {{alert: string, metric: string, from: string, lasts: string, why: string}} texts `from` as a browser has it, without
 *   a zone; empty: now
 * @param {number} now
 */
export function silenceOf({ alert, metric, from, lasts, why }, now) {
  const begin = from ? new Date(from).getTime() : now;
  return {
    ...(alert.trim() && { alert: alert.trim() }),
    ...(metric.trim() && { metric: metric.trim() }),
    ...(from && { from: new Date(begin).toISOString() }),
    until: new Date(begin + Number(lasts)).toISOString(),
    why: why.trim(),
  };
}

/** What is silenced. @param {Pick<Silence, "alert" | "metric">} silence */
export function silencedInWords({ alert, metric }) {
  if (!metric) return `${alert}`;
  return `${alert ?? "every rule"} on ${metric}`;
}

/** @param {Silence} silence */
export const timesInWords = ({ active, from, until }) =>
  active ? `until ${moment(until)}` : `${moment(from)} to ${moment(until)}`;

// What a session asks for: as operators read it, and as they write it.

/** @typedef {import("../types.js").Subscription} Subscription */

/**
 * A line for the patterns, and one for each that asks for less than its values whole.
 * @param {Subscription[] | null} subscription
 */
export function inWords(subscription) {
  if (!subscription) return "everything";
  /** @type {string[]} */
  const patterns = [];
  const lines = [];
  for (const it of subscription) {
    if (typeof it === "string") patterns.push(it);
    else lines.push(less(it));
  }
  if (patterns.includes("**")) lines.unshift("everything");
  else if (patterns.length) lines.unshift(patterns.join(", "));
  return lines.join("\n") || "alerts only";
}

/** @param {Exclude<Subscription, string>} selector */
function less({ metric, fields, where, maxHz }) {
  const rate = maxHz && (maxHz < 1 ? `every ${Math.round(1 / maxHz)} s at most` : `${maxHz} a second at most`);
  return [metric, fields?.join(", "), where && `where ${where}`, rate].filter(Boolean).join(" · ");
}

/**
 * Patterns between commas, or JSON as it stands in a subscription.
 * @param {string} text
 * @returns {Subscription[]}
 * @throws {SyntaxError} in the JSON
 */
export function written(text) {
  const list = text.trim();
  if (list.startsWith("[")) return JSON.parse(list);
  if (list.startsWith("{")) return [JSON.parse(list)];
  return list.split(",").map((it) => it.trim()).filter(Boolean);
}

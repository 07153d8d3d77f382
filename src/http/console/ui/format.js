// Numbers, sizes and times for people.

const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const clockOf = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minuteOf = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOf = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short" });

/** A word of its own at the end, as in `usedBytes` and `latency_ms`, and not as in `items`. */
const UNIT = /(?<word>(?<![A-Za-z])(?:bytes|ms)|Bytes|Ms)(?<rate>PerSecond|_per_second)?$/;

/** @param {number} value */
export function number(value) {
  if (value !== 0 && Math.abs(value) < 0.01) return small.format(value);
  return Math.abs(value) >= 1e9 ? short.format(value) : plain.format(value);
}

/**
 * A value as the name of its field says that it is meant.
 * @param {string} name such as `memory.usedBytes`
 * @param {unknown} value
 * @returns {string}
 */
export function format(name, value) {
  if (Array.isArray(value)) return value.length ? value.map((it) => format(name, it)).join(", ") : "–";
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  const unit = UNIT.exec(name)?.groups;
  if (!unit) return number(value);
  const perSecond = unit.rate ? "/s" : "";
  return /ms/i.test(unit.word ?? "") ? `${number(value)} ms` : bytes(value) + perSecond;
}

/** @param {number} count */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (Math.abs(count) >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${plain.format(count)} ${units[unit]}`;
}

/**
 * With a sign, so that it needs no colour.
 * @param {string} name
 * @param {number} value
 */
export function change(name, value) {
  if (value === 0) return "±0";
  return (value > 0 ? "+" : "−") + format(name, Math.abs(value));
}

/** @param {number} ms */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** @param {string | number | null} time */
export function ago(time) {
  if (time === null) return "–";
  return `${duration(Date.now() - new Date(time).getTime())} ago`;
}

/** @param {string | number} time */
export const clock = (time) => clockOf.format(new Date(time));

/**
 * The day too where it is another one.
 * @param {string | number} time
 */
export function moment(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock(time) : `${dayOf.format(date)} ${clock(time)}`;
}

/** @param {string | number} time */
export const minute = (time) => minuteOf.format(new Date(time));

/** @param {string | number} time */
export const day = (time) => dayOf.format(new Date(time));

/** @param {number} part from 0 to 1 */
export const percent = (part) => `${plain.format(100 * part)} %`;

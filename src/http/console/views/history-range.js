// Times to look back, and how finely.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const RANGES = [
  { label: "Last 15 minutes", ms: 15 * MINUTE },
  { label: "Last hour", ms: HOUR },
  { label: "Last 6 hours", ms: 6 * HOUR },
  { label: "Last 24 hours", ms: DAY },
  { label: "Last 7 days", ms: 7 * DAY },
  { label: "Last 30 days", ms: 30 * DAY },
];

/** As many points as a chart can show beside each other. */
const POINTS_MAX = 300;
const STEPS = [
  1000, 2000, 5000, 10_000, 15_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY,
];

/** @param {number} ms */
export function stepFor(ms) {
  return STEPS.find((step) => ms / step <= POINTS_MAX) ?? DAY * Math.ceil(ms / DAY / POINTS_MAX);
}

/** @param {number} step */
export function wordsOfStep(step) {
  if (step < MINUTE) return `${step / 1000} s`;
  if (step < HOUR) return `${step / MINUTE} min`;
  return step < DAY ? `${step / HOUR} h` : `${step / DAY} d`;
}

/**
 * As a field for local times wants it.
 * @param {number} time
 */
export function local(time) {
  const zone = MINUTE * new Date(time).getTimezoneOffset();
  return new Date(time - zone).toISOString().slice(0, 19);
}

// Axes: round numbers and round times at even distances.

/** Steps of a time axis, in milliseconds. */
const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 1_209_600, 2_592_000,
].map((seconds) => 1000 * seconds);

/**
 * Round numbers around all of a range.
 * @param {number} low
 * @param {number} high
 * @param {number} count about how many
 * @returns {number[]} at least two, the first not above `low` and the last not below `high`
 */
export function ticks(low, high, count) {
  if (low === high) {
    const room = Math.abs(low) * 0.1;
    [low, high] = room ? [low - room, high + room] : [0, 1];
  }
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const from = Math.floor(low / step + 1e-9);
  const to = Math.ceil(high / step - 1e-9);
  return Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}

/**
 * Round local times within a range.
 * @param {number} from in milliseconds since 1970
 * @param {number} to
 * @param {number} count at most so many
 * @returns {number[]}
 */
export function timeTicks(from, to, count) {
  const step = TIME_STEPS.find((it) => (to - from) / it <= count) ?? (to - from) / count;
  const zone = 60_000 * new Date(from).getTimezoneOffset();
  const found = [];
  for (let tick = Math.ceil((from - zone) / step) * step + zone; tick <= to; tick += step) found.push(tick);
  return found;
}

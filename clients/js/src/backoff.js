const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

// Full jitter: each wait is drawn evenly from zero to a ceiling that doubles, since anything less
// random brings the pages of a restarted hub back in waves.
export class Backoff {
  // The first ceiling: `retry:` of the hub, where it has sent one.
  first = FIRST_MS;
  #random;
  #failures = 0;

  constructor(random) {
    this.#random = random;
  }

  // The wait in milliseconds after one more failure: at least `floor`, which the hub asked for.
  next(floor = 0) {
    const longest = Math.max(LONGEST_MS, this.first);
    const ceiling = Math.min(longest, this.first * 2 ** this.#failures++);
    return floor + Math.round(this.#random() * ceiling);
  }

  reset() {
    this.#failures = 0;
  }
}

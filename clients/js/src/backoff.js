const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

// Full jitter: each wait is drawn evenly from zero to a ceiling that doubles, since anything less
// random brings the pages of a restarted hub back in waves.
export class Backoff {
  #random;
  #first = FIRST_MS;
  #failures = 0;

  constructor(random) {
    this.#random = random;
  }

  // The wait in milliseconds after one more failure: at least `floor`, which the hub asked for.
  next(floor = 0) {
    const longest = Math.max(LONGEST_MS, this.#first);
    const ceiling = Math.min(longest, this.#first * 2 ** this.#failures);
    this.#failures++;
    return floor + Math.round(this.#random() * ceiling);
  }

  reset() {
    this.#failures = 0;
  }

  // `retry:` of the hub: the first ceiling from now on.
  set first(ms) {
    this.#first = ms || FIRST_MS;
  }
}

// What runs in a page before its own scripts, to be given to `opens`.

/**
 * A page whose clock runs so many times as fast: what takes the library twenty seconds of silence to see
 * is seen in a fraction of it.
 */
export const fast = (times) => [
  (factor) => {
    const { setTimeout, setInterval } = window;
    const { now } = Date;
    const began = now();
    Date.now = () => Math.round(began + (now() - began) * factor);
    window.setTimeout = (code, ms, ...args) => setTimeout(code, ms / factor, ...args);
    window.setInterval = (code, ms, ...args) => setInterval(code, ms / factor, ...args);
  },
  times,
];

/** A page whose chances come from `seed`. */
export const chances = (seed) => [
  (start) => {
    let state = start;
    Math.random = () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  },
  seed,
];

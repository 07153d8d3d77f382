/**
 * A page whose clock runs so many times as fast: what takes the library twenty seconds of silence to see
 * is seen in a fraction of it. To be given to `opens`.
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

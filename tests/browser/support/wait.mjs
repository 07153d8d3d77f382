// Waiting for conditions: bounded, so that a test fails with what it waited for and does not hang, and
// never asserted as a time.

/** Longest wait for anything; far above what a busy machine takes. */
export const PATIENCE_MS = 30_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What `look` gives, once that is truthy. An error of its last look is in the message: a look may fail
 * while a page or a server is not there yet.
 *
 * @template T
 * @param {string} what for people, as in "the hub to listen"
 * @param {() => T | Promise<T>} look
 * @param {() => unknown} [detail] what to show when it never came
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, look, detail) {
  const end = Date.now() + PATIENCE_MS;
  let last;
  do {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await pause(25);
  } while (Date.now() < end);
  const shown = detail ? await detail() : last;
  throw new Error(`waited in vain for ${what}: ${typeof shown === "string" ? shown : JSON.stringify(shown) ?? shown}`);
}

/** `promise`, or an error that names what was waited for. */
export async function inTime(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

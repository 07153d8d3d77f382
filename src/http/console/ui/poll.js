// Asking again and again, but not for nobody.

/**
 * Calls `ask` now and then every `ms` while the page is visible, one at a time.
 * @param {number} ms
 * @param {() => Promise<void>} ask must not fail
 * @returns {() => void} ends it
 */
export function every(ms, ask) {
  let timer = 0;
  let isEnded = false;
  let isAsking = false;
  const run = async () => {
    clearTimeout(timer);
    if (isEnded || isAsking || document.hidden) return;
    isAsking = true;
    await ask();
    isAsking = false;
    if (!isEnded) timer = setTimeout(run, ms);
  };
  document.addEventListener("visibilitychange", run);
  run();
  return () => {
    isEnded = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", run);
  };
}

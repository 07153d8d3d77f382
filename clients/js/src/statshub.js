import { StatshubError } from "./error.js";
import { Hub } from "./hub.js";

// What the browser gives. Tests give something else.
const browser = () => ({
  now: () => Date.now(),
  setTimeout: (...args) => globalThis.setTimeout(...args),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
  setInterval: (...args) => globalThis.setInterval(...args),
  clearInterval: (timer) => globalThis.clearInterval(timer),
  random: Math.random,
  randomId: () => Math.random().toString(36).slice(2),
  fetch: (...args) => globalThis.fetch(...args),
  WebSocket: globalThis.WebSocket,
  locks: globalThis.navigator?.locks,
  BroadcastChannel: globalThis.BroadcastChannel,
  target: globalThis.addEventListener && globalThis,
  report: (error) => globalThis.setTimeout(() => { throw error; }),
});

export function connect({ url = new URL(".", import.meta.url), ...options } = {}, env) {
  const root = new URL(url, globalThis.location?.href).href;
  return new Hub({ ...options, url: root.endsWith("/") ? root : `${root}/` }, { ...browser(), ...env });
}

export { StatshubError };

import { StatshubError } from "./error.js";
import { Hub } from "./hub.js";

// What the browser gives. Tests give something else.
const page = globalThis;
const FUNCTIONS = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "fetch"];
const browser = () => ({
  ...Object.fromEntries(FUNCTIONS.map((name) => [name, page[name].bind(page)])),
  now: Date.now,
  random: Math.random,
  WebSocket: page.WebSocket,
  locks: page.navigator?.locks,
  BroadcastChannel: page.BroadcastChannel,
  target: page.addEventListener && page,
  report: (error) => setTimeout(() => { throw error; }),
});

export function connect({ url = new URL(".", import.meta.url), ...options } = {}, env) {
  const root = new URL(url, page.location?.href).href;
  return new Hub({ ...options, url: root.endsWith("/") ? root : `${root}/` }, { ...browser(), ...env });
}

export { StatshubError };

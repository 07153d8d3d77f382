// Tabs of one user, on a hub of the test's own.
import { HubProcess } from "./hub.js";
import { page } from "./page.js";

let server;

export async function startHub() {
  return (server = await HubProcess.start("[realtime]\nsse_retry_ms = 60\n[sessions]\nbacklog_messages_max = 5000\n"));
}

export function open(origin, { user = "ada", ...options } = {}) {
  const tab = origin.tab();
  return Object.assign(page({ url: server.url, getToken: () => server.token(user), ...options }, tab.env), { tab });
}

export const leaderOf = (tabs) => tabs.find(({ hub }) => hub.connection?.leader);
export const connectionsOf = async (user) => (await server.ask("/connection-stats", null, "root")).connectionsByUser[user] ?? 0;
export const upTo = (count) => Array.from({ length: count }, (_, i) => i + 1);

export async function openAll(origin, count, options) {
  const tabs = Array.from({ length: count }, () => open(origin, options));
  for (const tab of tabs) await tab.live();
  return tabs;
}

// Publishes 1, 2, 3, … until told to stop; then how many.
export function publishing(metric) {
  let count = 0;
  let goesOn = true;
  const done = (async () => {
    while (goesOn) await server.publish(metric, ++count);
  })();
  return async () => {
    goesOn = false;
    await done;
    return count;
  };
}

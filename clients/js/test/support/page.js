import { WebSocket } from "ws";
import { connect } from "../../statshub.js";
import { until } from "./hub.js";

export const pages = [];

export function closePages() {
  for (const { hub } of pages.splice(0)) hub.close();
}

// A page that writes down everything it is told.
export function page(options, env) {
  const hub = connect(options, { WebSocket, random: () => Math.random() / 10, ...env });
  const seen = { hub, messages: [], states: [], dropped: [], values: [], opened: [] };
  for (const type of ["connection_established", "reconnection_successful"]) {
    hub.on(type, (data) => seen.opened.push({ type, ...data }));
  }
  hub.on("*", (data, message) => seen.messages.push(message));
  hub.on("state", (change) => seen.states.push(change));
  hub.on("dropped", (receipt) => seen.dropped.push(receipt));
  hub.on("value", (value) => seen.values.push(value));
  seen.names = () => seen.states.map(({ state }) => state);
  seen.updates = (metric) => {
    const updates = seen.messages.filter(({ type, data }) => type === "metrics_update" && metric in data);
    return updates.map(({ data }) => data[metric]);
  };
  seen.live = () => until(() => hub.state === "live", () => `live; ${JSON.stringify(seen.states.slice(-3))}`);
  pages.push(seen);
  return seen;
}

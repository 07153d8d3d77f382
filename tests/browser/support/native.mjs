// Pages that use what every browser has, without the library.

import { snippet } from "./readme.mjs";

/** What README's snippets expect a page to have: a way to a JWT, and something that shows values. */
export async function page(person, site) {
  const tab = await person.opens(site.blank);
  await tab.run(() => {
    window.seen = [];
    window.alerts = [];
    window.currentJwt = async () => (await fetch("/app/token")).text();
    window.show = (data) => window.seen.push(data);
    window.alertUser = (severity, message) => window.alerts.push({ severity, message });
    window.handle = (message) => window.seen.push(message);
  });
  return tab;
}

/** The snippet under this heading of README's, running in a page. */
export async function running(person, site, heading) {
  const tab = await page(person, site);
  await tab.script(snippet(heading, "js"));
  return tab;
}

/**
 * `window.source`, a plain EventSource on `query` of the stream; `window.seen` has its messages,
 * `window.errors` the `readyState` at each of its errors.
 */
export async function eventSource(person, url, query, options) {
  const tab = await person.opens(url.page);
  await tab.run(
    (address, init) => {
      window.seen = [];
      window.errors = [];
      window.source = new EventSource(address, init);
      window.source.onmessage = (event) => window.seen.push({ ...JSON.parse(event.data), id: event.lastEventId });
      window.source.onerror = () => window.errors.push(window.source.readyState);
    },
    `${url.hub ?? ""}/api/admin/analytics/stream?${new URLSearchParams(query)}`,
    options,
  );
  return tab;
}

/** `window.socket`, a plain WebSocket; `window.seen` has its messages, `window.ending` how it ended. */
export async function webSocket(person, url, query, protocols = []) {
  const tab = await person.opens(url.page);
  await tab.run(
    (origin, path, offered) => {
      window.seen = [];
      const base = (origin || location.origin).replace("http", "ws");
      window.socket = new WebSocket(base + path, offered);
      window.socket.onmessage = (event) => window.seen.push(JSON.parse(event.data));
      window.socket.onclose = ({ code, wasClean }) => (window.ending = { code, wasClean });
    },
    url.hub ?? "",
    `/api/admin/analytics/websocket?${new URLSearchParams(query)}`,
    protocols,
  );
  return tab;
}

/** The types of the messages so far, but for heartbeats, which may come at any time. */
export const types = (tab) =>
  tab.run(() => window.seen.map((message) => message.type).filter((type) => type !== "heartbeat"));

/** The values of `metric` that were published to a page so far, in the order in which they came. */
export const updates = (tab, metric) =>
  tab.run(
    (name) => window.seen.filter(({ type, data }) => type === "metrics_update" && name in data).map(({ data }) => data[name]),
    metric,
  );

/** Waits until `metric` has this value as the last one of `tab`. */
export const reaches = (tab, metric, value) =>
  tab.until(
    `${metric} to be ${value}`,
    (name, last) => window.seen.findLast(({ type, data }) => type === "metrics_update" && name in data)?.data[name] === last,
    metric,
    value,
  );

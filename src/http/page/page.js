// The hub's own page: a token in, a stream of cards out.
//
// The token comes in the URL's fragment, which no browser sends to a server, and goes into this
// tab's storage at once. The stream is opened with a ticket instead, since an EventSource cannot
// send a header and a URL ends up in logs. Everything that comes from the hub is shown through
// textContent, never as markup.

import { Metrics, clock } from "./metrics.js";

const API = "api/admin/analytics";
const TOKEN_KEY = "statshub.token";
const ALERTS_MAX = 50;
const RETRY_MS_MAX = 30_000;
// Until two heartbeats tell the hub's own interval.
const HEARTBEAT_MS_DEFAULT = 30_000;

const element = (id) => document.getElementById(id);
const metrics = new Metrics(element("cards"), element("more"));

let source = null; // the EventSource
let timer = 0; // of the next try
let attempt = 0; // counts openings, so that a late answer to an earlier one is ignored
let failures = 0;
let lastEventId = "";
let lastSeen = 0;
let lastHeartbeat = 0;
let heartbeatMs = HEARTBEAT_MS_DEFAULT;
const counts = { received: 0, replayed: 0, dropped: 0 };

// Connection

async function open() {
  close();
  const mine = attempt;
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (!token) return askForToken("A token is needed", "no token");
  if (document.body.dataset.state !== "resuming") show("connecting");
  let response, body;
  try {
    response = await fetch(`${API}/ticket`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: "{}",
    });
    body = await response.json();
  } catch {
    if (mine === attempt) openLater("the hub does not answer");
    return;
  }
  if (mine !== attempt) return;
  if (response.ok) return stream(body.data.ticket);
  const why = body.error ?? `status ${response.status}`;
  if (response.status === 401) return askForToken("This token is not valid", why);
  if (response.status === 429 || response.status >= 500) {
    return openLater(why, Number(response.headers.get("Retry-After")) * 1000);
  }
  refuse(why);
}

function stream(ticket) {
  const query = new URLSearchParams({ ticket });
  const wanted = new URLSearchParams(location.search).get("metrics");
  if (wanted) query.set("metrics", wanted);
  if (lastEventId) query.set("lastEventId", lastEventId);
  source = new EventSource(`${API}/stream?${query}`);
  source.onmessage = (event) => {
    seen(event);
    hear(event.data);
  };
  // Moves the position on a quiet stream; there is nothing to show.
  source.addEventListener("cursor", seen);
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      // A refusal ends an EventSource for good. A fresh ticket tells why, or opens another.
      openLater("the stream was refused");
    } else if (document.body.dataset.state !== "resuming") {
      show("resuming", "the connection was lost");
    }
  };
}

function close() {
  clearTimeout(timer);
  attempt += 1;
  source?.close();
  source = null;
}

// Full jitter, so that the dashboards of a restarted hub do not come back in waves.
function openLater(why, atLeastMs = 0) {
  close();
  const ceiling = Math.min(RETRY_MS_MAX, 1000 * 2 ** failures);
  failures += 1;
  const wait = (atLeastMs || 0) + Math.random() * ceiling;
  show("resuming", `${why}; trying again in ${Math.max(1, Math.round(wait / 1000))} s`);
  timer = setTimeout(open, wait);
}

function refuse(why) {
  close();
  show("refused", why);
  element("again").hidden = false;
}

function askForToken(title, why) {
  sessionStorage.removeItem(TOKEN_KEY);
  refuse(why);
  element("again").hidden = true;
  element("credentials-title").textContent = title;
  element("credentials").hidden = false;
  element("token").focus();
}

// Messages

function seen(event) {
  lastSeen = Date.now();
  if (event.lastEventId) lastEventId = event.lastEventId;
  if (document.body.dataset.state === "stale") show("live");
}

function hear(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return;
  }
  const { type, data, timestamp, priority } = message;
  switch (type) {
    case "connection_established":
    case "reconnection_successful":
      return opened(type, data);
    case "initial_metrics":
      for (const [name, value] of Object.entries(data)) metrics.set(name, value, timestamp);
      return received();
    case "metrics_update":
      for (const [name, value] of Object.entries(data)) metrics.set(name, value, timestamp, priority);
      return received();
    case "system_alert":
      alerted(data, timestamp);
      return received();
    case "heartbeat":
      return heartbeat();
    case "messages_dropped":
      return count("dropped", data.droppedMessagesCount);
    case "server_shutdown":
      return show("resuming", `the hub is restarting, back in ${Math.ceil(data.reconnectInMs / 1000)} s`);
    case "connection_replaced":
      return refuse("this stream was opened elsewhere");
    case "error":
      if (data.code === "token_expired") return askForToken("The token has expired", "ask for a fresh link");
      return show(document.body.dataset.state, `${data.message} (${data.code})`);
    case "test_message":
      show("live", `test message: ${data.message}`);
      return received();
  }
}

function opened(type, data) {
  failures = 0;
  lastHeartbeat = 0; // the gap over an interruption is no interval
  const resumed = data.resumed || type === "reconnection_successful";
  count("replayed", data.replayedMessagesCount ?? data.bufferedMessagesCount);
  count("dropped", data.droppedMessagesCount);
  element("fact-user").textContent = data.userId ?? "–";
  show("live", resumed ? "resumed where it broke off" : "");
}

function received() {
  count("received", 1);
  element("empty").hidden = metrics.size > 0;
  element("metrics-count").textContent = metrics.size || "";
}

function count(what, by) {
  counts[what] += Number(by) || 0;
  const shown = element(`fact-${what}`);
  shown.textContent = counts[what].toLocaleString();
  shown.classList.toggle("some", counts[what] > 0);
}

function heartbeat() {
  const now = Date.now();
  if (lastHeartbeat) heartbeatMs = Math.max(1000, now - lastHeartbeat);
  lastHeartbeat = now;
}

function alerted({ severity, message, ...extra }, timestamp) {
  const item = document.createElement("li");
  item.dataset.severity = severity;
  const add = (tag, text, name = "") => {
    const part = item.appendChild(document.createElement(tag));
    part.textContent = text;
    part.className = name;
  };
  add("time", clock(new Date(timestamp)));
  add("span", severity, "severity");
  add("p", message);
  if (Object.keys(extra).length) add("p", JSON.stringify(extra), "extra");
  const list = element("alerts-list");
  list.prepend(item);
  while (list.children.length > ALERTS_MAX) list.lastChild.remove();
  element("alerts").hidden = false;
}

// Screen

function show(state, why = "") {
  document.body.dataset.state = state;
  element("state-name").textContent = state;
  element("state-why").textContent = why;
  element("again").hidden = true;
  if (state === "live") element("credentials").hidden = true;
  document.title = state === "live" ? "statshub" : `${state} – statshub`;
}

function tick() {
  metrics.tick();
  if (!lastSeen) return;
  const quietMs = Date.now() - lastSeen;
  element("fact-age").textContent = `${Math.floor(quietMs / 1000)} s ago`;
  const state = document.body.dataset.state;
  // A dead connection that nobody closed never tells an EventSource, so silence has to.
  if ((state === "live" || state === "stale") && quietMs > 2.5 * heartbeatMs) {
    if (quietMs > 5 * heartbeatMs) return openLater("nothing came for too long");
    show("stale", "no heartbeat; the values may be old");
  }
}

element("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, element("token").value.trim());
  element("token").value = "";
  element("credentials").hidden = true;
  open();
});
element("again").addEventListener("click", open);
element("filter").addEventListener("input", (event) => metrics.filter(event.target.value));
element("alerts-clear").addEventListener("click", () => {
  element("alerts-list").replaceChildren();
  element("alerts").hidden = true;
});

function takeTokenFromUrl() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return false;
  sessionStorage.setItem(TOKEN_KEY, token);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

// A fresh link opened over this page changes only the fragment and loads nothing anew.
addEventListener("hashchange", () => takeTokenFromUrl() && open());
takeTokenFromUrl();
setInterval(tick, 1000);
open();

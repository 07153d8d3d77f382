// Who is looking: the token, the way to the hub's interface, and the stream.
//
// The token comes in the URL's fragment, which no browser sends to a server, or is pasted. It lives in this
// tab's storage and nowhere else: not in another tab, not after the tab is closed, not in a URL. A page that
// is behind a login of its own may rely on the cookie `access_token` instead.

import { connect } from "./statshub.js";
import { ApiError } from "./errors.js";
import { Alerts } from "./model/alerts.js";
import { Metrics } from "./model/metrics.js";
import { Samples } from "./model/samples.js";

/** @typedef {import("./statshub.js").Hub} Hub */
/**
 * @typedef {object} Request
 * @property {"GET" | "POST" | "PUT" | "DELETE"} [method]
 * @property {Record<string, string | number>} [query] empty texts are left out
 * @property {unknown} [body]
 * @property {AbortSignal} [signal]
 */

/** Relative to this file, so that a proxy may serve all of it below any path. */
const HUB = new URL("../../", import.meta.url);
const API = new URL("api/admin/analytics/", HUB);
const KEY = "statshub.token";
/** The hub itself does not say why, so as to tell strangers nothing. */
const BAD_TOKEN = "The hub does not take this token: it is not valid, or has expired";
/** What the stream was refused for, where another token may help. */
const LOG_IN_AGAIN = ["unauthenticated", "forbidden", "token_expired", "token_unavailable"];

export class Session extends EventTarget {
  /** @type {Hub | null} */
  hub = null;
  metrics = new Metrics();
  alerts = new Alerts(this);
  samples = new Samples(this);
  /** Why a login is wanted; `null` while nobody is asked for one. @type {string | null} */
  wanted = "";
  dropped = 0;

  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  /** Whose token it is and until when, as far as a browser can read that. */
  get claims() {
    try {
      const part = (this.token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
      const { sub, userId, exp } = JSON.parse(new TextDecoder().decode(bytes));
      return { user: String(sub ?? userId ?? ""), expires: typeof exp === "number" ? 1000 * exp : null };
    } catch {
      return { user: "", expires: null };
    }
  }

  /** Takes the token out of the address. Returns whether there was one. */
  takeFromAddress() {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (!token) return false;
    history.replaceState(null, "", location.pathname + location.search);
    sessionStorage.setItem(KEY, token);
    return true;
  }

  /** @param {string} token */
  async logIn(token) {
    sessionStorage.setItem(KEY, token.trim());
    await this.begin();
  }

  logOut() {
    this.#end("");
  }

  /** With the token that is there, or a cookie; else somebody is asked to log in. */
  async begin() {
    try {
      if (this.token) await this.api("websocket-info");
      else if (!(await this.health()).checks) return this.#end("");
    } catch (error) {
      // Then it has ended already. Whatever else it is goes over, and the stream tells of it meanwhile.
      if (error instanceof ApiError && (error.status === 401 || error.code === "forbidden")) return;
    }
    this.wanted = null;
    this.#reset();
    this.#open();
    this.#tell();
  }

  #open() {
    const getToken = this.token ? () => this.token : undefined;
    const hub = connect({ url: HUB, getToken });
    this.hub = hub;
    hub.on("value", ({ metric, value, timestamp, stale }) => this.metrics.set(metric, value, Date.parse(timestamp), stale));
    hub.on("stale", ({ metric }) => this.metrics.setOverdue(metric));
    hub.on("metrics_update", (data, { priority }) => this.metrics.setPriority(data, priority));
    hub.on("system_alert", (data, message) => this.alerts.hear(data, message));
    hub.on("dropped", ({ droppedMessagesCount }) => {
      this.dropped += droppedMessagesCount;
      this.#loadAlerts();
      this.#tell();
    });
    hub.on("state", ({ state, reason, message }) => {
      if (hub !== this.hub) return;
      if (state === "refused" && LOG_IN_AGAIN.includes(reason)) {
        return this.#refused(reason === "forbidden" ? message ?? reason : BAD_TOKEN);
      }
      if (state === "live") {
        this.#datesOfValues();
        this.#loadAlerts();
      }
      this.#tell();
    });
  }

  /** What was raised or changed while there was no stream; who cannot have it sees what the stream brings. */
  #loadAlerts() {
    this.alerts.load().catch(() => {});
  }

  /** A snapshot does not say how old its values are. */
  async #datesOfValues() {
    const all = await this.api("metrics").catch(() => ({}));
    for (const [name, { value, timestamp }] of Object.entries(all)) this.metrics.setTime(name, value, Date.parse(timestamp));
  }

  /** @param {string} why */
  #end(why) {
    this.#reset();
    sessionStorage.removeItem(KEY);
    this.wanted = why;
    this.#tell();
  }

  /** Who brought no token is asked for one, and told nothing of it. @param {string} why */
  #refused(why) {
    this.#end(this.token ? why : "");
  }

  /** Nothing that one user saw is left for the next. */
  #reset() {
    this.hub?.close();
    this.hub = null;
    this.metrics = new Metrics();
    this.alerts = new Alerts(this);
    this.samples = new Samples(this);
    this.dropped = 0;
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  /**
   * What the interface answers.
   * @param {string} path below its base
   * @param {Request} [request]
   * @returns {Promise<any>}
   */
  async api(path, request = {}) {
    const answer = await this.ask(this.address(path, request.query), request);
    return (await answer.json()).data;
  }

  /** @returns {Promise<import("./types.js").Health>} */
  async health() {
    const answer = await this.ask(new URL("api/health", HUB), {});
    return (await answer.json()).data;
  }

  /**
   * @param {string} path
   * @param {Request["query"]} [query]
   */
  address(path, query = {}) {
    const url = new URL(path, API);
    for (const [name, value] of Object.entries(query)) {
      if (value !== "") url.searchParams.set(name, String(value));
    }
    return url;
  }

  /** The headers of a request of ours. */
  get headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : undefined;
  }

  /**
   * An answer that is a success, its body unread.
   * @param {URL} url
   * @param {Request} request
   * @throws {ApiError}
   */
  async ask(url, { method = "GET", body, signal }) {
    const { token } = this;
    const headers = new Headers(this.headers);
    const hasBody = method === "POST" || method === "PUT";
    if (hasBody) headers.set("Content-Type", "application/json");
    const text = hasBody ? JSON.stringify(body ?? {}) : undefined;
    /** @type {Response} */
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: text, signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "network", "The hub does not answer");
    }
    if (answer.ok) return answer;
    const refusal = await answer.json().catch(() => ({}));
    const message = answer.status === 401 ? BAD_TOKEN : refusal.error ?? `The hub answers ${answer.status}`;
    const isOfLogin = answer.status === 401 || answer.status === 403 && refusal.code === "forbidden";
    // Meanwhile somebody else may have logged in.
    if (isOfLogin && token === this.token) this.#refused(message);
    throw new ApiError(answer.status, refusal.code ?? "", message, refusal.details);
  }
}

export const session = new Session();

import { Backoff } from "./backoff.js";
import { isId } from "./id.js";
import { followSse, followWebSocket } from "./links.js";
import { Patches } from "./patches.js";
import { canonical } from "./pattern.js";
import { judge } from "./verdict.js";

// The hub says something every 15 s; more than that without a word and it is gone, or we were asleep.
export const SILENT_MS = 20_000;
// Over WebSocket its pings are not for scripts to see: silence says nothing there, so it is asked.
const PING_AFTER_MS = 10_000;
const PONG_MS = 5000;
// So late is no tick, unless the machine was asleep.
export const ASLEEP_MS = 10_000;
// To an answer, and more with each try; from there to the first event, which a proxy that buffers keeps back.
const ANSWER_MS = 5000;
const FIRST_EVENT_MS = 4000;
// Live at the latest, also where fewer messages were replayed than announced.
const SETTLE_MS = 3000;
// At once only so often without a stream that lasted; then with back-off like everything else.
const AT_ONCE_MAX = 3;
const LASTED_MS = 5000;
const RENEW_MIN_MS = 1000;
const DAY_MS = 86_400_000;
// Of patterns in the address; what is beyond is asked for afterwards.
export const PATTERNS_CHARS_MAX = 4000;
// A metric that nobody has: no name at all would mean every metric.
const NOTHING = "-";

// What another tab's token may be better for.
const OF_TOKENS = ["unauthenticated", "forbidden", "token_unavailable"];

// A token that does not live longer than the last one is good enough to come back with.
const isNoLonger = (error) => {
  if (error.end?.status !== 400) throw error;
};

// Keeps one stream to the hub open, for ever and by whatever transport works. `host` is told:
// `emit(event)`, `authenticated()`, `refused()`, `opened()`, `subscribed(metrics)`, `lost()`, `heard()`, and asked whether it
// `leavesOut(asked, end)` what was refused; and has what is known, `member`, what is `wanted`, and whether what was said before `isFinal`.
export class Connector {
  #api;
  #tokens;
  #env;
  #host;
  #auto;
  #transport;
  #endpoint;
  // Whether updates may say what changes only.
  #delta;
  #backoff;
  #link;
  #pause;
  #stopped;
  #renew;
  #renewed;
  #atOnce = 0;
  // Attempts without an answer, and streams that opened and fell silent.
  #failures = 0;
  #silences = 0;
  #offline;

  constructor({ api, tokens, env, host, transport, delta }) {
    this.#api = api;
    this.#tokens = tokens;
    this.#env = env;
    this.#host = host;
    this.#auto = transport === "auto";
    this.#transport = this.#auto ? "sse" : transport;
    this.#delta = delta;
    this.#backoff = new Backoff(env.random);
  }

  get isOpen() {
    return Boolean(this.#link?.openAt);
  }

  async run() {
    if (this.#host.isFinal) await this.#wait(Infinity, Infinity);
    while (!this.#stopped) {
      const link = { abort: new AbortController(), patches: new Patches() };
      const cut = new Promise((resolve) => (link.cut = resolve));
      this.#link = link;
      // A cut is not left to fetch, whose reading may hang when both sides end it at once.
      const end = await Promise.race([cut, this.#attempt(link)]);
      // Also what is of no use and not read to its end.
      link.abort.abort();
      this.#link = null;
      this.#env.clearTimeout(link.renewal);
      if (this.#stopped) return;
      const isLess = link.asked && this.#host.leavesOut(link.asked, end);
      await this.#obey(isLess ? { reason: end.code, now: true } : judge(end, this.#renewed), link);
    }
  }

  stop() {
    this.#stopped = true;
    this.#cut({ kind: "ended" });
    this.#pause?.end();
  }

  /**
   * Each second, and when something has happened: is what looks open alive? With `hurry` a back-off is cut short, though
   * not the time that the hub asked for; `force` cuts that short too. `sleptAt`: when a sleep was noticed.
   * @param {{ sleptAt?: number, hurry?: boolean, force?: boolean }} how
   */
  check({ sleptAt, hurry, force }) {
    const now = this.#env.now();
    const link = this.#link;
    if (force) this.#renew ??= "start";
    if (link?.openAt) {
      const { openAt, heardAt, pingedAt, send } = link;
      const silentMs = now - heardAt;
      // Several tabs may notice the same sleep, one after the other.
      if (sleptAt > heardAt && now - openAt > ASLEEP_MS) return this.#doubt("woke");
      // A WebSocket's heartbeats come every 30 s.
      if (silentMs > (send ? 2 * SILENT_MS : SILENT_MS) || now - pingedAt > PONG_MS) return this.#doubt("silent");
      if (send && !pingedAt && silentMs > PING_AFTER_MS) {
        link.pingedAt = now;
        send({ type: "ping" });
      }
      if (now - openAt > SETTLE_MS) link.awaited = 0;
      this.#settle(link);
    } else if (link) {
      const { askedAt, answeredAt } = link;
      // An attempt that began before a sleep may hang for long.
      const limit = answeredAt || hurry || force ? FIRST_EVENT_MS : ANSWER_MS * (1 + this.#atOnce);
      if (now - (answeredAt ?? askedAt) > limit) this.#cut({ kind: "stalled" });
    } else if (this.#pause) {
      const { until, floor } = this.#pause;
      if (force || now >= (hurry ? floor : until)) this.#pause.end();
    }
  }

  // The browser's word on the network. Only a message that comes nevertheless says otherwise.
  set online(online) {
    const was = this.#offline;
    this.#offline = !online;
    if (!online) this.#pause?.floor === Infinity || this.#say("offline", "offline");
    else if (was && this.isOpen) this.#cut({ kind: "woke" });
    else this.check({ hurry: true });
  }

  async #attempt(link) {
    try {
      const token = await this.#tokens.get(this.#renew);
      this.#renew = undefined;
      this.#host.authenticated();
      if (link.end) return;
      // The page may take its time for a token, as for a user to log in.
      link.askedAt = this.#env.now();
      const isSse = this.#transport === "sse";
      return await (isSse ? this.#sse(link, token, this.#sink(link)) : this.#webSocket(link, token));
    } catch (error) {
      return error.end ?? { kind: "token", message: error.message };
    }
  }

  // Of a session that broke before its snapshot was here nothing can be gone on with.
  get #resumed() {
    const { session, lastId } = this.#host.member;
    return lastId && session.token;
  }

  #sse(link, token, sink) {
    const { lastId: lastEventId } = this.#host.member;
    const { delta } = this;
    const url = this.#resumed
      ? this.#api.url("reconnect", { token: this.#resumed, lastEventId, delta })
      : this.#api.url("stream", { metrics: this.#metrics(link), lastEventId, delta });
    return followSse({ url, init: this.#api.init(token) }, sink, link.abort.signal, this.#env);
  }

  // A refused upgrade has no status that a script could see: what can be asked for before is, and after it whether
  // a stream would be refused too.
  async #webSocket(link, token) {
    const { lastId } = this.#host.member;
    const { signal } = link.abort;
    if (!this.#endpoint) {
      const { enabled, endpoint } = await this.#api.ask("websocket-info", { token, signal });
      // As if somebody in between kept it from us.
      if (!enabled) return { kind: "refused", status: 404 };
      this.#endpoint = endpoint;
    }
    const reconnectToken = this.#resumed;
    if (reconnectToken) await this.#api.ask("refresh", { body: { reconnectToken }, token, signal }).catch(isNoLonger);
    const metrics = !reconnectToken && this.#metrics(link);
    const query = { metrics, reconnectToken, lastEventId: lastId, delta: this.delta };
    const url = this.#api.url(this.#endpoint, query).replace("http", "ws");
    const protocols = token ? ["statshub", `bearer.${token}`] : [];
    const end = await followWebSocket({ url, protocols }, this.#sink(link), signal, this.#env);
    if (link.answeredAt || signal.aborted) return end;
    const why = await this.#sse(link, token, { answered: () => link.cut(end) });
    return why.status ? why : end;
  }

  get delta() {
    return this.#delta && "merge-patch";
  }

  #metrics(link) {
    let chars = 0;
    const size = (selector) => 3 + (selector.metric ? encodeURIComponent(JSON.stringify(selector)) : selector).length;
    const first = this.#host.wanted.filter((selector) => (chars += size(selector)) <= PATTERNS_CHARS_MAX);
    link.asked = first;
    return first.some(({ metric }) => metric) ? JSON.stringify(first) : first.join(",") || NOTHING;
  }

  #sink(link) {
    return {
      answered: (send) => {
        link.answeredAt = this.#env.now();
        link.send = send;
      },
      heard: () => {
        link.heardAt = this.#env.now();
        link.pingedAt = undefined;
        if (link.isLive) this.#live(link);
        this.#host.heard();
      },
      event: (event) => this.#event(link, event),
    };
  }

  #event(link, { event, data, id, retry }) {
    if (event === "cursor") this.#host.emit({ kind: "position", id });
    else if (data && !event) this.#message(link, data);
    // In a goodbye it is for those who cannot read the rest.
    if (retry && !link.end) this.#backoff.first = retry;
  }

  #message(link, text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    const { type, data, messageId } = message;
    if (isId(messageId)) {
      const whole = link.patches.whole(message);
      if (!whole) {
        this.#delta = false;
        return this.#cut({ kind: "mismatch" });
      }
      this.#host.emit({ kind: "message", message: whole });
      link.awaited--;
      return this.#settle(link);
    }
    if (type === "connection_established" || type === "reconnection_successful") this.#opened(link, message);
    else if (type === "messages_dropped") this.#dropped(data);
    else if (type === "subscribed" || type === "unsubscribed") this.#host.subscribed(data.metrics.map(canonical));
    else if (type === "metric_stale") this.#host.emit({ kind: "stale", stale: data });
    else if (type === "server_shutdown") this.#cut({ kind: "shutdown", ...data });
    else if (type === "connection_replaced") this.#cut({ kind: "replaced", message: data.message });
    else if (type === "error" && ["token_expired", "disconnected", "internal"].includes(data.code)) {
      this.#cut({ kind: "error", ...data });
    }
    this.#host.emit({ kind: "notice", message });
  }

  #opened(link, { data, timestamp }) {
    const { connectionId, userId, reconnectToken: token, resumed, staleMetrics = [] } = data;
    const metrics = data.metrics.map(canonical);
    this.#tokens.hubTime = timestamp;
    this.#renewed = false;
    this.#failures = 0;
    link.openAt = this.#env.now();
    const { lastId } = this.#host.member;
    link.reason = lastId ? "resumed" : "opened";
    // "Live" is for when the last of what was missed is here.
    link.awaited = resumed ? data.replayedMessagesCount : 1;
    const connection = { connectionId, userId, transport: this.#transport };
    this.#host.emit({ kind: "session", session: { token, metrics, connection } });
    // By a cookie, which is not seen here. What would come goes on after the other one's position.
    if (lastId !== this.#host.member.lastId) return this.#cut({ kind: "refused", status: 410, code: "user" });
    if (resumed) this.#host.emit({ kind: "overdue", metrics: staleMetrics });
    if (resumed && data.droppedMessagesCount) this.#dropped(data);
    this.#settle(link);
    this.#host.opened();
    this.#renewLater(link);
  }

  #dropped({ droppedMessagesCount, droppedByPriority = {}, droppedMetrics = [] }) {
    const receipt = { droppedMessagesCount, droppedByPriority, droppedMetrics, gap: false };
    this.#host.emit({ kind: "dropped", receipt });
    this.#host.lost();
  }

  #settle(link) {
    if (!link.isLive && link.openAt && !(link.awaited > 0)) this.#live(link);
  }

  #live(link) {
    link.isLive = true;
    this.#say("live", link.reason);
  }

  #renewLater(link) {
    const inMs = this.#tokens.renewInMs;
    if (inMs === Infinity) return;
    const renew = () => (inMs > DAY_MS ? this.#renewLater(link) : this.#renewNow(link));
    link.renewal = this.#env.setTimeout(renew, Math.min(Math.max(inMs, RENEW_MIN_MS), DAY_MS));
  }

  // Where that fails the stream ends at `exp`, and the next one begins with a fresh token.
  async #renewNow(link) {
    try {
      const token = await this.#tokens.get("expiring");
      this.#host.authenticated();
      if (link !== this.#link || link.end) return;
      const reconnectToken = this.#host.member.session.token;
      if (link.send) link.send({ type: "refresh", data: { token } });
      else await this.#api.ask("refresh", { body: { reconnectToken }, token });
    } catch {}
    if (link === this.#link) this.#renewLater(link);
  }

  #doubt(reason) {
    this.#say("stale", reason);
    this.#cut({ kind: reason });
  }

  #cut(end) {
    if (!this.#link || this.#link.end) return;
    this.#link.end = end;
    this.#link.cut(end);
    this.#link.abort.abort();
  }

  async #obey(verdict, link) {
    const now = this.#env.now();
    if (link.openAt && now - link.openAt > LASTED_MS) {
      this.#atOnce = 0;
      this.#backoff.reset();
    }
    if (verdict.renew) {
      this.#renew = verdict.renew;
      this.#renewed = verdict.renew === "unauthenticated";
    }
    if (verdict.forget) this.#host.emit({ kind: "session", session: { ...this.#host.member.session, token: null } });
    this.#choose(verdict, link);
    const isNow = verdict.now && this.#atOnce < AT_ONCE_MAX;
    if (isNow) this.#atOnce++;
    const exactly = verdict.final ? Infinity : verdict.exactlyMs;
    const wait = exactly ?? (isNow ? 0 : this.#backoff.next(verdict.floorMs));
    const floor = now + (exactly ?? verdict.floorMs ?? 0);
    const state = verdict.state ?? (this.#offline ? "offline" : this.#host.member.lastId ? "resuming" : "connecting");
    const { reason, message } = verdict;
    if (!isNow && OF_TOKENS.includes(reason)) this.#host.refused();
    if (this.#stopped) return;
    this.#say(state, reason, message, { retryAt: wait && wait !== Infinity ? now + wait : null, final: verdict.final });
    if (wait) await this.#wait(wait, floor);
  }

  // The other transport where this one is kept back, and turn about where nothing gets through at all.
  #choose({ reason, other }, link) {
    const isSilent = reason === "silent" && ++this.#silences % 2 === 0;
    if (link.openAt && this.#env.now() - link.openAt > 2 * SILENT_MS) this.#silences = 0;
    const turn = isSilent || (!link.openAt && reason === "network" && ++this.#failures % 2 === 0);
    if (this.#auto && (other || turn) && this.#env.WebSocket) {
      this.#transport = this.#transport === "sse" ? "websocket" : "sse";
    }
  }

  async #wait(ms, floor) {
    const { now, setTimeout, clearTimeout } = this.#env;
    await new Promise((/** @type {(value?: any) => void} */ resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
      const end = () => (clearTimeout(timer), resolve());
      this.#pause = { until: now() + ms, floor, end };
    });
    this.#pause = null;
    if (this.#stopped) return;
    const { state, reason, message } = this.#host.member.status;
    this.#say(state, reason, message);
  }

  /** @type {(state: string, reason: string, message?: string, more?: { retryAt: number | null, final?: boolean }) => void} */
  #say(state, reason, message, more) {
    this.#host.emit({ kind: "status", status: { state, reason, message, ...more } });
  }
}

import { Api } from "./api.js";
import { ASLEEP_MS, SILENT_MS } from "./connector.js";
import { StatshubError } from "./error.js";
import { Leader } from "./leader.js";
import { Member } from "./member.js";
import { checked, isSame, newest, patternOf } from "./pattern.js";
import { Tabs } from "./tabs.js";
import { Tokens } from "./tokens.js";

// It hands on that the hub was heard, which speaks every 15 s. One that hears nothing is asked.
const LEADER_SILENT_MS = SILENT_MS + 5000;
const LEADER_ANSWER_MS = 3000;
const TICK_MS = 1000;

// What a page has in hand.
export class Hub {
  #env;
  #transport;
  #delta;
  #shared;
  #root;
  #tokens;
  #member;
  #listeners = new Set();
  #tabs;
  #leader;
  #closed;
  // Of the leader, for a tab that is none: when it was heard last, and what it was asked.
  #heardAt = 0;
  #askedAt;
  #waiting = new Map();
  #number = 0;
  #tickedAt;
  #isLate;
  #sleptAt;
  #timer;
  // In the back-forward cache, or gone.
  #away;
  #listening = new AbortController();

  /**
   * @param {{ url: string, metrics?: any[], getToken?: Function, transport?: string, shared?: boolean | string, delta?: boolean }} options
   * @param {Record<string, any>} env what the browser gives
   */
  constructor({ url, metrics = ["**"], getToken, transport = "auto", shared = true, delta = true }, env) {
    this.#env = env;
    this.#root = url;
    this.#transport = transport;
    this.#delta = delta;
    this.#shared = shared;
    this.#tokens = new Tokens(getToken, env);
    this.#member = new Member(checked(metrics), env, (name, data, message) => this.#tell(name, data, message));
    this.#listen();
    this.#tickedAt = env.now();
    this.#timer = env.setInterval(() => this.#tick(), TICK_MS);
    queueMicrotask(() => this.#join());
  }

  get state() {
    return this.#member.status.state;
  }

  get reason() {
    return this.#member.status.reason;
  }

  get status() {
    return this.#member.status;
  }

  get metrics() {
    return this.#member.values.visible;
  }

  get connection() {
    const { connection, metrics } = this.#member.session;
    const isThere = connection && this.state !== "closed";
    return isThere ? { ...connection, metrics, leader: Boolean(this.#leader) } : null;
  }

  get(metric) {
    return this.metrics.get(metric);
  }

  on(name, listener) {
    // The same function may listen twice, and each be ended alone.
    const entry = [name, listener];
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  async subscribe(metrics) {
    return this.#want(newest([...this.#member.patterns, ...checked(metrics)]));
  }

  async unsubscribe(metrics) {
    const without = checked(metrics).map(patternOf);
    return this.#want(this.#member.patterns.filter((selector) => !without.includes(patternOf(selector))));
  }

  reconnect() {
    if (this.#leader) this.#leader.connector.check({ force: true });
    else this.#hello({ force: true });
  }

  close() {
    this.#closed = true;
    this.#env.clearInterval(this.#timer);
    this.#listening.abort();
    this.#leave();
    this.#done(Infinity);
    this.#member.apply({ kind: "status", status: { state: "closed", reason: "closed" } });
  }

  // Everything below is how it comes to that.

  async #want(patterns) {
    const before = this.#member.patterns;
    this.#member.patterns = patterns;
    const asked = (done) => {
      this.#waiting.set(++this.#number, done);
      this.#hello();
    };
    const refusal = await (this.#leader?.want(patterns) ?? (this.#tabs && new Promise(asked)));
    if (!refusal) return patterns;
    if (this.#member.patterns === patterns) this.#member.patterns = before;
    throw new StatshubError(refusal.message, refusal.code, refusal.status, refusal.details);
  }

  // Of what this tab wants already the hub does not take one thing: the rest is as it was.
  #leftOut({ selector, message, code, details }) {
    const { patterns } = this.#member;
    const left = patterns.filter((it) => !isSame(it, selector));
    if (left.length === patterns.length) return;
    this.#member.patterns = left;
    if (!this.#leader) this.#hello();
    this.#tell("error", { message, code, details });
  }

  // Who shares with whom is by the user, and who that is by the token. Without one it is alone, and asks for it again.
  async #join() {
    const { locks } = this.#env;
    if (this.#closed) return;
    await this.#tokens.get().catch(() => {});
    const named = this.#shared === true ? this.#tokens.subject : this.#shared;
    if (this.#closed || this.#tabs || this.#away) return;
    // A build names what tabs tell each other as it likes: those with other names do not understand each other.
    const words = { kind: 0, from: 0, term: 0, lastId: 0 };
    const name = JSON.stringify(["statshub 2", words, this.#root, this.#transport, named]);
    this.#tabs = new Tabs(name, this.#env, {
      lead: () => this.#lead(),
      lost: () => this.#follow(),
      hear: (message) => this.#hear(message),
    });
    try {
      if (!named || !locks) throw 0;
      this.#tabs.join();
    } catch {
      // Alone: it cannot, or where storage is blocked may not, talk to others.
      return this.#lead();
    }
    this.#heardAt = this.#env.now();
    this.#hello();
  }

  #leave() {
    this.#leader?.stop();
    this.#leader = null;
    this.#tabs?.leave();
    this.#tabs = null;
  }

  #lead() {
    this.#leader = new Leader({
      member: this.#member,
      tabs: this.#tabs,
      api: new Api(this.#root, this.#tokens, this.#env),
      tokens: this.#tokens,
      env: this.#env,
      transport: this.#transport,
      delta: this.#delta,
      changedUser: () => this.#changeUser(),
      leftOut: (refusal) => this.#leftOut(refusal),
    });
    this.#done(Infinity);
    this.#askedAt = null;
    this.#leader.start();
  }

  #follow() {
    this.#leader.stop();
    this.#leader = null;
    this.#hello();
  }

  // Nothing that was the last one's may be seen by this one, and the other tabs are not his.
  #changeUser() {
    this.#leave();
    this.#member.forget();
    this.#member.apply({ kind: "status", status: { state: "connecting", reason: "start" } });
    this.#join();
  }

  #hello(more) {
    this.#askedAt ??= this.#env.now();
    const { patterns, lastId, refusedAt } = this.#member;
    this.#tabs?.post({ kind: "hello", patterns, lastId, refusedAt, number: this.#number, ...more });
  }

  #hear(message) {
    if (this.#leader) return this.#leader.hear(message);
    const { kind, number, term } = message;
    // One that was blocked may not know yet that the connection was taken from it.
    if (["hello", "here", "bye"].includes(kind) || term < this.#tabs.term) return;
    this.#tabs.term = term;
    this.#heardAt = this.#env.now();
    if (kind === "leader") return this.#hello();
    if (kind === "beat") return this.#tabs.post({ kind: "here" });
    if (kind === "done") return this.#done(number, message.refusal);
    if (kind === "sync") {
      this.#askedAt = null;
      return this.#member.sync(message);
    }
    if (this.#member.apply(message) === "missed") this.#hello();
  }

  #done(upTo, refusal) {
    const those = [...this.#waiting].filter(([number]) => number <= upTo);
    // Nobody waits to hear of what was asked for at the start.
    if (!those.length && refusal?.selector) this.#leftOut(refusal);
    for (const [number, done] of those) {
      this.#waiting.delete(number);
      done(refusal);
    }
  }

  #tick(hurry) {
    const now = this.#env.now();
    const isLate = now - this.#tickedAt > ASLEEP_MS;
    // One late tick after the other is no sleep: the timers of a hidden tab are slowed down.
    if (isLate && !this.#isLate) this.#sleptAt = now;
    this.#isLate = isLate;
    this.#tickedAt = now;
    const sleptAt = this.#isSeen ? this.#sleptAt : undefined;
    if (this.#leader) this.#leader.connector.check({ sleptAt, hurry });
    else if (this.#tabs) this.#watch(now, sleptAt);
  }

  // The leader's timers may sleep, if its tab is hidden, and the whole tab; this one's do not, if it is seen.
  #watch(now, sleptAt) {
    const { state, retryAt } = this.#member.status;
    if (this.#askedAt && now - this.#askedAt > LEADER_ANSWER_MS) {
      this.#askedAt = null;
      return this.#tabs.steal();
    }
    const slept = sleptAt > this.#heardAt;
    if (slept && state === "live") this.#stale();
    if (slept || now - this.#heardAt > LEADER_SILENT_MS || (retryAt && now > retryAt + TICK_MS)) this.#hello({ sleptAt });
  }

  get #isSeen() {
    return this.#env.target?.document?.visibilityState !== "hidden";
  }

  #stale() {
    this.#member.apply({ kind: "status", status: { state: "stale", reason: "woke" } });
  }

  #listen() {
    const { target } = this.#env;
    const isWaking = () => {
      if (this.#isSeen) this.#tick(true);
    };
    // Into the back-forward cache, perhaps, where a lock or an open stream would keep it from going; or frozen, when
    // it could neither talk to the hub nor let another tab do it.
    const leave = () => {
      this.#away = true;
      this.#leave();
    };
    const comeBack = () => {
      if (!this.#away) return;
      this.#away = false;
      const { lastId, status } = this.#member;
      if (lastId && !status.final) this.#stale();
      this.#join();
    };
    const network = () => this.#leader && (this.#leader.connector.online = target.navigator.onLine);
    const handlers = {
      online: network,
      offline: network,
      visibilitychange: isWaking,
      pagehide: leave,
      freeze: leave,
      pageshow: comeBack,
      resume: comeBack,
    };
    // Those two are the document's and do not bubble: on the way down they pass here.
    const how = { signal: this.#listening.signal, capture: true };
    for (const [name, handler] of Object.entries(handlers)) target?.addEventListener(name, handler, how);
  }

  #tell(name, data, message) {
    for (const [wanted, listener] of [...this.#listeners]) {
      try {
        if (wanted === name) listener(data, message);
      } catch (error) {
        // As an event's listener would: for the page's error handling, and nobody else.
        this.#env.report(error);
      }
    }
  }
}

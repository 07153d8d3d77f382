import { Connector, PATTERNS_CHARS_MAX } from "./connector.js";
import { admits, PATTERNS_MAX, union } from "./pattern.js";

// As long as the other tabs have to say what they want, they have what they had.
const PREDECESSOR_MS = 3000;
const BEAT_MS = 5000;
const AGAIN_MS = 5000;
const PREDECESSOR = "";

// The tab that holds the connection: asks for what all tabs want, and hands out what comes.
export class Leader {
  member;
  #tabs;
  #api;
  #tokens;
  #env;
  #connector;
  // By tab.
  #wants = new Map();
  #user;
  #changedUser;
  #adjusting = Promise.resolve();
  // Patterns whose latest values are to be asked for.
  #outdated = [];
  #beatAt = 0;
  #stopped = false;

  constructor({ member, tabs, api, tokens, env, transport, changedUser }) {
    this.member = member;
    this.#tabs = tabs;
    this.#api = api;
    this.#tokens = tokens;
    this.#env = env;
    this.#user = tokens.subject;
    this.#changedUser = changedUser;
    this.#wants.set(tabs.id, member.patterns);
    this.#connector = new Connector({ api, tokens, env, transport, host: this });
  }

  start() {
    const { session, status, lastId } = this.member;
    if (session.metrics.length) {
      this.#wants.set(PREDECESSOR, session.metrics);
      this.#env.setTimeout(() => this.#unwant(PREDECESSOR), PREDECESSOR_MS);
    }
    if (lastId && status.state === "live") this.emit({ kind: "status", status: { state: "resuming", reason: "handover" } });
    this.#tabs.post({ kind: "leader" });
    this.#connector.run();
  }

  stop() {
    this.#stopped = true;
    this.#connector.stop();
  }

  check(how) {
    this.#connector.check(how);
  }

  set online(online) {
    this.#connector.online = online;
  }

  // Resolves when the hub knows; at once while there is no stream, since the next will ask for it.
  want(patterns, tab = this.#tabs.id) {
    this.#wants.set(tab, patterns);
    return this.#adjust();
  }

  // What other tabs say.
  async hear({ kind, from, patterns, lastId, number, reason, force }) {
    if (kind === "bye") return this.#unwant(from);
    if (kind !== "hello") return;
    this.check({ reason, hurry: force, force });
    this.#tabs.post({ kind: "sync", to: from, ...this.member.syncFrom(lastId) });
    await this.want(patterns, from);
    this.#tabs.post({ kind: "done", to: from, number });
  }

  // What the connector asks and tells.

  get wanted() {
    return union(this.#wants.values());
  }

  emit(event) {
    if (this.#stopped) return;
    if (event.kind === "notice") return this.member.notice(event.message);
    const prev = this.member.lastId;
    if (this.member.apply(event)) this.#tabs.post({ ...event, prev });
  }

  heard() {
    const now = this.#env.now();
    if (now - this.#beatAt < BEAT_MS) return;
    this.#beatAt = now;
    this.#tabs.post({ kind: "beat" });
  }

  authenticated() {
    // Before the first token nobody knew who it is.
    if (this.#user && this.#tokens.subject !== this.#user) this.#changedUser();
    this.#user = this.#tokens.subject;
  }

  opened() {
    this.#adjust();
  }

  subscribed(metrics) {
    this.emit({ kind: "session", session: { ...this.member.session, metrics } });
    this.#adjust();
  }

  // What was dropped may have been the newest of its metric.
  lost() {
    this.#outdated = this.wanted;
    this.#adjust();
  }

  #unwant(tab) {
    if (this.#wants.delete(tab)) this.#adjust();
  }

  #adjust() {
    return (this.#adjusting = this.#adjusting.then(() => this.#compare()));
  }

  // One request after the other, until the hub's subscription is what is wanted.
  async #compare() {
    while (!this.#stopped && this.#connector.isOpen) {
      const { token: reconnectToken, metrics: there } = this.member.session;
      const { wanted } = this;
      const more = wanted.filter((pattern) => !there.includes(pattern));
      const less = there.filter((pattern) => !wanted.includes(pattern));
      const isMore = more.length && there.length + more.length <= PATTERNS_MAX;
      const metrics = isMore ? more : less;
      const outdated = this.#outdated;
      if (!metrics.length && !outdated.length) return;
      try {
        if (!metrics.length) {
          await this.#refresh(outdated);
          // Unless more have come meanwhile.
          if (this.#outdated === outdated) this.#outdated = [];
          continue;
        }
        const asked = this.#api.ask(isMore ? "subscribe" : "unsubscribe", { body: { metrics, reconnectToken } });
        // Of several hubs the one that has the stream may not have answered.
        if (!(await asked).connections) throw 0;
        const { session } = this.member;
        if (session.token !== reconnectToken) continue;
        const now = isMore ? [...there, ...more] : there.filter((pattern) => !less.includes(pattern));
        this.emit({ kind: "session", session: { ...session, metrics: now } });
        if (isMore) this.#outdated = [...this.#outdated, ...more];
      } catch {
        await new Promise((resolve) => this.#env.setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  async #refresh(patterns) {
    const named = patterns.join(",");
    const latest = await this.#api.ask("metrics", { query: { metrics: named.length < PATTERNS_CHARS_MAX && named } });
    const values = Object.entries(latest).filter(([metric]) => admits(patterns, metric));
    this.emit({ kind: "values", values });
  }
}

import { Connector, PATTERNS_CHARS_MAX } from "./connector.js";
import { admits, isSame, narrowest, newest, patternOf, PATTERNS_MAX, union } from "./pattern.js";
import { judge, SLOW_MS } from "./verdict.js";

// Every tab answers a beat, and every tab hears the answers: no more often than is needed.
const BEAT_MS = 8000;
const AGAIN_MS = 5000;
// Until the first beat, for the other tabs to say what they want.
const PREDECESSOR = "";

// The tab that holds the connection: asks for what all tabs want, and hands out what comes.
export class Leader {
  member;
  connector;
  #tabs;
  #api;
  #tokens;
  #env;
  // By tab.
  #wants = new Map();
  #user;
  #changedUser;
  #leftOut;
  // What the hub does not take, by its JSON; and the tabs that hear of it as the answer to what they asked.
  #refusals = new Map();
  // Whether the hub has as many forms as it may: then values are asked for as they are published.
  #isFull;
  #asking = new Set();
  #adjusting = Promise.resolve();
  // Patterns whose latest values are to be asked for.
  #outdated = [];
  #beatAt;
  // Who was heard since.
  #present = new Set();
  #stopped;

  constructor({ member, tabs, api, tokens, env, transport, delta, changedUser, leftOut }) {
    this.member = member;
    this.#tabs = tabs;
    this.#api = api;
    this.#tokens = tokens;
    this.#env = env;
    this.#beatAt = env.now();
    this.#user = tokens.subject;
    this.#changedUser = changedUser;
    this.#leftOut = leftOut;
    this.#wants.set(tabs.id, member.patterns);
    this.connector = new Connector({ api, tokens, env, transport, delta, host: this });
  }

  start() {
    const { session, status } = this.member;
    this.#wants.set(PREDECESSOR, session.metrics);
    if (status.state === "live") this.emit({ kind: "status", status: { state: "resuming", reason: "handover" } });
    this.#tabs.post({ kind: "leader" });
    this.connector.run();
  }

  stop() {
    this.#stopped = true;
    this.connector.stop();
  }

  // Resolves when the hub knows; at once while there is no stream, since the next will ask for it. To the hub's
  // refusal where there is one: then what was wanted before is.
  async want(patterns, tab = this.#tabs.id) {
    const before = this.#wants.get(tab) ?? [];
    this.#wants.set(tab, patterns);
    const { final, reason } = this.member.status;
    if (final && reason === "invalid_request" && !isSame(patterns, before)) this.connector.check({ force: true });
    this.#asking.add(tab);
    const all = await this.#adjust();
    this.#asking.delete(tab);
    const refusal = all ?? patterns.map((it) => this.#refusals.get(JSON.stringify(it))).find(Boolean);
    if (refusal && this.#wants.get(tab) === patterns) {
      this.#wants.set(tab, before);
      // Of several the hub may have taken some.
      this.#adjust();
    }
    return refusal;
  }

  // What other tabs say.
  async hear({ kind, from, patterns, lastId, number, sleptAt, refusedAt, force }) {
    if (kind === "bye") return this.#unwant(from);
    this.#present.add(from);
    // One that was taken for dead says again what it wants.
    if (kind !== "hello") return this.#wants.has(from) || this.#tabs.post({ kind: "leader", to: from });
    this.connector.check({ sleptAt, force });
    this.#tabs.post({ kind: "sync", to: from, ...this.member.syncFrom(lastId) });
    if (this.#isTried(this.member.refusedAt) && !this.#isTried(refusedAt)) return this.#tabs.pass();
    this.#tabs.post({ kind: "done", to: from, number, refusal: await this.want(patterns, from) });
  }

  // What the connector asks and tells.

  get wanted() {
    const isTaken = (selector) => !this.#refusals.has(JSON.stringify(selector));
    const all = union([...this.#wants.values()].map((wish) => wish.filter(isTaken)));
    return this.#isFull ? all.map(patternOf) : all;
  }

  emit(event) {
    if (this.#stopped) return;
    const prev = this.member.lastId;
    if (this.member.apply(event)) this.#tabs.post({ ...event, prev });
  }

  heard() {
    const now = this.#env.now();
    if (now - this.#beatAt < BEAT_MS) return;
    this.#beatAt = now;
    // A tab may go without a word.
    for (const tab of this.#wants.keys()) if (tab !== this.#tabs.id && !this.#present.has(tab)) this.#unwant(tab);
    this.#present = new Set();
    this.#tabs.post({ kind: "beat" });
  }

  authenticated() {
    if (this.#tokens.subject !== this.#user) this.#changedUser();
  }

  // Each tab tries with its own token, before all are refused.
  refused() {
    if (this.#isTried(this.member.refusedAt)) return;
    this.member.refusedAt = this.#env.now();
    if (this.#present.size) this.#tabs.pass();
  }

  // Said to another tab, and no word on a token that this one's may be better than.
  get isFinal() {
    const { status, refusedAt } = this.member;
    return status.final && (status.reason !== "forbidden" || refusedAt);
  }

  // Not long ago: later it may be another token.
  #isTried(refusedAt) {
    return this.#env.now() - refusedAt < SLOW_MS;
  }

  opened() {
    // It may be another hub by now.
    this.#refusals.clear();
    this.#isFull = false;
    this.#adjust();
  }

  subscribed(metrics) {
    this.emit({ kind: "session", session: { ...this.member.session, metrics } });
    this.#adjust();
  }

  // Whether the hub refused something in `asked`, and there is something without it.
  leavesOut(asked, end) {
    return (this.wanted.length > 1 || !end.details) && this.#leaveOut(asked, end);
  }

  // What was dropped may have been the newest of its metric.
  lost() {
    this.#outdated = this.wanted;
    this.#adjust();
  }

  #unwant(tab) {
    if (this.#wants.delete(tab)) this.#adjust();
  }

  // Where the hub says which of `asked` it does not take, that one is not asked for any more, and who wants it is told.
  #leaveOut(asked, { code, status, message, details }) {
    const selector = asked[/^metrics\[(\d+)\]$/.exec(details?.path)?.[1]];
    if (!selector) {
      const isFull = code === "invalid_request" && asked.some(({ metric }) => metric);
      this.#isFull ||= isFull;
      return isFull;
    }
    const { path, ...more } = details;
    const refusal = {
      code, status, selector,
      message: message.replace(/^.*?: /, "Invalid metrics: "),
      details: { metric: patternOf(selector), ...more },
    };
    this.#refusals.set(JSON.stringify(selector), refusal);
    for (const [tab, wish] of this.#wants) {
      if (this.#asking.has(tab) || !wish.some((it) => isSame(it, selector))) continue;
      if (tab === this.#tabs.id) this.#leftOut(refusal);
      else this.#tabs.post({ kind: "done", to: tab, number: 0, refusal });
      this.#wants.set(tab, wish.filter((it) => !isSame(it, selector)));
    }
    return true;
  }

  #adjust() {
    return (this.#adjusting = this.#adjusting.then(() => this.#compare()));
  }

  // One request after the other, until the hub's subscription is what is wanted, or it refuses.
  async #compare() {
    while (!this.#stopped && this.connector.isOpen) {
      const { token: reconnectToken, metrics: there } = this.member.session;
      const { wanted } = this;
      // One in another form takes the place of the one that is there.
      const more = wanted.filter((selector) => !there.some((it) => isSame(it, selector)));
      const patterns = wanted.map(patternOf);
      const less = there.map(patternOf).filter((pattern) => !patterns.includes(pattern));
      const isMore = more.length && newest([...there, ...more]).length <= PATTERNS_MAX;
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
        const now = isMore ? newest([...there, ...more]) : there.filter((it) => !less.includes(patternOf(it)));
        this.emit({ kind: "session", session: { ...session, metrics: now } });
        if (isMore) this.#outdated = [...this.#outdated, ...more];
      } catch (error) {
        const { end = {} } = error;
        if (this.#leaveOut(metrics, end)) continue;
        const { final, renew, floorMs } = judge(end, true);
        if (final || renew) return end;
        await new Promise((resolve) => this.#env.setTimeout(resolve, Math.max(AGAIN_MS, floorMs ?? 0)));
      }
    }
  }

  // The hub says what values are, not which of them last met a condition: the next that does comes by itself.
  async #refresh(selectors) {
    const those = selectors.filter(({ where }) => !where);
    if (!those.length) return;
    const named = those.map(patternOf).join(",");
    const latest = await this.#api.ask("metrics", { query: { metrics: named.length < PATTERNS_CHARS_MAX && named } });
    const isWanted = ([metric, { messageId }]) => {
      const form = narrowest(this.wanted, metric);
      // What has been seen in another form is no news.
      const isKnown = form?.metric && this.member.values.all.get(metric)?.messageId === messageId;
      return admits(those, metric) && !form?.where && !isKnown;
    };
    this.emit({ kind: "values", values: Object.entries(latest).filter(isWanted) });
  }
}

import { admits } from "./pattern.js";
import { isAfter } from "./id.js";
import { Recent } from "./recent.js";
import { Values } from "./values.js";

// What every tab knows, whether it holds the connection or not: the latest values, how far it has
// got, the session that whoever comes to hold the connection goes on with.
export class Member {
  lastId = null;
  // When this tab's token was refused, unless it is live since.
  refusedAt;
  session = { token: null, metrics: [], connection: null };
  status;
  values;
  #recent = new Recent();
  #patterns;
  #env;
  #tell;

  // `tell` gets what listeners get: a name, data, and the message where there is one.
  constructor(patterns, env, tell) {
    this.#patterns = patterns;
    this.#env = env;
    this.#tell = tell;
    this.status = { state: "connecting", reason: "start", since: env.now(), retryAt: null };
    this.forget();
  }

  get patterns() {
    return this.#patterns;
  }

  set patterns(patterns) {
    this.#patterns = patterns;
    this.values.patterns = patterns;
  }

  // As if just begun: another user is here.
  forget() {
    this.lastId = null;
    this.session = { token: null, metrics: [], connection: null };
    this.#recent = new Recent();
    this.values = new Values(this.#patterns, this.#tell);
  }

  // What the connection brings. Returns whether it was news, and other tabs are to hear it too. Where
  // `prev`, the message before, has not been here, nothing is taken and `missed` returned.
  apply(event) {
    switch (event.kind) {
      case "status":
        return this.#become(event.status);
      case "session": {
        const was = this.session.connection?.userId;
        const is = event.session.connection?.userId;
        if (is && was && is !== was) this.forget();
        this.session = event.session;
        this.values.prune((metric) => admits(event.session.metrics, metric));
        return true;
      }
      case "message":
        return this.#take(event);
      case "position":
        if (isAfter(event.prev, this.lastId)) return "missed";
        if (isAfter(event.id, this.lastId)) this.lastId = event.id;
        return true;
      case "values":
        this.values.merge(event.values);
        return true;
      case "stale":
        this.values.expire(event.stale);
        return true;
      case "overdue":
        this.values.overdue = event.metrics;
        return true;
      case "dropped":
        this.#tell("dropped", event.receipt);
        return true;
      case "notice":
        // Of the connection itself, and for the tab that holds it.
        this.#tell(event.message.type, event.message.data, event.message);
    }
  }

  // For a tab that has got as far as `lastId`.
  syncFrom(lastId) {
    const { status, session } = this;
    const missed = lastId ? this.#recent.after(lastId) : [];
    return { status, session, missed, lastId: this.lastId, values: [...this.values.all] };
  }

  sync({ status, session, missed, lastId, values }) {
    this.apply({ kind: "session", session });
    if (!missed) this.#gap();
    for (const message of missed ?? []) this.apply({ kind: "message", message });
    if (isAfter(lastId, this.lastId)) {
      this.lastId = lastId;
      this.#recent = new Recent(lastId);
    }
    const there = new Map(values);
    this.values.prune((metric) => there.has(metric));
    this.values.merge(there);
    this.values.overdue = values.filter(([, { stale }]) => stale).map(([metric]) => metric);
    this.apply({ kind: "status", status });
  }

  #become(status) {
    const was = this.status;
    const since = status.state === was.state ? was.since : this.#env.now();
    const is = { retryAt: null, ...status, since };
    if (JSON.stringify(is) === JSON.stringify({ ...is, message: undefined, ...was })) return false;
    this.status = is;
    if (is.state === "live") this.refusedAt = undefined;
    this.#tell("state", is);
    return true;
  }

  #take({ message, prev }) {
    const { type, messageId, data, timestamp } = message;
    const isSnapshot = type === "initial_metrics";
    if (isSnapshot) {
      // Where we had been before: nobody knows what was between.
      if (this.lastId) this.#gap();
      this.#recent = new Recent(messageId);
      // What is not in it has no value any more, and where the hub's log has gone back, what is newer here never was.
      this.values.prune(() => false);
    } else {
      if (!isAfter(messageId, this.lastId)) return false;
      if (isAfter(prev, this.lastId)) return "missed";
      this.#recent.add(message);
    }
    this.lastId = messageId;
    if (isSnapshot || type === "metrics_update") {
      const entries = Object.entries(data);
      const isSeen = (metric) => admits(this.#patterns, metric);
      const visible = { ...message, data: Object.fromEntries(entries.filter(([metric]) => isSeen(metric))) };
      const overdue = new Set(message.stale);
      if (message.stale) visible.stale = message.stale.filter(isSeen);
      this.values.merge(
        entries.map(([metric, value]) => [metric, { value, timestamp, messageId, ...(overdue.has(metric) && { stale: true }) }]),
      );
      if (isSnapshot || Object.keys(visible.data).length) this.#publish(visible);
    } else this.#publish(message);
    return true;
  }

  #publish(message) {
    this.#tell(message.type, message.data, message);
    this.#tell("*", message.data, message);
  }

  #gap() {
    this.#tell("dropped", { droppedMessagesCount: 0, droppedByPriority: {}, droppedMetrics: [], gap: true });
  }
}

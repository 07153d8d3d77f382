// What the tabs of one origin have in common, as a browser gives it: locks and channels. And tabs that can be
// frozen or blocked, sleep, or die without a word.
import { EventEmitter } from "node:events";

class Locks {
  #queue = [];
  #holder = null;

  request(name, { signal, steal, tab }, callback) {
    return new Promise((resolve, reject) => {
      const entry = { callback, resolve, reject, tab };
      if (steal) {
        const last = this.#holder;
        last?.tab.does(() => last.reject(new DOMException("stolen", "AbortError")));
        this.#grant(entry);
        return;
      }
      this.#queue.push(entry);
      signal?.addEventListener("abort", () => {
        if (!this.#queue.includes(entry)) return;
        this.#queue = this.#queue.filter((other) => other !== entry);
        reject(signal.reason);
      });
      setImmediate(() => this.#next());
    });
  }

  // As the browser does for a tab that is gone.
  releaseAll(tab) {
    this.#queue = this.#queue.filter((entry) => entry.tab !== tab);
    if (this.#holder?.tab !== tab) return;
    this.#holder = null;
    this.#next();
  }

  #next() {
    if (!this.#holder && this.#queue.length) this.#grant(this.#queue.shift());
  }

  #grant(entry) {
    this.#holder = entry;
    Promise.resolve(entry.callback()).then((value) => {
      entry.resolve(value);
      if (this.#holder !== entry) return;
      this.#holder = null;
      this.#next();
    });
  }
}

export class Origin {
  #locks = new Map();
  #channels = new EventEmitter().setMaxListeners(0);

  tab() {
    return new Tab(this, this.#channels);
  }

  releaseAll(tab) {
    for (const locks of this.#locks.values()) locks.releaseAll(tab);
  }

  locks(name) {
    if (!this.#locks.has(name)) this.#locks.set(name, new Locks());
    return this.#locks.get(name);
  }
}

class Tab extends EventTarget {
  #dead = new AbortController();
  #timers = new Set();
  // What is to be done once it is no longer blocked.
  #held = null;
  frozen = false;
  // How far its clock is ahead.
  aheadMs = 0;
  document = { visibilityState: "visible" };
  navigator = { onLine: true };

  constructor(origin, channels) {
    super();
    const tab = this;
    const isDead = () => this.#dead.signal.aborted;
    const timer = (set, clear) => [
      (call, ms) => {
        const id = set(() => isDead() || tab.frozen || tab.does(call), ms);
        tab.#timers.add([clear, id]);
        return id;
      },
      clear,
    ];
    const [setTimer, clearTimer] = timer(setTimeout, clearTimeout);
    const [setRepeated, clearRepeated] = timer(setInterval, clearInterval);
    this.env = {
      now: () => Date.now() + tab.aheadMs,
      setTimeout: setTimer,
      clearTimeout: clearTimer,
      setInterval: setRepeated,
      clearInterval: clearRepeated,
      random: () => Math.random() / 10,
      target: this,
      fetch: (url, init) => {
        const signals = [this.#dead.signal, ...(init.signal ? [init.signal] : [])];
        return fetch(url, { ...init, signal: AbortSignal.any(signals) });
      },
      locks: { request: (name, how, callback) => origin.locks(name).request(name, { ...how, tab }, callback) },
      BroadcastChannel: class {
        onmessage = () => {};
        #hear = ({ from, data }) => from === this || tab.frozen || isDead() || tab.does(() => this.onmessage({ data }));
        constructor(name) {
          this.name = name;
          channels.on(name, this.#hear);
        }
        postMessage(data) {
          const copy = structuredClone(data);
          const send = () => setImmediate(() => channels.emit(this.name, { from: this, data: structuredClone(copy) }));
          if (!isDead() && !tab.frozen) tab.does(send);
        }
        close() {
          channels.off(this.name, this.#hear);
        }
      },
    };
    this.die = () => {
      this.#dead.abort();
      for (const [clear, id] of this.#timers) clear(id);
      setImmediate(() => origin.releaseAll(tab));
    };
  }

  // As by an alert: it does not notice anything, and what it was about to say is said afterwards.
  block() {
    this.#held = [];
  }

  unblock() {
    const held = this.#held;
    this.#held = null;
    for (const call of held) call();
  }

  does(call) {
    if (this.#held) this.#held.push(call);
    else call();
  }

  // Its machine sleeps, as the tab sees it: the clock goes on and nothing happens.
  sleep(ms) {
    this.aheadMs += ms;
  }
}

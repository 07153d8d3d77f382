// A hub that answers as the test says, in a browser whose clock the test moves.

export class FakeBrowser extends EventTarget {
  #time = 1_000_000;
  #timers = new Map();
  #ids = 0;
  document = { visibilityState: "visible" };
  navigator = { onLine: true };
  // Each request: {url, headers, signal, refuse(), answer(status, body, headers), stream()}.
  requests = [];
  sockets = [];

  constructor() {
    super();
    const browser = this;
    this.env = {
      target: this,
      now: () => this.#time,
      random: () => 1,
      setTimeout: (call, ms) => this.#set(call, ms, false),
      clearTimeout: (id) => this.#timers.delete(id),
      setInterval: (call, ms) => this.#set(call, ms, true),
      clearInterval: (id) => this.#timers.delete(id),
      fetch: (url, init) => new Promise((resolve, reject) => this.requests.push(new Request(url, init, resolve, reject))),
      WebSocket: class {
        constructor(url, protocols) {
          Object.assign(this, { url, protocols, sent: [] });
          browser.sockets.push(this);
        }
        send(text) {
          this.sent.push(JSON.parse(text));
        }
        close() {
          this.isClosed = true;
        }
      },
      locks: undefined,
      BroadcastChannel: undefined,
    };
  }

  get now() {
    return this.#time;
  }

  #set(call, ms, repeats) {
    this.#timers.set(++this.#ids, { call, at: this.#time + ms, every: repeats ? ms : null });
    return this.#ids;
  }

  // What is due happens in its order, and promises in between.
  async pass(ms) {
    const end = this.#time + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, timer] = due;
      this.#time = Math.max(this.#time, timer.at);
      if (timer.every) timer.at = this.#time + timer.every;
      else this.#timers.delete(id);
      timer.call();
    }
    this.#time = end;
    await settle();
  }

  // The clock goes on and nothing happens.
  async sleep(ms) {
    this.#time += ms;
    await this.pass(0);
  }

  async fire(name) {
    this.dispatchEvent(new Event(name));
    await settle();
  }

  // The newest request that was made and not answered.
  get asked() {
    const request = this.requests.at(-1);
    return request && !request.isAnswered ? request : null;
  }
}

const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

class Request {
  constructor(url, init, resolve, reject) {
    Object.assign(this, { url: new URL(url), init, isAnswered: false });
    this.path = this.url.pathname.split("/").at(-1);
    this.reject = reject;
    this.resolve = (response) => {
      this.isAnswered = true;
      resolve(response);
    };
    init.signal?.addEventListener("abort", () => {
      this.isAborted = true;
      reject(init.signal.reason);
    });
  }

  get query() {
    return Object.fromEntries(this.url.searchParams);
  }

  async refuse() {
    this.isAnswered = true;
    this.reject(new TypeError("failed"));
    await settle();
  }

  async answer(status, body, headers) {
    this.resolve(new Response(JSON.stringify(body), { status, headers }));
    await settle();
  }

  // The stream, with what is sent first.
  async stream(...events) {
    let controller;
    const body = new ReadableStream({ start: (it) => (controller = it) });
    this.init.signal?.addEventListener("abort", () => controller.error(new Error("aborted")));
    const send = async (...pieces) => {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      await settle();
    };
    this.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
    await settle();
    await send(...events);
    return {
      send,
      end: async () => (controller.close(), settle()),
      break: async () => (controller.error(new Error("reset")), settle()),
    };
  }
}

const TIMESTAMP = new Date(1_000_000).toISOString();
let random = 0;

export const notice = (type, data = {}) => ({ type, data, timestamp: TIMESTAMP, messageId: `x${++random}`, priority: "high" });
export const published = (messageId, type, data) => ({ type, data, timestamp: TIMESTAMP, messageId, priority: "normal" });
export const event = (message) => {
  const id = /^\d+-\d+$/.test(message.messageId) ? `id: ${message.messageId}\n` : "";
  return `${id}data: ${JSON.stringify(message)}\n\n`;
};

const OPENED = { connectionId: "c", reconnectToken: "rt", userId: "ada", metrics: ["**"], replayedMessagesCount: 0, droppedMessagesCount: 0 };

// The first words of a new stream, and of a resumed one.
export const opening = () => [
  event(notice("connection_established", { ...OPENED, resumed: false })),
  event(published("1-0", "initial_metrics", { a: 1 })),
];
export const resuming = (more) => event(notice("reconnection_successful", { ...OPENED, resumed: true, ...more }));

// The tabs of one origin that share a connection: they elect one by a lock, which the browser gives to
// the next when its holder goes, however it goes; and they talk over a channel.
export class Tabs {
  id;
  // Of the tab that holds the connection, as far as is known here: each later one has a greater number.
  term = 0;
  #name;
  #env;
  #on;
  #channel;
  #queued;
  #release;

  // Before it has joined nobody is talked to. `on`: `lead()` this tab now holds the connection, `lost()` it does not any more, `hear(message)`.
  constructor(name, env, on) {
    this.id = env.random().toString(36);
    this.#name = name;
    this.#env = env;
    this.#on = on;
  }

  join() {
    this.#channel = new this.#env.BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => {
      if ((data.to ?? this.id) === this.id) this.#on.hear(data);
    };
    this.#queue();
  }

  leave() {
    this.post({ kind: "bye" });
    this.#channel?.close();
    this.#channel = null;
    this.#queued?.abort();
    this.#release?.();
    this.#release = null;
  }

  // To the one that has waited for longest.
  pass() {
    this.#release?.();
    this.#lose();
  }

  // From a holder that answers nobody, such as a tab that the browser has frozen.
  steal() {
    this.#queued?.abort();
    this.#queue({ steal: true });
  }

  post(message) {
    this.#channel?.postMessage({ ...message, from: this.id, term: this.term });
  }

  #lose() {
    this.#release = null;
    this.#on.lost();
    this.#queue();
  }

  async #queue(how) {
    const queued = new AbortController();
    this.#queued = queued;
    let mine = false;
    const hold = () => {
      if (queued.signal.aborted) return;
      mine = true;
      this.term = Math.max(this.term + 1, this.#env.now());
      this.#on.lead();
      return new Promise((release) => (this.#release = release));
    };
    try {
      await this.#env.locks.request(this.#name, how ?? { signal: queued.signal }, hold);
    } catch {
      if (!this.#channel || (queued.signal.aborted && !mine)) return;
      if (mine) this.#lose();
      else {
        // Where locks are not for us, as in a sandboxed frame, everybody is alone.
        this.#channel.close();
        this.#channel = null;
        this.#on.lead();
      }
    }
  }
}

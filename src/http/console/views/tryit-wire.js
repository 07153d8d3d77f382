// A stream of one's own, shown as it comes over the wire, byte for byte or frame for frame. It does without the
// client library, which is there to hide what is to be seen here.

import { wordsOf } from "../errors.js";
import { written } from "../model/subscription.js";
import { session } from "../session.js";
import { choice, field, h, panel } from "../ui/dom.js";
import { clock } from "../ui/format.js";

/** @typedef {{close: () => void, send?: (text: string) => void}} Stream */

/** Pieces kept on the screen. */
const PIECES_MAX = 500;

export class Wire {
  #transport = choice({ change: () => this.#chosen() }, [["sse", "SSE"], ["websocket", "WebSocket"]]);
  #patterns = h("input", { placeholder: "every metric", autocomplete: "off", spellcheck: "false" });
  #open = h("button", { type: "button", class: "primary", click: () => this.#start() }, "Open");
  #close = h("button", { type: "button", disabled: true, click: () => this.close() }, "Close");
  #subscribe = h("button", { type: "button", disabled: true, click: () => this.#send("subscribe") }, "Subscribe");
  #unsubscribe = h("button", { type: "button", disabled: true, click: () => this.#send("unsubscribe") }, "Unsubscribe");
  #ping = h("button", { type: "button", disabled: true, click: () => this.#send("ping") }, "Ping");
  #frames = h("div", { class: "row", hidden: true }, this.#subscribe, this.#unsubscribe, this.#ping);
  #text = h("div", { class: "wire", tabindex: "0", role: "region", "aria-label": "What came over the wire" });
  /** @type {HTMLElement[]} */
  #waiting = [];
  /** @type {Stream | null} */
  #stream = null;
  element = panel("The raw stream", [],
    h("div", { class: "panel-body stack" },
      h("div", { class: "toolbar" },
        field("Transport", this.#transport), field("Metrics (patterns, separated by commas, or JSON)", this.#patterns, "grow"),
        this.#open, this.#close, this.#frames,
        h("button", { type: "button", class: "push", click: () => this.#text.replaceChildren() }, "Clear")),
      this.#text));

  #chosen() {
    this.#frames.hidden = this.#transport.value !== "websocket";
  }

  #start() {
    this.close();
    const text = this.#patterns.value.trim();
    // What is wrong with JSON the hub says.
    const query = { metrics: /^[[{]/.test(text) ? text : written(text).join() };
    this.#text.replaceChildren();
    if (this.#transport.value === "sse") this.#openSse(query);
    else this.#openWebSocket(query);
  }

  close() {
    this.#stream?.close();
    this.#is(null);
  }

  /** @param {Stream | null} stream */
  #is(stream) {
    this.#stream = stream;
    this.#open.disabled = this.#transport.disabled = stream !== null;
    this.#close.disabled = stream === null;
    for (const button of [this.#subscribe, this.#unsubscribe, this.#ping]) button.disabled = !stream?.send;
  }

  /** @param {{metrics: string}} query */
  async #openSse(query) {
    const ending = new AbortController();
    const stream = { close: () => ending.abort() };
    this.#is(stream);
    const url = session.address("stream", query);
    this.#show(`> GET ${url.pathname}${url.search}\n`, "own");
    try {
      const answer = await session.ask(url, { signal: ending.signal });
      this.#show(`< ${answer.status} ${answer.headers.get("content-type")}\n\n`, "note");
      const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
      const decoder = new TextDecoder();
      for (let piece; !(piece = await reader.read()).done; ) this.#show(decoder.decode(piece.value, { stream: true }));
      this.#show("The stream has ended.\n", "note");
    } catch (error) {
      this.#show(ending.signal.aborted ? "Closed.\n" : `${wordsOf(error)}\n`, "note");
    }
    if (this.#stream === stream) this.#is(null);
  }

  /** @param {{metrics: string}} query */
  async #openWebSocket(query) {
    const opening = { close: () => {} };
    this.#is(opening);
    try {
      const { endpoint } = await session.api("websocket-info");
      const url = new URL(`../../..${endpoint}`, session.address(""));
      url.protocol = url.protocol.replace("http", "ws");
      if (query.metrics) url.searchParams.set("metrics", query.metrics);
      this.#show(`> ${url.pathname}${url.search}\n`, "own");
      // Closed, or left, meanwhile.
      if (this.#stream !== opening) return;
      const { token } = session;
      this.#connected(new WebSocket(url, token ? ["statshub", `bearer.${token}`] : ["statshub"]));
    } catch (error) {
      this.#show(`${wordsOf(error)}\n`, "note");
      if (this.#stream === opening) this.#is(null);
    }
  }

  /** @param {WebSocket} socket */
  #connected(socket) {
    const stream = {
      close: () => socket.close(1000),
      send: (/** @type {string} */ text) => {
        socket.send(text);
        this.#show(`> ${text}\n`, "own");
      },
    };
    // Until it is open there is nothing to send, but something to close.
    const opening = { close: stream.close };
    this.#is(opening);
    socket.addEventListener("open", () => this.#stream === opening && this.#is(stream));
    socket.addEventListener("message", ({ data }) => this.#show(`${data}\n`));
    socket.addEventListener("close", ({ code, reason }) => {
      this.#show(`Closed with ${code} ${reason}\n`, "note");
      if (this.#stream === stream || this.#stream === opening) this.#is(null);
    });
  }

  /** @param {"subscribe" | "unsubscribe" | "ping"} type */
  #send(type) {
    try {
      const data = type === "ping" ? undefined : { metrics: written(this.#patterns.value) };
      this.#stream?.send?.(JSON.stringify({ type, data }));
    } catch (error) {
      this.#show(`The metrics are no JSON: ${error instanceof Error ? error.message : error}\n`, "note");
    }
  }

  /**
   * With the time in front of what is ours.
   * @param {string} text
   * @param {string} [className]
   */
  #show(text, className = "") {
    if (!this.#waiting.length) requestAnimationFrame(() => this.#write());
    const said = className ? `${clock(Date.now())} ${text}` : text;
    this.#waiting.push(h("span", { class: className }, said));
  }

  /** Stays at the end, unless somebody has scrolled away from it. */
  #write() {
    const { scrollTop, scrollHeight, clientHeight } = this.#text;
    const isAtEnd = scrollTop + clientHeight > scrollHeight - 20;
    this.#text.append(...this.#waiting.splice(0));
    while (this.#text.childElementCount > PIECES_MAX) this.#text.firstChild?.remove();
    if (isAtEnd) this.#text.scrollTop = this.#text.scrollHeight;
  }
}

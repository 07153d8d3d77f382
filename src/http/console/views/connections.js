// The sessions of all users: who, how, since when, what waits for them; and how many there were.

import { wordsOf } from "../errors.js";
import { inWords } from "../model/subscription.js";
import { session } from "../session.js";
import { LineChart } from "../ui/chart.js";
import { badge, choice, field, h, panel, say } from "../ui/dom.js";
import { ask, tell } from "../ui/dialog.js";
import { ago, moment, number } from "../ui/format.js";
import { every } from "../ui/poll.js";
import { Table } from "../ui/table.js";

/** @typedef {import("../types.js").SessionRow} SessionRow */
/** @typedef {import("../types.js").ByPriority} ByPriority */
/** @typedef {import("../types.js").Kind} Kind */

const INTERVAL_MS = 5000;
const PAGE = 50;
/** @type {Record<string, Kind>} */
const KINDS = { live: "good", lagging: "warn", away: "" };

class ConnectionsView extends HTMLElement {
  #user = h("input", { type: "search", autocomplete: "off", input: () => this.#typed() });
  #transport = choice({ change: () => this.#again() }, [["", "Both"], ["sse", "SSE"], ["websocket", "WebSocket"]]);
  #state = choice({ change: () => this.#again() }, [["", "All"], "live", "lagging", "away"]);
  #offset = 0;
  #count = h("span", { class: "quiet", role: "status" });
  #back = h("button", { type: "button", class: "small", click: () => this.#turn(-PAGE) }, "Previous");
  #on = h("button", { type: "button", class: "small", click: () => this.#turn(PAGE) }, "Next");
  #chart = LineChart.make("Connections over time");
  #table = this.#makeTable();
  #timer = 0;
  #poll = () => {};
  #asked = 0;
  #ends = [() => {}];

  connectedCallback() {
    this.append(
      panel("Over time", [], h("div", { class: "panel-body" }, this.#chart)),
      panel("Sessions", [this.#count],
        h("div", { class: "panel-body toolbar" },
          field("User (exactly)", this.#user), field("Transport", this.#transport), field("State", this.#state),
          h("div", { class: "row push" }, this.#back, this.#on)),
        this.#table.element));
    const { samples } = session;
    const draw = () => this.#chart.show([
      { name: "Open streams", points: samples.points((it) => it.totalConnections) },
      { name: "Sessions", points: samples.points((it) => it.reconnectTokensCount) },
      { name: "Messages waiting", points: samples.points((it) => it.totalBufferedMessages) },
    ]);
    samples.addEventListener("change", draw);
    draw();
    this.#ends = [
      samples.watch(),
      () => samples.removeEventListener("change", draw),
      () => this.#poll(),
      () => clearTimeout(this.#timer),
    ];
    this.#again();
  }

  disconnectedCallback() {
    for (const end of this.#ends) end();
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#again(), 300);
  }

  #again() {
    this.#offset = 0;
    this.#turn(0);
  }

  /** @param {number} by */
  #turn(by) {
    this.#offset = Math.max(0, this.#offset + by);
    this.#poll();
    this.#poll = every(INTERVAL_MS, () => this.#load());
  }

  async #load() {
    const mine = ++this.#asked;
    const query = {
      user: this.#user.value.trim(), transport: this.#transport.value, state: this.#state.value,
      offset: this.#offset, limit: PAGE,
    };
    try {
      const { connections, total } = await session.api("connections", { query });
      if (mine !== this.#asked) return;
      if (this.#offset && this.#offset >= total) return this.#again();
      this.#table.show(connections);
      const last = this.#offset + connections.length;
      say(this.#count, total ? `${this.#offset + 1} to ${last} of ${total}` : "none");
      this.#back.disabled = this.#offset === 0;
      this.#on.disabled = last >= total;
    } catch (error) {
      if (mine === this.#asked) say(this.#count, wordsOf(error));
    }
  }

  #makeTable() {
    return new Table("Sessions", /** @type {import("../ui/table.js").Column<SessionRow>[]} */ ([
      {
        title: "User",
        node: () => h("div", {}, h("div"), h("div", { class: "quiet" })),
        update: (node, row) => {
          say(node.firstChild, row.connectionId === session.hub?.connection?.connectionId ? `${row.user} (this page)` : row.user);
          say(node.lastChild, [row.remoteAddress, row.node && `node ${row.node.slice(0, 8)}`].filter(Boolean).join(" · "));
          node.title = `${row.connectionId}\n${row.userAgent ?? ""}`;
        },
      },
      { title: "Transport", text: (row) => (row.transport === "sse" ? "SSE" : "WebSocket"), className: "tight" },
      {
        title: "State",
        node: () => badge("", ""),
        update: (node, row) => {
          say(node, row.state);
          node.dataset.kind = KINDS[row.state];
        },
        className: "tight",
      },
      { title: "Since", text: (row) => moment(row.since), className: "tight" },
      { title: "Subscription", text: (row) => inWords(row.subscription), className: "lines" },
      { title: "Backlog", ...counted((row) => row.backlog) },
      { title: "Sent", text: (row) => number(row.sent), className: "number" },
      { title: "Dropped", ...counted((row) => row.dropped) },
      { title: "Last write", text: (row) => ago(row.lastWrite), className: "number" },
      {
        title: "",
        node: (current) => h("button", {
          type: "button", class: "small", "aria-label": `Disconnect ${current().user}`, click: () => this.#disconnect(current()),
        }, "Disconnect"),
        className: "number",
      },
    ]), (row) => row.connectionId, "No sessions.");
  }

  /** @param {SessionRow} row */
  async #disconnect(row) {
    const isOwn = row.connectionId === session.hub?.connection?.connectionId;
    const answer = await ask({
      title: `Disconnect ${row.user}?`,
      text: `The stream ends, and its session is forgotten: it cannot be resumed. The client is told to stay away.${
        isOwn ? " This is the connection of this page." : ""}`,
      confirm: "Disconnect",
      isDangerous: true,
    });
    if (!answer) return;
    try {
      const body = { connectionId: row.connectionId };
      const { connections } = await session.api("disconnect", { method: "POST", body });
      if (connections) tell("Disconnected.", "good");
      else tell("There was no stream of that connection any more: see whether it has come back as another.", "bad");
      this.#turn(0);
    } catch (error) {
      tell(wordsOf(error), "bad");
    }
  }
}

/**
 * A cell with how many in all, and below it how many of each priority.
 * @param {(row: SessionRow) => ByPriority} pick
 */
function counted(pick) {
  const update = (/** @type {HTMLElement} */ node, /** @type {SessionRow} */ row) => {
    const some = Object.entries(pick(row)).filter(([, count]) => count > 0);
    say(/** @type {Node} */ (node.firstChild), number(some.reduce((sum, [, count]) => sum + count, 0)));
    say(/** @type {Node} */ (node.lastChild), some.map(([priority, count]) => `${number(count)} ${priority}`).join(", "));
  };
  return { node: () => h("div", {}, h("div"), h("div", { class: "quiet" })), update, className: "number" };
}

customElements.define("connections-view", ConnectionsView);

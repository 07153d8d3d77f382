// The newest of the audit trail: who did what, and how it ended.

import { wordsOf } from "../errors.js";
import { session } from "../session.js";
import { badge, choice, field, h, panel, say } from "../ui/dom.js";
import { moment } from "../ui/format.js";
import { every } from "../ui/poll.js";
import { Table } from "../ui/table.js";

/** @typedef {import("../types.js").AuditEvent} AuditEvent */

const INTERVAL_MS = 3000;
const PAGE = 100;
/** So that a page left open does not grow without end. */
const SHOWN_MAX = 1000;

const READS = [
  "read_connections", "read_stats", "read_metrics", "read_history", "export", "read_alerts", "read_audit",
  "read_rules", "test_rule", "read_silences", "read_notifications", "explain",
];
const DEEDS = [
  "connect", "resume", "disconnect", "subscribe", "unsubscribe", "publish", "alert", "test_connection", "ticket", "refresh",
  "operator_disconnect", "acknowledge_alert", "resolve_alert", "set_rule", "delete_rule", "add_silence",
  "delete_silence", "retry_notification", "drop_notification", "denied", "denied_more", "start", "reload", "stop", "events_lost",
];

class AuditView extends HTMLElement {
  #action = choice({ change: () => this.#again() },
    [["deeds", "All but reading"], ["", "Everything"], ...[...DEEDS, ...READS].map((it) => /** @type {[string, string]} */ ([it, it]))]);
  #actor = h("input", { type: "search", autocomplete: "off", input: () => this.#typed() });
  #outcome = choice({ change: () => this.#again() }, [["", "All"], ["ok", "ok"], ["refused", "refused"]]);
  #follows = h("input", { type: "checkbox", checked: true, change: () => this.#follow() });
  #note = h("span", { class: "quiet", role: "status" });
  #more = h("button", { type: "button", hidden: true, click: () => this.#older() }, "Older");
  #table = makeTable();
  /** The newest first. @type {AuditEvent[]} */
  #events = [];
  /** @type {string | null} */
  #cursor = null;
  #timer = 0;
  #asked = 0;
  #poll = () => {};

  connectedCallback() {
    this.append(panel("Audit trail", [this.#note],
      h("div", { class: "panel-body toolbar" },
        field("Action", this.#action), field("Actor (exactly)", this.#actor), field("Outcome", this.#outcome),
        h("label", { class: "check push" }, this.#follows, "Follow")),
      this.#table.element,
      h("div", { class: "panel-body" }, this.#more)));
    this.#again();
  }

  disconnectedCallback() {
    this.#poll();
    clearTimeout(this.#timer);
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#again(), 300);
  }

  async #again() {
    this.#events = [];
    this.#poll();
    await this.#load("");
    this.#follow();
  }

  #follow() {
    this.#poll();
    if (this.#follows.checked && this.isConnected) this.#poll = every(INTERVAL_MS, () => this.#load(""));
  }

  async #older() {
    if (this.#cursor) await this.#load(this.#cursor);
  }

  /** @param {string} cursor empty: the newest */
  async #load(cursor) {
    const mine = ++this.#asked;
    const action = this.#action.value === "deeds" ? DEEDS.join() : this.#action.value;
    const query = { action, actor: this.#actor.value.trim(), outcome: this.#outcome.value, limit: PAGE, cursor };
    try {
      const { events, nextCursor } = await session.api("audit", { query });
      if (mine !== this.#asked) return;
      const known = new Set(this.#events.map(({ id }) => id));
      const fresh = /** @type {AuditEvent[]} */ (events).filter(({ id }) => !known.has(id));
      // More may have come than one page holds: then what is shown would have a hole, and begins anew.
      const joins = this.#events.length > 0 && (!events.length || fresh.length < events.length);
      if (cursor) this.#events = [...this.#events, ...fresh];
      else this.#events = joins ? [...fresh, ...this.#events].slice(0, SHOWN_MAX) : events;
      if (cursor || !joins) this.#cursor = nextCursor;
      this.#show();
    } catch (error) {
      if (mine === this.#asked) say(this.#note, wordsOf(error));
    }
  }

  #show() {
    this.#table.show(this.#events);
    this.#more.hidden = !this.#cursor || this.#events.length >= SHOWN_MAX;
    say(this.#note, `${this.#events.length} shown`);
  }
}

function makeTable() {
  return new Table("Events", /** @type {import("../ui/table.js").Column<AuditEvent>[]} */ ([
    { title: "Time", text: (row) => moment(row.time), className: "tight" },
    { title: "Actor", text: (row) => row.actor ?? "–" },
    { title: "Action", text: (row) => row.action, className: "tight" },
    { title: "Target", text: (row) => row.target ?? "–" },
    {
      title: "Outcome",
      node: () => badge("", ""),
      update: (node, row) => {
        say(node, row.outcome);
        node.dataset.kind = row.outcome === "ok" ? "good" : "bad";
      },
      className: "tight",
    },
    { title: "Address", text: (row) => row.remote ?? "–", className: "tight" },
    { title: "Details", text: (row) => (row.details === undefined ? "" : JSON.stringify(row.details)) },
    { title: "Number", text: (row) => row.id, className: "number" },
  ]), (row) => String(row.id), "No such events.");
}

customElements.define("audit-view", AuditView);

// What webhooks were told, are yet to be told, and could not be told.

import { wordsOf } from "../errors.js";
import { session } from "../session.js";
import { badge, choice, h, panel, say } from "../ui/dom.js";
import { ask, tell } from "../ui/dialog.js";
import { moment, number } from "../ui/format.js";
import { Table } from "../ui/table.js";

/** @typedef {import("../types.js").Notification} Notification */
/** @typedef {import("../types.js").Kind} Kind */

/** @type {Record<Notification["status"], Kind>} */
const KINDS = { pending: "warn", dead: "bad", delivered: "good" };
/** Rows that a browser shows without effort. */
const SHOWN_MAX = 200;

export class NotificationsPanel {
  #which = choice({ "aria-label": "Which", change: () => this.load() },
    [["waiting", "Pending and dead"], ["recent", "Delivered lately"]]);
  #count = h("span", { class: "quiet", role: "status" });
  #table = makeTable(
    (id) => this.#change(`notifications/${encodeURIComponent(id)}/retry`, "POST", "It is tried again."),
    (row) => this.#drop(row));
  #asked = 0;
  element = panel("Notifications", [this.#count, this.#which], this.#table.element);

  async load() {
    const mine = ++this.#asked;
    try {
      const { pending, dead, recent } = await session.api("notifications");
      if (mine !== this.#asked) return;
      /** @type {Notification[]} */
      const rows = this.#which.value === "recent" ? recent : [...dead, ...pending];
      this.#table.show(rows.slice(0, SHOWN_MAX));
      const more = rows.length > SHOWN_MAX ? `, the first ${SHOWN_MAX} shown` : "";
      say(this.#count, `${number(pending.length)} pending, ${number(dead.length)} dead${more}`);
    } catch (error) {
      if (mine === this.#asked) say(this.#count, wordsOf(error));
    }
  }

  /** @param {Notification} row */
  async #drop({ id, webhook, alert, metric }) {
    const isSure = await ask({
      title: `Drop the notification of ${alert} on ${metric}?`,
      text: `${webhook} is never told of it.`,
      confirm: "Drop",
      isDangerous: true,
    });
    if (isSure) await this.#change(`notifications/${encodeURIComponent(id)}`, "DELETE", "Dropped.");
  }

  /**
   * @param {string} path
   * @param {"POST" | "DELETE"} method
   * @param {string} done
   */
  async #change(path, method, done) {
    try {
      await session.api(path, { method });
      tell(done, "good");
    } catch (error) {
      tell(wordsOf(error), "bad");
    }
    await this.load();
  }
}

/**
 * @param {(id: string) => void} retry
 * @param {(row: Notification) => void} drop
 */
function makeTable(retry, drop) {
  return new Table("Notifications", /** @type {import("../ui/table.js").Column<Notification>[]} */ ([
    { title: "Made", text: (row) => moment(row.createdAt), className: "tight" },
    { title: "Webhook", text: (row) => row.webhook },
    { title: "Event", text: (row) => row.event, className: "tight" },
    {
      title: "Alert",
      node: () => h("div", {}, h("div"), h("div", { class: "quiet" })),
      update: (node, row) => {
        say(node.firstChild, row.alert);
        say(node.lastChild, row.metric);
      },
    },
    {
      title: "State",
      node: () => badge("", ""),
      update: (node, row) => {
        say(node, row.status);
        node.dataset.kind = KINDS[/** @type {Notification["status"]} */ (row.status)];
      },
      className: "tight",
    },
    { title: "Attempts", text: (row) => number(row.attempts), className: "number" },
    { title: "Next or end", text: (row) => (row.dueAt ?? row.doneAt ? moment(row.dueAt ?? row.doneAt ?? 0) : "–"), className: "tight" },
    { title: "Last error", text: (row) => row.lastError ?? "" },
    {
      title: "",
      node: (current) => {
        const { alert, metric } = current();
        const button = (/** @type {string} */ verb, /** @type {() => void} */ click) =>
          h("button", { type: "button", class: "small", "aria-label": `${verb} ${alert} on ${metric}`, click }, verb);
        return h("div", { class: "actions" },
          button("Retry", () => retry(current().id)), button("Drop", () => drop(current())));
      },
      update: (node, row) => (node.hidden = row.status !== "dead"),
    },
  ]), ({ id }) => id, "None.");
}

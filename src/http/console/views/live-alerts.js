// The alerts: filtered, acknowledged, resolved.

import { wordsOf } from "../errors.js";
import { session } from "../session.js";
import { choice, h, panel, say } from "../ui/dom.js";
import { ask, tell } from "../ui/dialog.js";
import { moment } from "../ui/format.js";

/** @typedef {import("../types.js").Alert} Alert */

/** Fields that have a place of their own. */
const KNOWN = new Set([
  "alertId", "raisedAt", "state", "severity", "message", "acknowledgedBy", "acknowledgedAt", "acknowledgedNote",
  "resolvedBy", "resolvedAt", "resolvedNote",
]);

const STEPS = {
  acknowledge: { confirm: "Acknowledge", text: "Everybody who watches is told that you have seen it." },
  resolve: { confirm: "Resolve", text: "It is over. A resolved alert is not opened again." },
};

export class AlertsPanel {
  #count = h("span", { class: "quiet" });
  #state = choice({ "aria-label": "State", change: () => this.#ask() },
    [["open", "Open"], ["acknowledged", "Acknowledged"], ["resolved", "Resolved"], ["", "All states"]]);
  #severity = choice({ "aria-label": "Severity", change: () => this.#ask() },
    [["", "All severities"], "critical", "high", "medium", "low"]);
  #list = h("ol", { class: "alerts-list", tabindex: "0", "aria-label": "Alerts" });
  #note = h("p", { class: "empty" });
  #frame = 0;
  element = panel("Alerts", [this.#count], h("div", { class: "filters" }, this.#state, this.#severity), this.#list, this.#note);

  constructor() {
    this.element.classList.add("alerts");
  }

  /** @returns {() => void} ends it */
  begin() {
    const { alerts } = session;
    const later = () => {
      cancelAnimationFrame(this.#frame);
      this.#frame = requestAnimationFrame(() => this.#paint());
    };
    alerts.addEventListener("change", later);
    this.#ask();
    return () => {
      cancelAnimationFrame(this.#frame);
      alerts.removeEventListener("change", later);
    };
  }

  #ask() {
    const filter = { state: this.#state.value, severity: this.#severity.value };
    session.alerts.show(filter).catch((error) => tell(wordsOf(error), "bad"));
  }

  #paint() {
    const { list, hasMore, isKept } = session.alerts;
    const old = document.activeElement;
    const focused = this.#list.contains(old) ? /** @type {HTMLElement} */ (old).dataset.focus : undefined;
    this.#list.replaceChildren(...list.map((alert) => this.#item(alert)));
    this.#list.hidden = list.length === 0;
    if (focused) this.#list.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.closest("li")?.querySelector("button")?.focus();
    say(this.#count, list.length ? `${list.length}${hasMore ? "+" : ""}` : "");
    const notes = [
      !list.length && "None.",
      hasMore && "Older ones are not shown.",
      !isKept && "This hub keeps no alerts (store.durability is memory), so they cannot be acknowledged.",
    ];
    say(this.#note, notes.filter(Boolean).join(" "));
    this.#note.hidden = !notes.some(Boolean);
  }

  /** @param {Alert} alert */
  #item(alert) {
    const extra = Object.entries(alert).filter(([name]) => !KNOWN.has(name));
    const { isKept } = session.alerts;
    return h("li", { class: "alert", "data-severity": alert.severity, "data-alert": alert.alertId },
      h("div", { class: "top" },
        h("span", { class: "severity" }, alert.severity),
        h("time", { datetime: alert.raisedAt }, moment(alert.raisedAt)),
        h("span", { class: "state" }, alert.state)),
      h("p", {}, String(alert.message)),
      extra.length > 0 && h("p", { class: "extra" },
        extra.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ")),
      seen("Acknowledged", alert.acknowledgedBy, alert.acknowledgedAt, alert.acknowledgedNote),
      seen("Resolved", alert.resolvedBy, alert.resolvedAt, alert.resolvedNote),
      isKept && alert.state !== "resolved" && h("div", { class: "buttons" },
        alert.state === "open" && this.#button(alert, "acknowledge"),
        this.#button(alert, "resolve")));
  }

  /**
   * @param {Alert} alert
   * @param {"acknowledge" | "resolve"} step
   */
  #button(alert, step) {
    const { confirm, text } = STEPS[step];
    const click = async () => {
      const answer = await ask({ title: String(alert.message), text, confirm, note: "Note (may be left out)" });
      if (!answer) return;
      await session.alerts.take(alert, step, answer.note).catch((error) => tell(wordsOf(error), "bad"));
    };
    return h("button", { type: "button", class: "small", "data-focus": `${alert.alertId} ${step}`, click }, confirm);
  }
}

/**
 * @param {string} what
 * @param {string | null | undefined} by
 * @param {string | null} at
 * @param {string | null} note
 */
function seen(what, by, at, note) {
  if (!by) return null;
  const text = `${what} by ${by}${at ? `, ${moment(at)}` : ""}${note ? `: ${note}` : ""}`;
  return h("p", { class: "extra" }, text);
}

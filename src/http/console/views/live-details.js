// Everything that is in one metric, in a dialog that goes on living.

import { h, say } from "../ui/dom.js";
import { open } from "../ui/dialog.js";
import { ago } from "../ui/format.js";
import { pointer } from "../ui/leaves.js";
import { valueView } from "../ui/value-view.js";

/** @typedef {import("../model/metrics.js").Metric} Metric */

const AGAIN_AFTER_MS = 1000;

/** @param {Metric} metric */
export function details(metric) {
  const when = h("p", { class: "quiet" });
  const body = h("div");
  const shown = metric.traces[metric.headline];
  const query = new URLSearchParams({ metric: metric.name });
  if (shown) query.set("field", pointer(shown.leaf.path));
  const tell = () => say(when, `${ago(metric.time)}, priority ${metric.priority}${metric.isOverdue ? ", overdue" : ""}`);
  const paint = () => {
    tell();
    body.replaceChildren(valueView(metric.value));
  };
  paint();
  let painted = metric.value;
  const timer = setInterval(() => {
    tell();
    if (painted !== metric.value) paint();
    painted = metric.value;
  }, AGAIN_AFTER_MS);
  const dialog = open(
    h("div", { class: "stack" },
      h("div", { class: "head" },
        h("h2", { id: "dialog-title" }, metric.name),
        h("button", { type: "button", class: "small", click: () => dialog.close() }, "Close")),
      when, body,
      h("p", {}, h("a", { href: `#/history?${query}`, click: () => dialog.close() }, "History of this metric"))),
    () => clearInterval(timer));
}

// The React hooks, in a real page with a real React.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { reactModules } from "../../support/modules.mjs";
import { Site } from "../../support/site.mjs";
import { until } from "../../support/wait.mjs";

const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>React</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"react": "/app/react.js", "react-dom/client": "/app/react-dom/client.js",
  "statshub": "/statshub.js", "statshub/react": "/statshub-react.js"}}</script>
<div id="root"></div>
<script type="module">
  import { createElement as h, StrictMode } from "react";
  import { createRoot } from "react-dom/client";
  import { StatshubProvider, useHub, useStat } from "statshub/react";

  window.renders = {};
  function Stat({ metric }) {
    const { value, stale } = useStat(metric);
    window.renders[metric] = (window.renders[metric] ?? 0) + 1;
    return h("p", { id: metric, className: stale ? "stale" : "current" }, JSON.stringify(value) ?? "none");
  }
  function State() {
    window.hub = useHub();
    return null;
  }
  const getToken = async () => (await fetch("/app/token")).text();
  window.root = createRoot(document.getElementById("root"));
  window.root.render(h(StrictMode, null, h(StatshubProvider, { options: { getToken } },
    h(State), h(Stat, { metric: "users" }), h(Stat, { metric: "orders" }))));
</script></html>`;

const shows = (tab, metric, text, className) =>
  tab.until(
    `${metric} to be ${text}, ${className}`,
    (id, wanted, look) => {
      const element = document.getElementById(id);
      return element?.textContent === wanted && element.className === look;
    },
    metric,
    text,
    className,
  );

export function react(world) {
  describe("useStat", () => {
    test("shows the latest value, and whether it is current", async (t) => {
      const site = await Site.start(t);
      for (const [path, content] of reactModules()) site.application.pages.set(path, content);
      site.application.pages.set("/app/react", PAGE);
      await site.hub.publish("users", { active: 1 });
      const tab = await (await world.browser.person(t)).opens(site.url("/app/react"));
      await shows(tab, "users", '{"active":1}', "current");
      await shows(tab, "orders", "none", "current");
      const before = await tab.run(() => ({ ...window.renders }));
      await site.hub.publish("users", { active: 2 });
      await shows(tab, "users", '{"active":2}', "current");
      const { orders } = await tab.run(() => window.renders);
      assert.equal(orders, before.orders, "who shows another metric has nothing to render");
      await site.link.refuse();
      await shows(tab, "users", '{"active":2}', "stale");
      await site.hub.publish("users", { active: 3 });
      await site.link.accept();
      await shows(tab, "users", '{"active":3}', "current");
      await tab.run(() => window.root.unmount());
      await until("no connection", async () => (await site.hub.connections()).length === 0);
      assert.deepEqual(tab.complaints.filter((text) => !text.includes("net::ERR_CONNECTION_")), []);
    });
  });
}

// A page in TypeScript: compiles, and does not where it is wrong.

import { connect, type Hub, type State, StatshubError, type Subscription } from "statshub";
import { StatshubProvider, useHub, useStat } from "statshub/react";
import { createElement } from "react";

interface Users {
  active: number;
}

export function page(show: (metric: string, value: unknown) => void): Hub {
  const hub = connect({
    metrics: ["users", "credits.**"],
    getToken: async ({ reason }) => (await fetch(`/token?${reason}`)).text(),
    transport: "auto",
  });
  hub.on("value", ({ metric, value }) => show(metric, value));
  hub.on("system_alert", ({ severity, message }, { messageId }) => show(`${severity} ${messageId}`, message));
  hub.on("dropped", ({ droppedMessagesCount, gap }) => show("lost", gap ? "unknown" : droppedMessagesCount.toFixed()));
  const off = hub.on("state", ({ state, reason, retryAt }) => {
    const known: State = state;
    show(known, `${reason} ${retryAt?.toFixed()}`);
  });
  off();
  const patterns: Promise<Subscription[]> = hub.subscribe(["orders.*", { metric: "credits", fields: ["/balance"], maxHz: 1 }]);
  void patterns;
  show("users", hub.get<Users>("users")?.value.active.toFixed());
  hub.on("stale", ({ metric, updatedAt, ttlMs }) => show(metric, `${updatedAt} ${ttlMs?.toFixed()}`));
  hub.unsubscribe([{ metric: "credits", where: "data.balance < 10" }]).catch((error: StatshubError) => show("bad", error.details?.column?.toFixed()));
  show("users", hub.get("users")?.stale === true);
  connect({ delta: false });
  // @ts-expect-error it is a list
  hub.subscribe([{ metric: "credits", fields: "/balance" }]);
  // @ts-expect-error there is no such transport
  connect({ transport: "pigeon" });
  // @ts-expect-error nobody may set it
  hub.state = "live";
  return hub;
}

export function Active() {
  const { value, stale } = useStat<Users>("users");
  const { state } = useHub();
  return createElement("p", { className: stale ? "stale" : state }, value?.active.toFixed());
}

export const app = createElement(StatshubProvider, { options: { url: "/" } }, createElement(Active));

// A page in TypeScript: compiles, and does not where it is wrong.

import { connect, type Hub, type State } from "statshub";
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
  const patterns: Promise<string[]> = hub.subscribe(["orders.*"]);
  void patterns;
  show("users", hub.get<Users>("users")?.value.active.toFixed());
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

// statshub for React 18 and newer: a component renders when what it shows has changed.
import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { connect } from "./statshub.js";

const HubContext = createContext(null);

// `hub`: one that the page has made, and closes. Or `options`, of which it makes one when it is shown and
// closes it when it goes: in an effect, since what is rendered may never be shown.
export function StatshubProvider({ hub, options, children }) {
  const [own, setOwn] = useState(null);
  useEffect(() => {
    if (hub) return;
    const made = connect(options);
    setOwn(made);
    return () => {
      setOwn(null);
      made.close();
    };
    // Options are read once: a page that writes them in place makes new ones with each render.
  }, [hub]);
  return createElement(HubContext.Provider, { value: hub ?? own ?? NOT_YET }, children);
}

export function useHub() {
  const hub = useContext(HubContext);
  if (!hub) throw new Error("There is no StatshubProvider above this component");
  return hub;
}

export function useHubState() {
  const hub = useHub();
  const subscribe = useCallback((changed) => hub.on("state", changed), [hub]);
  return useSyncExternalStore(subscribe, () => hub.status, () => CONNECTING);
}

export function useStat(metric) {
  const hub = useHub();
  const subscribe = useCallback((changed) => {
    const offs = [
      hub.on("value", (value) => value.metric === metric && changed()),
      // A snapshot may also say that there is none any more.
      hub.on("initial_metrics", changed),
      hub.on("state", changed),
      hub.on("stale", (value) => value.metric === metric && changed()),
    ];
    return () => offs.forEach((off) => off());
  }, [hub, metric]);
  // Both are the same object, or text, until there is another: nothing else makes it render.
  const latest = useSyncExternalStore(subscribe, () => hub.get(metric), () => undefined);
  const stale = useSyncExternalStore(subscribe, () => hub.state !== "live" || Boolean(hub.get(metric)?.stale), () => true);
  return useMemo(
    () => ({ value: latest?.value, timestamp: latest?.timestamp, messageId: latest?.messageId, stale }),
    [latest, stale],
  );
}

const CONNECTING = Object.freeze({ state: "connecting", reason: "start", since: 0, retryAt: null });

// Before the provider's own is there.
const NOT_YET = {
  on: () => () => {},
  subscribe: async () => [],
  unsubscribe: async () => [],
  get: () => undefined,
  metrics: new Map(),
  state: CONNECTING.state,
  reason: CONNECTING.reason,
  status: CONNECTING,
  connection: null,
  reconnect() {},
  close() {},
};

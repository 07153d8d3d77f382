import type { ReactElement, ReactNode } from "react";
import type { Hub, Options, StateChange } from "./statshub.js";

export interface ProviderProps {
  /** A hub that the page has made; it stays the page's to close. */
  hub?: Hub;
  /** Or what to make one of. Read once; the hub is closed when the provider leaves. */
  options?: Options;
  children?: ReactNode;
}

/** Makes one hub known to everything below it. */
export function StatshubProvider(props: ProviderProps): ReactElement;

/** The provider's hub. */
export function useHub(): Hub;

/** State and reason of the connection; renders when they change. */
export function useHubState(): Readonly<StateChange>;

export interface Stat<T = any> {
  /** `undefined` until there is one. */
  value: T | undefined;
  timestamp: string | undefined;
  messageId: string | undefined;
  /** Whether the value may be out of date: the hub is not live, or the value itself overdue. */
  stale: boolean;
}

/** The latest value of one metric; renders when it changes, or when it becomes stale or current again, and for nothing else. */
export function useStat<T = any>(metric: string): Stat<T>;

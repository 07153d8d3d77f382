/**
 * statshub in the browser: one connection to the hub that stays, and says honestly when it does not.
 *
 * @example
 * import { connect } from "/statshub.js";
 * const hub = connect({ getToken: async () => (await fetch("/my/token")).text() });
 * hub.on("value", ({ metric, value }) => show(metric, value));
 * hub.on("state", ({ state, reason }) => badge(state, reason));
 *
 * @packageDocumentation
 */

/** Any JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type Priority = "critical" | "high" | "normal" | "low";

/** A message as it came over the wire, the same on both transports. */
export interface Message<Type extends string = string, Data = any> {
  type: Type;
  data: Data;
  /** RFC 3339, UTC, with milliseconds. */
  timestamp: string;
  /** `<milliseconds>-<sequence>`, strictly increasing; random in messages about the connection itself. */
  messageId: string;
  priority: Priority;
}

export interface SystemAlert {
  severity: "critical" | "high" | "medium" | "low";
  message: string;
  [field: string]: Json | undefined;
}

/** What each published type of message carries. */
export interface Published {
  /** The latest value of every subscribed metric that has one. Replaces what was known of them. */
  initial_metrics: Record<string, any>;
  /** One metric and its new value. */
  metrics_update: Record<string, any>;
  system_alert: SystemAlert;
  test_message: { message: string; timestamp: string };
}

/** What the messages about the connection itself carry. Only the tab that holds the connection hears them. */
export interface Notices {
  connection_established: Opened;
  reconnection_successful: Opened & { previousConnectionId: string; bufferedMessagesCount: number };
  heartbeat: {};
  subscribed: { message: string; metrics: string[] };
  unsubscribed: { message: string; metrics: string[] };
  pong: { timestamp: string };
  refreshed: { expiresAt: string };
  messages_dropped: { droppedMessagesCount: number };
  connection_replaced: {};
  server_shutdown: { reconnectInMs: number };
  error: { message: string; code: string };
}

export interface Opened {
  connectionId: string;
  userId: string;
  message: string;
  /** The subscription of the connection, which serves all tabs. */
  metrics: string[];
  resumed: boolean;
  replayedMessagesCount: number;
  droppedMessagesCount: number;
}

/**
 * - `connecting`: no stream was open yet.
 * - `live`: what {@link Hub.get} gives is current.
 * - `resuming`: the connection is lost and being made again; values are as old as {@link StateChange.since}.
 * - `stale`: the connection may be dead (nothing was heard for too long, or the machine was asleep, for ten seconds or more);
 *   being probed.
 * - `offline`: the browser says that there is no network.
 * - `refused`: the hub does not let us in, with the token of none of the tabs; {@link StateChange.retryAt} says whether it is
 *   asked again.
 * - `closed`: {@link Hub.close} was called, or the hub wants us to stay away.
 */
export type State = "connecting" | "live" | "resuming" | "stale" | "offline" | "refused" | "closed";

/**
 * Why.
 * - `start`, `opened`, `resumed`, `handover` (another tab takes over the connection): all is well;
 * - `network` (it broke, or cannot be made), `ended` (without a reason), `silent` (no sign of life for too long),
 *   `woke` (the page or machine slept), `offline`, `shutdown` (the hub restarts): it comes back by itself;
 * - `token_expired`, `token_unavailable` (`getToken` failed): it asks `getToken` again;
 * - `unauthenticated`, `forbidden`, `connection_limit`, `rate_limited`, `unavailable`, `invalid_request`, `not_found`, …:
 *   the hub's own code for its refusal;
 * - `replaced` (the session was resumed elsewhere): it begins another one;
 * - `disconnected` (by an operator, or the role is gone), `closed` (by {@link Hub.close}): it stays away.
 */
export type Reason =
  | "start" | "opened" | "resumed" | "handover"
  | "network" | "ended" | "silent" | "woke" | "offline" | "shutdown"
  | "token_expired" | "token_unavailable"
  | "unauthenticated" | "forbidden" | "connection_limit" | "rate_limited" | "unavailable" | "invalid_request" | "not_found"
  | "replaced" | "disconnected" | "closed"
  | (string & {});

export interface StateChange {
  state: State;
  reason: Reason;
  /** The hub's text for people, where it gave one. */
  message?: string;
  /** When this state began, in milliseconds since 1970. */
  since: number;
  /** When the next attempt is due, in milliseconds since 1970; `null` while one is under way or where none will be made. */
  retryAt: number | null;
  /**
   * Present where no attempt will be made before {@link Hub.reconnect}, in whichever tab; but with `forbidden`, a tab that comes
   * later tries with its own token.
   */
  final?: boolean;
}

/** What will not be delivered any more. */
export interface Dropped {
  /** How many; with `gap` at least so many. */
  droppedMessagesCount: number;
  droppedByPriority: Partial<Record<Priority, number>>;
  /** Names, at most 100. */
  droppedMetrics: string[];
  /**
   * Whether the number is unknown, because neither the hub nor another tab could go on from where this tab was. The values
   * are current again all the same: a snapshot follows.
   */
  gap: boolean;
}

/** The latest value of a metric. The same object until there is another. */
export interface Value<T = any> {
  value: T;
  /** RFC 3339, UTC; of a value out of a snapshot the snapshot's, an upper bound. */
  timestamp: string;
  /** Of the message that brought it. */
  messageId: string;
}

export interface NewValue<T = any> extends Value<T> {
  metric: string;
}

/** What the connection is at the moment. */
export interface Connection {
  connectionId: string;
  userId: string;
  transport: "sse" | "websocket";
  /** The patterns that the connection has asked for: the union over all tabs. */
  metrics: string[];
  /** Whether this tab holds the connection; others get theirs from the one that does. */
  leader: boolean;
}

export interface TokenRequest {
  /** `start` (also after {@link Hub.reconnect}), `expiring` (a minute before the end, or less for short tokens), `expired`, `unauthenticated` (after a 401). */
  reason: "start" | "expiring" | "expired" | "unauthenticated";
}

export interface Options {
  /** Where the hub is; paths below it are the hub's. Default: where this module came from. */
  url?: string | URL;
  /**
   * Patterns over names, such as `users.*` or `credits.**`; from 100 over all tabs on the connection asks for every metric. Default: every
   * metric. `[]`: alerts only.
   */
  metrics?: string[];
  /**
   * Gives a JWT, a fresh one each time. It stays in memory and never goes to a URL, to storage or to another tab. Without it the
   * requests carry the page's cookies, and who the user is is seen when a connection is made, not before.
   */
  getToken?: (request: TokenRequest) => string | Promise<string>;
  /** Default `auto`: server-sent events, and WebSocket where these do not get through. */
  transport?: "auto" | "sse" | "websocket";
  /**
   * Default `true`: all tabs of this origin with the same `url` and the same user (the token's `sub`) use one connection.
   * Where there is no `getToken` the user cannot be seen here: then tabs share only when this is a text that names the user. With
   * a text, tabs share whatever their tokens say: it must be another one for another user.
   */
  shared?: boolean | string;
}

/** What can be listened to, and what the listener is given. */
export interface Events {
  state: (change: StateChange) => void;
  dropped: (receipt: Dropped) => void;
  /** A new latest value of one metric, from an update or a snapshot. */
  value: (value: NewValue) => void;
  /** Every published message, in order and once. */
  "*": (data: any, message: Message) => void;
}

export type Listener<Name extends string> = Name extends keyof Events
  ? Events[Name]
  : Name extends keyof Published
    ? (data: Published[Name], message: Message<Name, Published[Name]>) => void
    : Name extends keyof Notices
      ? (data: Notices[Name], message: Message<Name, Notices[Name]>) => void
      : (data: any, message: Message) => void;

export type EventName = keyof Events | keyof Published | keyof Notices;

export interface Hub {
  /**
   * Calls `listener` for each message of that type, or each event. A listener that throws is reported as an uncaught error and
   * disturbs nobody else.
   *
   * @returns a function that ends it
   */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void;
  on(name: string, listener: (data: any, message: Message) => void): () => void;

  /**
   * Adds patterns for this tab; what is known of them already arrives as values. Rejects with a {@link StatshubError} where a
   * pattern is bad or the hub refuses (`forbidden`, `unauthenticated`), and all is as before; waits, as long as `Retry-After`
   * says, where the hub puts it off or cannot be reached; while there is no connection it is carried out with the next one.
   *
   * @returns this tab's patterns now; `["**"]` is every metric
   */
  subscribe(metrics: string[]): Promise<string[]>;
  /** Takes patterns away for this tab, or rejects likewise. Where none is left there are only alerts. */
  unsubscribe(metrics: string[]): Promise<string[]>;

  readonly state: State;
  readonly reason: Reason;
  /** The whole of the last `state` event. */
  readonly status: Readonly<StateChange>;
  /** The latest value of a metric, or `undefined`. */
  get<T = any>(metric: string): Value<T> | undefined;
  /** The latest values of all subscribed metrics, by name. */
  readonly metrics: ReadonlyMap<string, Value>;
  /** `null` while there is none. */
  readonly connection: Connection | null;

  /** Tries again now: for a button, or after the user has logged in anew. Does nothing while live or closed by {@link close}. */
  reconnect(): void;
  /** Says goodbye. For good. */
  close(): void;
}

export class StatshubError extends Error {
  /** The hub's code for it, or a {@link Reason}. */
  code: string;
  /** The HTTP status, where there is one. */
  status?: number;
}

/** Opens the hub's stream, or takes part in that of another tab. Returns at once; begins after the current task. */
export function connect(options?: Options): Hub;

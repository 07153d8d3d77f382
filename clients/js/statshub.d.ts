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
  /**
   * The latest value of every subscribed metric that has one. Replaces what was known of them. The message names in `stale` those
   * that are overdue.
   */
  initial_metrics: Record<string, any>;
  /** One metric and its new value: whole, also where the hub said what changed only. */
  metrics_update: Record<string, any>;
  system_alert: SystemAlert;
  test_message: { message: string; timestamp: string };
}

/** What the messages about the connection itself carry. Only the tab that holds the connection hears them. */
export interface Notices {
  connection_established: Opened;
  reconnection_successful: Opened & { previousConnectionId: string; bufferedMessagesCount: number };
  heartbeat: {};
  subscribed: { message: string; metrics: Subscription[] };
  unsubscribed: { message: string; metrics: Subscription[] };
  pong: { timestamp: string };
  refreshed: { expiresAt: string };
  messages_dropped: { droppedMessagesCount: number };
  connection_replaced: {};
  server_shutdown: { reconnectInMs: number };
  metric_stale: { metric: string; messageId: string; updatedAt: string; ttlMs: number };
  /**
   * Also in the tab that wants something which the hub does not take, where nobody waits for the answer: `details` says what it
   * is and where the fault is, and the tab goes on without it.
   */
  error: { message: string; code: string; details?: FaultDetails };
}

/** A metric in some form, where its value as it is published would be more than the page needs. */
export interface Selector {
  /** A name or a pattern over names. */
  metric: string;
  /** The parts of a value, as JSON Pointers (RFC 6901), such as `/total` or `/byPlan/pro`; in the shape in which they were, 1 to 32. */
  fields?: string[];
  /** An expression over `data` and `metric` in CEL, such as `data.balance < 10`: only values for which it holds. */
  where?: string;
  /** At most so many updates of a metric in a second, 0.01 to 10; the hub rounds down to 10, 5, 2, 1, 0.5, 0.2, … */
  maxHz?: number;
}

/** A pattern, for values as they are published, or an object. Of several of the same pattern the last counts. */
export type Subscription = string | Selector;

/** Where the fault is in what the hub does not take. */
export interface FaultDetails {
  /** The pattern of the {@link Selector} that it is in. */
  metric?: string;
  /** In the expression of its `where`, both from 1. */
  line?: number;
  column?: number;
  [more: string]: unknown;
}

export interface Opened {
  connectionId: string;
  userId: string;
  message: string;
  /** The subscription of the connection, which serves all tabs. */
  metrics: Subscription[];
  /** Of a stream that goes on where one was: metrics whose value is overdue. */
  staleMetrics?: string[];
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
  /** There, and `true`, where another value should have come by now: an operator has said how often the metric must be updated. */
  stale?: boolean;
}

/** A value is overdue. */
export interface StaleValue {
  metric: string;
  messageId: string;
  /** RFC 3339, UTC: when it was published, or where the connection learns that late, the value's `timestamp`. */
  updatedAt: string;
  /** How long a value of this metric is good for, in milliseconds; not known of one that became stale while there was no connection. */
  ttlMs?: number;
}

export interface NewValue<T = any> extends Value<T> {
  metric: string;
}

/** What the connection is at the moment. */
export interface Connection {
  connectionId: string;
  userId: string;
  transport: "sse" | "websocket";
  /** What the connection has asked for: the union over all tabs, where these want a metric in different forms as it is published. */
  metrics: Subscription[];
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
   * Patterns over names, such as `users.*` or `credits.**`, or objects with one that ask for less of the values. From 100 over all tabs on
   * the connection asks for every metric. Default: every metric. `[]`: alerts only.
   *
   * Of the patterns that name a metric the narrowest says in which form it comes. An object is what is enough for this page, not a promise
   * that there is never more: where two tabs want a metric in different forms, where the hub has as many
   * forms as it may, and after what was dropped, it comes as it is published.
   */
  metrics?: Subscription[];
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
  /**
   * Default `true`: the hub may send what changes of large values, and the library puts them together again. A page never sees a
   * difference; where a change does not fit, which should never be, the stream goes on from there with whole values.
   */
  delta?: boolean;
}

/** What can be listened to, and what the listener is given. */
export interface Events {
  state: (change: StateChange) => void;
  dropped: (receipt: Dropped) => void;
  /** A new latest value of one metric, from an update or a snapshot; or the same, which is not stale any more after all. */
  value: (value: NewValue) => void;
  /** The latest value of a metric is overdue, until there is a new one. One that comes overdue says so itself. */
  stale: (value: StaleValue) => void;
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
   * Adds patterns for this tab, or asks for those that are there in another form; what is known of them already arrives as
   * values, but with `where`: then the next that it holds for is the first. Rejects with a {@link StatshubError} where a pattern or an
   * expression is bad or the hub refuses (`forbidden`, `unauthenticated`), and all is as before; waits, as long as `Retry-After`
   * says, where the hub puts it off or cannot be reached; while there is no connection it is carried out with the next one.
   *
   * @returns what this tab asks for now; `["**"]` is every metric
   */
  subscribe(metrics: Subscription[]): Promise<Subscription[]>;
  /** Takes patterns away for this tab, in whatever form, or rejects likewise. Where none is left there are only alerts. */
  unsubscribe(metrics: Subscription[]): Promise<Subscription[]>;

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
  /** Of a {@link Selector} that the hub does not take: where the fault is. */
  details?: FaultDetails;
}

/** Opens the hub's stream, or takes part in that of another tab. Returns at once; begins after the current task. */
export function connect(options?: Options): Hub;

// What the hub answers, as docs/contract.md has it, and what the console makes of it.

export type Priority = "critical" | "high" | "normal" | "low";
export type ByPriority = Record<Priority, number>;
export type Kind = "good" | "warn" | "bad" | "";

export interface Alert {
  alertId: string;
  raisedAt: string;
  state: "open" | "acknowledged" | "resolved";
  severity: "critical" | "high" | "medium" | "low";
  message: string;
  acknowledgedBy: string | null;
  acknowledgedAt: string | null;
  acknowledgedNote: string | null;
  resolvedBy: string | null;
  resolvedAt: string | null;
  resolvedNote: string | null;
  [field: string]: unknown;
}

/** A rule as it is written; times as in `90s`, `5m`, `1h 30m`. */
export interface RuleSpec {
  name?: string;
  on: string;
  severity: Alert["severity"];
  when?: string;
  resolve?: string;
  for?: string;
  keepFiringFor?: string;
  absentFor?: string;
  anomaly?: { field?: string; deviation?: number; season?: string; seasons?: number; scaleMin?: number };
  repeatEvery?: string;
  message?: string;
}

/** A rule on one metric. */
export interface RuleAlert {
  metric: string;
  state: "pending" | "firing" | "acknowledged" | "resolved";
  reason: "condition" | "anomaly" | "absence";
  since: string;
  overSince: string | null;
  alertId: string | null;
  acknowledgedBy: string | null;
  silenced: boolean;
}

export interface RuleState {
  rule: RuleSpec & { name: string };
  source: "file" | "live";
  changedBy: string | null;
  changedAt: string | null;
  metrics: number;
  lastError: { metric: string; reason: string } | null;
  alerts: RuleAlert[];
}

export interface BrokenRule {
  name: string;
  key: string;
  reason: string;
}

/** What an expression came to: one of the two. */
export interface Said {
  result: boolean | null;
  error: string | null;
}

export interface RuleTested {
  metric: string;
  data: unknown;
  when: Said | null;
  resolve: Said | null;
  holds: boolean | null;
  message: string;
  values: Record<string, unknown>;
}

export interface Silence {
  id: string;
  alert: string | null;
  metric: string | null;
  from: string;
  until: string;
  by: string;
  why: string;
  active: boolean;
}

export interface Notification {
  id: string;
  webhook: string;
  event: string;
  alert: string;
  metric: string;
  status: "pending" | "delivered" | "dead";
  attempts: number;
  createdAt: string;
  dueAt: string | null;
  doneAt: string | null;
  lastError: string | null;
}

/** A pattern, or one of which less than the whole value is asked for. */
export type Subscription = string | { metric: string; fields?: string[]; where?: string; maxHz?: number };

export interface SessionRow {
  connectionId: string;
  user: string;
  transport: string;
  state: "live" | "lagging" | "away";
  since: string;
  remoteAddress: string | null;
  userAgent: string | null;
  subscription: Subscription[] | null;
  backlog: ByPriority;
  sent: number;
  dropped: ByPriority;
  lastWrite: string | null;
  node?: string;
}

export interface HubNode {
  id: string;
  isThis: boolean;
  version: string | null;
  uptimeSeconds: number | null;
  connections: number | null;
  lagMs: number | null;
  isResponding: boolean;
}

export interface Transport {
  totalConnections: number;
  activeConnections: number;
}

export interface Stats {
  totalConnections: number;
  activeConnections: number;
  connectionsByUser: Record<string, number>;
  totalBufferedMessages: number;
  reconnectTokensCount: number;
  sse: Transport;
  websocket: Transport;
  bufferUtilization: { mean: number; max: number };
  deliveryLatencyMs: { p50: number | null; p95: number | null; p99: number | null };
  reconnections: { attempted: number; succeeded: number; successRate: number };
  messages: { published: number; delivered: number; dropped: ByPriority };
  uptimeSeconds: number;
  nodes?: HubNode[];
}

export interface Source {
  metric: string;
  kind: string;
  lastSuccess: string | null;
  lastError: string | null;
  lastErrorAt: string | null;
  durationMs: number | null;
  polls: number;
  failures: number;
  skipped: number;
  stale: boolean;
  elsewhere?: boolean;
}

export interface Health {
  status: "healthy" | "degraded";
  version: string;
  uptimeSeconds: number;
  checks?: { sources: Source[] } & Record<string, any>;
}

export interface AuditEvent {
  id: number;
  time: string;
  actor: string | null;
  role: string | null;
  action: string;
  target: string | null;
  remote: string | null;
  outcome: string;
  requestId: string | null;
  details?: unknown;
}

export interface Bucket {
  from: string;
  value: number | null;
  count: number;
}

/** A moment in milliseconds since 1970, and what was then; `null`: nothing. */
export type Point = [number, number | null];

export interface Series {
  name: string;
  points: Point[];
}

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

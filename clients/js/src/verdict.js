// What to do after a stream has ended, or was refused, as a function of how.

// An operator, a limit or a policy has said no: asking soon would not change that.
const SLOW_MS = 30_000;
const FORBIDDEN = new Set([400, 403, 404, 405, 413]);

// {state?, reason, message?} and one of: `final` (stay away), `now` (try again at once), `exactlyMs`
// (then, drawn by the hub), or `floorMs` (then, and jitter). `renew`: with a fresh token; `forget`: the
// session is gone; `other`: by the other transport.
export function judge(end, { renewed = false } = {}) {
  const { message } = end;
  switch (end.kind) {
    case "silent":
    case "woke":
      return { state: "stale", reason: end.kind, now: true };
    case "stalled":
      return { reason: "network", now: true, other: true };
    case "token":
      return { reason: "token_unavailable", message, floorMs: 0 };
    case "shutdown":
      return { reason: "shutdown", message, exactlyMs: end.reconnectInMs };
    case "replaced":
      return { state: "closed", reason: "replaced", message, final: true };
    case "refused":
      return refused(end, renewed);
    case "error":
      return told(end.code, message);
    case "closed":
      return closed(end.code);
    default:
      return { reason: end.kind, floorMs: 0 };
  }
}

function refused({ status, code, message, retryAfterMs: floorMs }, renewed) {
  // Not in the hub's own form: something between us and the hub speaks, which passes.
  if (!code) return { reason: status >= 500 ? "unavailable" : "network", floorMs, other: status < 500 };
  if (status === 410) return { reason: "network", now: true, forget: true };
  if (status === 401 && !renewed) return { reason: code, now: true, renew: "unauthenticated" };
  if (status === 401) return { state: "refused", reason: code, message, floorMs: SLOW_MS, renew: "unauthenticated" };
  if (status === 429) return { state: "refused", reason: code, message, floorMs };
  if (FORBIDDEN.has(status)) return { state: "refused", reason: code, message, final: true };
  return { reason: code, message, floorMs };
}

// An `error` that was the stream's last word.
function told(code, message) {
  switch (code) {
    case "token_expired":
      return { reason: code, message, now: true, renew: "expired" };
    case "disconnected":
      return { state: "closed", reason: code, message, final: true };
    case "rate_limited":
      return { reason: code, message, floorMs: SLOW_MS };
    default:
      return { reason: "ended", message, floorMs: 0 };
  }
}

// A close code that no message explained.
function closed(code) {
  switch (code) {
    case 1008:
      return told("rate_limited");
    case 1001:
      return { reason: "shutdown", floorMs: 0 };
    case 4001:
      return judge({ kind: "replaced" });
    case 4401:
      return told("token_expired");
    case 4403:
      return told("disconnected");
    default:
      return { reason: code === 1006 ? "network" : "ended", floorMs: 0 };
  }
}

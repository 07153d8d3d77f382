// What to do after a stream has ended, or was refused, as a function of how.

// Asking soon would not change what was said.
export const SLOW_MS = 30_000;
const REPLACED_MS = 1000;

// {state?, reason, message?} and one of: `final` (stay away), `now` (try again at once), `exactlyMs`
// (then, drawn by the hub), or `floorMs` (then, and jitter). `renew`: with a fresh token; `forget`: the
// session is gone; `other`: by the other transport.
/** @returns {{ state?: string, reason: string, message?: string, final?: boolean, now?: boolean, exactlyMs?: number,
 *   floorMs?: number, renew?: string, forget?: boolean, other?: boolean }} */
export function judge(end, renewed) {
  const { kind, message } = end;
  switch (kind) {
    case "silent":
    case "woke":
      return { state: "stale", reason: kind, now: true };
    case "stalled":
      return { reason: "network", now: true, other: true };
    // The stream goes on with whole values.
    case "mismatch":
      return { reason: "network", now: true };
    case "token":
      return later("token_unavailable", message);
    case "shutdown":
      return { reason: kind, message, exactlyMs: end.reconnectInMs };
    case "replaced":
      return replaced(message);
    case "refused":
      return refused(end, renewed);
    case "error":
      return told(end.code, message);
    case "closed":
      return closed(end.code);
    default:
      return later(kind);
  }
}

const later = (reason, message, floorMs = 0) => ({ reason, message, floorMs });
// Whoever has the session now, be it a late request of our own, keeps it: this one begins another, after its position.
const replaced = (message) => ({ ...later("replaced", message, REPLACED_MS), forget: true });
const never = (state, reason, message) => ({ state, reason, message, final: true });

function refused({ status, code, message, retryAfterMs }, renewed) {
  // Not in the hub's own form: something between us and the hub speaks, which passes.
  if (!code) return { ...later(status < 500 ? "network" : "unavailable", null, retryAfterMs), other: status < 500 };
  if (status === 410) return { reason: "ended", now: true, forget: true };
  if (status === 401) {
    const soon = renewed ? { ...later(code, message, SLOW_MS), state: "refused" } : { reason: code, now: true };
    return { ...soon, renew: "unauthenticated" };
  }
  if (status === 429) return { ...later(code, message, retryAfterMs), state: "refused" };
  return status < 500 ? never("refused", code, message) : later(code, message, retryAfterMs);
}

// An `error` that was the stream's last word.
function told(code, message) {
  if (code === "token_expired") return { reason: code, message, now: true, renew: "expired" };
  if (code === "disconnected") return never("closed", code, message);
  if (code === "rate_limited") return later(code, message, SLOW_MS);
  return later("ended", message);
}

// A close code that no message explained.
function closed(code) {
  if (code === 1001) return later("shutdown");
  if (code === 1006) return later("network");
  if (code === 4001) return replaced();
  return told({ 1008: "rate_limited", 4401: "token_expired", 4403: "disconnected" }[code]);
}

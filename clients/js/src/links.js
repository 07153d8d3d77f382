// One attempt at a stream, over either transport. Both tell a sink what comes, and resolve to how it
// ended: {kind: "refused", status, code, message, retryAfterMs}, "network", "ended" or "closed" with
// a close code. After an abort nothing comes any more, and the end is not to be waited
// for: where the other side is dead it takes minutes.
import { EventParser } from "./event-parser.js";

export async function followSse({ url, init }, sink, signal, env) {
  try {
    // No `Accept: text/event-stream`: with that the hub takes us for an EventSource, which it must hang up
    // on rather than answer with a status and a time to come back.
    const response = await env.fetch(url, { ...init, signal });
    if (response.status !== 200) return await refusal(response);
    // A page to log in to a network, for instance.
    if (!/^text\/event-stream *(;|$)/i.test(response.headers.get("Content-Type"))) return { kind: "network" };
    sink.answered();
    const decoder = new TextDecoder();
    const parser = new EventParser((event) => signal.aborted || sink.event(event));
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return { kind: "ended" };
      sink.heard();
      parser.push(decoder.decode(value, { stream: true }));
    }
  } catch {
    return { kind: "network" };
  }
}

export function followWebSocket({ url, protocols }, sink, signal, env) {
  return new Promise((resolve) => {
    const socket = new env.WebSocket(url, protocols);
    socket.onopen = () => sink.answered((message) => socket.send(JSON.stringify(message)));
    socket.onmessage = ({ data }) => {
      if (signal.aborted) return;
      sink.heard();
      sink.event({ data });
    };
    socket.onerror = () => {};
    socket.onclose = ({ code }) => resolve({ kind: "closed", code });
    signal.addEventListener("abort", () => socket.close());
  });
}

export async function refusal(response) {
  const body = await response.json().catch(() => null);
  const after = response.headers.get("retry-after");
  const ms = /^\d+$/.test(after) ? after * 1000 : Date.parse(after) - Date.now();
  const { code, error: message, details } = body ?? {};
  return { kind: "refused", status: response.status, code, message, details, retryAfterMs: Math.max(ms, 0) || 0 };
}

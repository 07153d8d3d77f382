// What the health check says of the hub's parts, its sources and, of several hubs, the nodes.

import { badge, h, say } from "../ui/dom.js";
import { ago, bytes, duration, number } from "../ui/format.js";
import { Table } from "../ui/table.js";

/** @typedef {import("../types.js").Health} Health */
/** @typedef {import("../types.js").Source} Source */
/** @typedef {import("../types.js").HubNode} HubNode */
/** @typedef {import("../types.js").Kind} Kind */

/** What of each part says most, in words. @type {Record<string, (check: any) => string>} */
const WORDS = {
  hub: (it) => `${number(it.connections)} streams, ${number(it.sessions)} sessions`,
  history: (it) => `${bytes(it.bytes)} of ${bytes(it.bytesMax)}, ${number(it.metrics)} metrics`,
  keys: (it) => `${number(it.keys)} from ${it.source}`,
  audit: (it) => `${number(it.written)} written, ${number(it.lost)} lost`,
  tls: (it) => `certificate until ${it.notAfter}, ${number(it.failedHandshakes)} failed handshakes`,
  store: (it) => it.durability === "memory" ? "none (memory)" : `${it.durability}, ${number(it.commits)} commits, ${number(it.failures)} failures`,
  redis: (it) => `${it.server ?? "not connected"}, ${number(it.lagMs ?? 0)} ms behind`,
  scribe: (it) => (it.isWriting ? "writes the shared log down" : "stands by"),
};

/**
 * @param {Health} health
 * @returns {HTMLElement[]}
 */
export function checks(health) {
  const parts = Object.entries(WORDS).flatMap(([name, words]) => {
    const check = health.checks?.[name];
    if (!check) return [];
    const isFine = check.ok !== false;
    const error = check.lastError ?? check.store?.lastError;
    return [h("div", {},
      h("dt", {}, name),
      h("dd", {}, badge(isFine ? "ok" : "ails", isFine ? "good" : "bad"),
        h("small", {}, typeof error === "string" ? error : words(check))))];
  });
  return [h("div", {}, h("dt", {}, "version"), h("dd", {}, health.version)), ...parts];
}

/** @param {Source} source */
function judged(source) {
  const hasFailed = source.lastErrorAt && (!source.lastSuccess || source.lastErrorAt > source.lastSuccess);
  if (source.elsewhere) return { word: "read by another hub", kind: "" };
  if (hasFailed) return { word: "failing", kind: "bad" };
  return source.stale ? { word: "stale", kind: "warn" } : { word: "ok", kind: "good" };
}

/** A cell with a word that has a colour. @param {(row: any) => {word: string, kind: string}} judge */
const judgedCell = (judge) => ({
  node: () => badge("", ""),
  update: (/** @type {HTMLElement} */ node, /** @type {any} */ row) => {
    const { word, kind } = judge(row);
    say(node, word);
    node.dataset.kind = kind;
  },
  className: "tight",
});

export function makeSources() {
  return new Table("Sources", /** @type {import("../ui/table.js").Column<Source>[]} */ ([
    { title: "Metric", text: (row) => row.metric },
    { title: "Kind", text: (row) => row.kind },
    { title: "State", ...judgedCell(judged) },
    { title: "Last value", text: (row) => ago(row.lastSuccess), className: "number" },
    { title: "Took", text: (row) => (row.durationMs === null ? "–" : `${row.durationMs} ms`), className: "number" },
    { title: "Reads", text: (row) => number(row.polls), className: "number" },
    { title: "Failures", text: (row) => number(row.failures), className: "number" },
    { title: "Skipped", text: (row) => number(row.skipped), className: "number" },
    { title: "Last error", text: (row) => (row.lastError ? `${row.lastError} (${ago(row.lastErrorAt)})` : "–") },
  ]), (row) => row.metric, "This hub reads no sources.");
}

export function makeNodes() {
  return new Table("Cluster nodes", /** @type {import("../ui/table.js").Column<HubNode>[]} */ ([
    { title: "Node", text: (row) => (row.isThis ? `${row.id} (this one)` : row.id) },
    {
      title: "State",
      ...judgedCell((row) => (row.isResponding ? { word: "responding", kind: "good" } : { word: "silent", kind: "bad" })),
    },
    { title: "Version", text: (row) => row.version ?? "–" },
    { title: "Up for", text: (row) => (row.uptimeSeconds === null ? "–" : duration(1000 * row.uptimeSeconds)), className: "number" },
    { title: "Connections", text: (row) => (row.connections === null ? "–" : number(row.connections)), className: "number" },
    { title: "Behind the log", text: (row) => (row.lagMs === null ? "–" : `${number(row.lagMs)} ms`), className: "number" },
  ]), (row) => row.id, "None.");
}

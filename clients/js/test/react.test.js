// What a component shows, and how often it renders for that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createElement as h, StrictMode } from "react";
import { act, create } from "react-test-renderer";
import { StatshubProvider, useHub, useHubState, useStat } from "../react.js";
import { connect } from "../statshub.js";
import { event, FakeBrowser, notice, opening, published } from "./support/fake.js";

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

const renders = {};
function Stat({ metric }) {
  renders[metric] = (renders[metric] ?? 0) + 1;
  const { value, stale } = useStat(metric);
  return `${metric}=${value ?? "none"}${stale ? " stale" : ""};`;
}
const State = () => useHubState().state;

function begin() {
  const browser = new FakeBrowser();
  const hub = connect({ url: "http://hub.test/", getToken: () => "jwt" }, browser.env);
  return { browser, hub };
}

const textOf = (tree) => [tree.toJSON()].flat().join("");

test("a component shows its metric, and renders for that alone", async () => {
  const { browser, hub } = begin();
  let tree;
  const stats = ["a", "b"].map((metric) => h(Stat, { metric, key: metric }));
  await act(async () => (tree = create(h(StatshubProvider, { hub }, stats, h(State)))));
  assert.equal(textOf(tree), "a=none stale;b=none stale;connecting");
  let stream;
  await act(async () => {
    await browser.pass(0);
    stream = await browser.asked.stream(...opening());
  });
  assert.equal(textOf(tree), "a=1;b=none;live");
  const before = { ...renders };
  await act(() => stream.send(event(published("2-0", "metrics_update", { b: 2 })), event(published("3-0", "metrics_update", { c: 3 }))));
  assert.equal(textOf(tree), "a=1;b=2;live");
  assert.deepEqual([renders.a - before.a, renders.b - before.b], [0, 1]);
  await act(() => stream.send(event(notice("metric_stale", { metric: "b", messageId: "2-0", updatedAt: "u", ttlMs: 5 }))));
  assert.equal(textOf(tree), "a=1;b=2 stale;live");
  await act(() => stream.send(event(published("4-0", "metrics_update", { b: 2 }))));
  assert.equal(textOf(tree), "a=1;b=2;live");
  assert.deepEqual([renders.a - before.a, renders.b - before.b], [0, 3]);
  await act(() => browser.sleep(3_600_000));
  assert.equal(textOf(tree), "a=1 stale;b=2 stale;stale");
  await act(() => browser.asked.stream(...opening()));
  assert.equal(textOf(tree), "a=1;b=none;live", "a snapshot without it");
  await act(async () => tree.unmount());
  assert.equal(hub.state, "live", "it is the page's to close");
  hub.close();
});

test("a component without a provider is told so", async () => {
  const Lost = () => (useHub(), null);
  const error = console.error;
  console.error = () => {};
  await assert.rejects(async () => void (await act(async () => create(h(Lost)))), /StatshubProvider/);
  console.error = error;
});

test("a provider's own hub lives as long as it is shown, also where React shows everything twice", async () => {
  const asked = [];
  globalThis.fetch = (url, { signal }) => (asked.push(signal), new Promise(() => {}));
  let tree;
  const options = { url: "http://hub.test/", getToken: () => "jwt", shared: false };
  await act(async () => (tree = create(h(StrictMode, null, h(StatshubProvider, { options }, h(Stat, { metric: "own" }))))));
  await act(() => new Promise((resolve) => setTimeout(resolve, 20)));
  assert.equal(textOf(tree), "own=none stale;");
  assert.equal(asked.filter((signal) => !signal.aborted).length, 1);
  await act(async () => tree.unmount());
  assert.ok(asked.every((signal) => signal.aborted));
});

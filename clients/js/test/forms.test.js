// Less than whole values: how it is asked for, what tabs make of each other's, and what changes put together. Without a hub.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Patches, patched } from "../src/patches.js";
import { canonical, checked, narrowest, union } from "../src/pattern.js";

describe("a subscription to less", () => {
  test("is the same whoever writes it down, and the last of a pattern counts", () => {
    const asked = checked(["a", { metric: "a.*", fields: ["/x/y", "/b", "/x", "/b"], maxHz: 3 }, { metric: "a", where: "data > 1" }, { metric: "b" }]);
    assert.deepEqual(asked, [{ metric: "a", where: "data > 1" }, { metric: "a.*", fields: ["/b", "/x"], maxHz: 2 }, "b"]);
    assert.deepEqual(asked.map(canonical), asked);
    assert.deepEqual(checked([{ metric: "a", fields: ["/x", ""] }]), ["a"], "the whole");
    for (const [maxHz, expected] of [[10, 10], [9.9, 5], [0.3, 0.2], [0.01, 0.01]]) {
      assert.equal(checked([{ metric: "a", maxHz }])[0].maxHz, expected);
    }
  });

  test("is refused where it is written, as far as that can be seen", () => {
    const fields = "fields: 1 to 32 JSON Pointers, each empty or beginning with /";
    const rate = "maxHz: a number of updates a second, 0.01 to 10";
    for (const [bad, fault] of [
      [{}, "{}"],
      [{ metric: "a b" }, '{"metric":"a b"}'],
      [{ metric: "a", field: ["/x"] }, '{"metric":"a","field":["/x"]}'],
      [["a"], '["a"]'],
      [{ metric: "a", fields: [] }, fields],
      [{ metric: "a", fields: "/x" }, fields],
      [{ metric: "a", fields: ["x"] }, fields],
      [{ metric: "a", fields: ["/~2"] }, fields],
      [{ metric: "a", fields: Array(33).fill("/x") }, fields],
      [{ metric: "a", where: 1 }, "where: a text"],
      [{ metric: "a", maxHz: 11 }, rate],
      [{ metric: "a", maxHz: 0.001 }, rate],
      [{ metric: "a", maxHz: "1" }, rate],
    ]) {
      assert.throws(() => checked([bad]), { code: "invalid_request", message: `Invalid metrics: ${fault}` });
    }
  });

  test("is what the narrowest pattern says", () => {
    const selectors = ["**", { metric: "a.*", maxHz: 1 }, { metric: "*.b", maxHz: 2 }, "a.c", { metric: "a.**", maxHz: 5 }];
    const form = (name) => narrowest(selectors, name)?.maxHz ?? narrowest(selectors, name);
    assert.deepEqual(["a.c", "a.d", "a.b", "z.b", "z", "a"].map(form), ["a.c", 5, 5, 2, "**", 5], "of several the last");
    assert.equal(narrowest(["a"], "b"), undefined);
  });

  test("is kept on the connection where the tabs agree, and else serves them all", () => {
    const less = (metric, maxHz = 1) => ({ metric, maxHz });
    for (const [lists, expected] of [
      [[[less("a")], [less("a")]], [less("a")]],
      [[[less("a")], ["b"]], [less("a"), "b"]],
      [[[less("a")], ["a"]], ["a"]],
      [[[less("a")], [less("a", 2)]], ["a"]],
      // What another tab wants whole is in it.
      [[[less("a.*")], ["a.b"]], ["a.*", "a.b"]],
      [[[less("*.b")], ["a.*"]], ["*.b", "a.*"]],
      [[[less("a.*")], ["a"], ["a.b.**"]], ["a.*", "a", "a.b.**"]],
      [[[less("a")], ["**"]], ["**"]],
      // One tab's own are as it says.
      [[["**", less("a.*"), "a.b"]], ["**", less("a.*"), "a.b"]],
      [[["**", less("a.*")], ["**", less("a.*")], ["b"]], ["**", less("a.*"), "b"]],
      [[["**", less("a.*")], ["a.c"]], ["**"]],
    ]) {
      assert.deepEqual(union(lists), expected, JSON.stringify(lists));
    }
    const forms = Array.from({ length: 17 }, (_, i) => ({ metric: `m${i}`, fields: [`/${i}`] }));
    assert.deepEqual(union([forms]).filter((it) => it.fields).length, 16, "the hub takes so many");
  });
});

describe("what changes", () => {
  // RFC 7396, appendix A; what is no object stays out of an object's members.
  test("is put on the old value, which stays what it was", () => {
    for (const [old, patch, expected] of [
      [{ a: "b" }, { a: "c" }, { a: "c" }],
      [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
      [{ a: "b" }, { a: null }, {}],
      [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
      [{ a: ["b"] }, { a: "c" }, { a: "c" }],
      [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
      [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
      [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
      [["a", "b"], ["c", "d"], ["c", "d"]],
      [{ a: "b" }, ["c"], ["c"]],
      [{ a: "foo" }, null, null],
      [{ a: "foo" }, "bar", "bar"],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [[1, 2], { a: "b", c: null }, { a: "b" }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ]) {
      const before = structuredClone(old);
      assert.deepEqual(patched(old, patch), expected, JSON.stringify(patch));
      assert.deepEqual(old, before);
    }
    const old = { same: { deep: 1 }, other: 1 };
    assert.equal(patched(old, { other: 2 }).same, old.same);
    const odd = patched(JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":{"b":2}}'));
    assert.deepEqual([Object.keys(odd), Object.getPrototypeOf(odd), JSON.stringify(odd)], [["__proto__"], Object.prototype, '{"__proto__":{"a":1,"b":2}}']);
  });

  test("is handed on as if it had come whole, and not at all where it is for another value", () => {
    const patches = new Patches();
    const message = (messageId, type, data, more) => ({ type, data, timestamp: "t", messageId, priority: "low", ...more });
    const patch = (messageId, baseMessageId, data) => patches.whole(message(messageId, "metrics_patch", data, { baseMessageId }));
    assert.equal(patch("1-0", "0-1", { a: { n: 1 } }), null, "nothing is here");
    assert.equal(patch("1-0", undefined, { a: { n: 1 } }), null);
    const alert = message("2-0", "system_alert", { severity: "high" });
    assert.deepEqual(patches.whole(alert), alert);
    const first = message("3-0", "metrics_update", { a: { n: 1, text: "x" } });
    assert.deepEqual(patches.whole(first), first);
    assert.deepEqual(patch("5-0", "3-0", { a: { n: 2 } }), message("5-0", "metrics_update", { a: { n: 2, text: "x" } }));
    assert.deepEqual(patch("7-0", "5-0", { a: { text: null } }), message("7-0", "metrics_update", { a: { n: 2 } }));
    assert.deepEqual(first.data, { a: { n: 1, text: "x" } });
    assert.equal(patch("9-0", "5-0", { a: { n: 3 } }), null);
    assert.equal(patch("9-0", "7-0", { b: { n: 3 } }), null);
  });
});

// The parts that need no hub.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Backoff } from "../src/backoff.js";
import { EventParser } from "../src/event-parser.js";
import { isAfter, isId } from "../src/id.js";
import { Member } from "../src/member.js";
import { checked, matches, union } from "../src/pattern.js";
import { Recent } from "../src/recent.js";
import { Tokens } from "../src/tokens.js";
import { judge } from "../src/verdict.js";

describe("event streams", () => {
  const parse = (pieces) => {
    const events = [];
    const parser = new EventParser((event) => events.push(event));
    for (const piece of pieces) parser.push(piece);
    return events;
  };
  const STREAM =
    "retry: 3000\ndata: {\"type\":\"a\"}\n\n: quiet\n\nid: 1-0\ndata:one\ndata: two\n\n" +
    "event: cursor\nid: 2-0\ndata:\n\nid\nunknown: field\ndata:  spaced\n\nid: 9-9\ndata: torn";
  const EVENTS = [
    { retry: 3000, data: '{"type":"a"}' },
    { id: "1-0", data: "one\ntwo" },
    { event: "cursor", id: "2-0", data: "" },
    { id: "", data: " spaced" },
  ];

  test("are read alike wherever they are cut and however lines end", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const stream = STREAM.replaceAll("\n", end);
      assert.deepEqual(parse([stream]), EVENTS, JSON.stringify(end));
      assert.deepEqual(parse(stream), EVENTS, "one character a piece");
      for (let cut = 0; cut <= stream.length; cut++) {
        assert.deepEqual(parse([stream.slice(0, cut), "", stream.slice(cut)]), EVENTS, `${JSON.stringify(end)} ${cut}`);
      }
    }
  });

  test("have fields that are only taken when they are well formed", () => {
    assert.deepEqual(parse(["retry: 1x\nid: a\0b\ndata: x\n\n"]), [{ data: "x" }]);
    assert.deepEqual(parse(["\n\n: a\n: b\n\n"]), []);
  });
});

test("ids are ordered by their numbers", () => {
  for (const [id, other, expected] of [
    ["2-0", "1-9", true],
    ["1-10", "1-9", true],
    ["10-0", "9-0", true],
    ["1-0", "1-0", false],
    ["1-0", "2-0", false],
    ["1-0", null, true],
    [null, "1-0", false],
    [null, null, false],
  ]) {
    assert.equal(isAfter(id, other), expected, `${id} ${other}`);
  }
  assert.ok(isId("1795773218962-0"));
  assert.ok(!isId("11b3cce9-23ef-439a-858f-1b031e6d7af3") && !isId("12345678-1234-4234-8234-123456789012") && !isId(undefined));
});

test("patterns match as the hub's do", () => {
  for (const [pattern, yes, no] of [
    ["**", ["a", "a.b.c"], []],
    ["a", ["a"], ["b", "a.b"]],
    ["a.*", ["a.b"], ["a", "a.b.c", "b.b"]],
    ["*.b", ["a.b"], ["b", "a.c"]],
    ["a.**", ["a", "a.b", "a.b.c"], ["b", "ab"]],
    ["*.b.**", ["a.b", "a.b.c"], ["b", "a.c.b"]],
  ]) {
    for (const name of yes) assert.ok(matches(pattern, name), `${pattern} ${name}`);
    for (const name of no) assert.ok(!matches(pattern, name), `${pattern} ${name}`);
  }
  assert.deepEqual(checked(["a", "a.**", "*", "**", "a", "_-.9"]), ["a", "a.**", "*", "**", "_-.9"]);
  for (const bad of ["", ".", "a.", "a..b", "a*", "**.a", "a b", "ä", "a".repeat(129), 7, null]) {
    assert.throws(() => checked([bad]), { code: "invalid_request" }, `${bad}`);
  }
  assert.throws(() => checked("a"), { message: "Metrics must be an array" });
});

test("a connection asks for what all tabs want, as briefly as that can be said", () => {
  assert.deepEqual(union([["a", "b"], ["b", "c"], []]), ["a", "b", "c"]);
  assert.deepEqual(union([["a"], ["**"]]), ["**"]);
  assert.deepEqual(union([]), []);
  const many = Array.from({ length: 100 }, (_, i) => `m${i}`);
  assert.equal(union([many.slice(0, 60), many.slice(60, 99)]).length, 99);
  assert.deepEqual(union([many.slice(0, 100)]), ["**"], "for one more there would be no room");
});

test("waits are drawn from zero to a ceiling that doubles, on top of what the hub asked for", () => {
  const longest = new Backoff(() => 1);
  assert.deepEqual(Array.from({ length: 7 }, () => longest.next()), [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  longest.reset();
  longest.first = 3000;
  assert.deepEqual([longest.next(), longest.next(5000)], [3000, 11000]);
  longest.first = 60_000;
  assert.equal(longest.next(), 60_000, "an operator may ask for more than our cap");
  assert.equal(new Backoff(() => 0).next(700), 700);
});

describe("a stream's end", () => {
  const SILENT = { state: "stale", reason: "silent", now: true };
  const STAY = (state, reason) => ({ state, reason, final: true });
  for (const [end, expected] of [
    [{ kind: "silent" }, SILENT],
    [{ kind: "network" }, { reason: "network", floorMs: 0 }],
    [{ kind: "mismatch" }, { reason: "network", now: true }],
    [{ kind: "shutdown", reconnectInMs: 700 }, { reason: "shutdown", exactlyMs: 700 }],
    [{ kind: "replaced" }, { reason: "replaced", floorMs: 1000, forget: true }],
    [{ kind: "error", code: "disconnected" }, STAY("closed", "disconnected")],
    [{ kind: "error", code: "token_expired" }, { reason: "token_expired", now: true, renew: "expired" }],
    [{ kind: "closed", code: 1001 }, { reason: "shutdown", floorMs: 0 }],
    [{ kind: "closed", code: 1006 }, { reason: "network", floorMs: 0 }],
    [{ kind: "closed", code: 1008 }, { reason: "rate_limited", floorMs: 30_000 }],
    [{ kind: "closed", code: 1011 }, { reason: "ended", floorMs: 0 }],
    [{ kind: "closed", code: 4001 }, { reason: "replaced", floorMs: 1000, forget: true }],
    [{ kind: "closed", code: 4401 }, { reason: "token_expired", now: true, renew: "expired" }],
    [{ kind: "closed", code: 4403 }, STAY("closed", "disconnected")],
    [{ status: 400, code: "invalid_request" }, STAY("refused", "invalid_request")],
    [{ status: 401, code: "unauthenticated" }, { reason: "unauthenticated", now: true, renew: "unauthenticated" }],
    [{ status: 403, code: "forbidden" }, STAY("refused", "forbidden")],
    [{ status: 403 }, { reason: "network", floorMs: 0, other: true }],
    [{ status: 410, code: "reconnect_token_invalid" }, { reason: "ended", now: true, forget: true }],
    [{ status: 429, code: "connection_limit", retryAfterMs: 5000 }, { state: "refused", reason: "connection_limit", floorMs: 5000 }],
    [{ status: 502, retryAfterMs: 0 }, { reason: "unavailable", floorMs: 0 }],
    [{ status: 503, code: "unavailable", retryAfterMs: 2000 }, { reason: "unavailable", floorMs: 2000 }],
  ]) {
    test(`${end.kind ?? "refused"} ${end.code ?? ""} ${end.status ?? ""}`, () => {
      const verdict = judge({ kind: "refused", retryAfterMs: 0, ...end });
      for (const key of Object.keys(verdict)) if (!verdict[key] && verdict[key] !== 0) delete verdict[key];
      assert.deepEqual(verdict, expected);
    });
  }

  test("a 401 for a fresh token is told, and asked again rarely", () => {
    const verdict = judge({ kind: "refused", status: 401, code: "unauthenticated" }, true);
    assert.equal(verdict.state, "refused");
    assert.equal(verdict.floorMs, 30_000);
  });
});

test("recent messages say what came after an id, or that they do not know", () => {
  const recent = new Recent("5-0");
  for (let n = 6; n <= 300; n++) recent.add({ messageId: `${n}-0` });
  assert.equal(recent.after("4-0"), null);
  assert.equal(recent.after("43-0"), null, "pushed out by newer ones");
  assert.equal(recent.after("44-0").length, 256);
  assert.deepEqual(recent.after("299-0").map(({ messageId }) => messageId), ["300-0"]);
  assert.deepEqual(recent.after("400-0"), []);
});

describe("a tab's knowledge", () => {
  const env = { now: () => 1000 };
  const told = (patterns = ["**"]) => {
    const heard = [];
    const member = new Member(patterns, env, (name, data) => heard.push([name, data]));
    heard.names = (wanted) => heard.filter(([name]) => name === wanted).map(([, data]) => data);
    return [member, heard];
  };
  const message = (messageId, type, data) => ({ kind: "message", message: { type, data, messageId, timestamp: "t" } });

  test("has each message once, whatever is sent again", () => {
    const [member, heard] = told();
    assert.equal(member.apply(message("5-0", "initial_metrics", { a: 1 })), true);
    assert.equal(member.apply(message("6-0", "metrics_update", { a: 2 })), true);
    assert.equal(member.apply(message("6-0", "metrics_update", { a: 2 })), false);
    assert.equal(member.apply(message("4-0", "metrics_update", { a: 0 })), false);
    assert.deepEqual(heard.names("value").map(({ value }) => value), [1, 2]);
    assert.equal(heard.names("*").length, 2);
    assert.equal(member.lastId, "6-0");
  });

  test("is replaced by a snapshot, and the gap before it is told", () => {
    const [member, heard] = told();
    member.apply(message("5-0", "initial_metrics", { a: 1, b: 1 }));
    assert.deepEqual(heard.names("dropped"), []);
    member.apply(message("9-0", "initial_metrics", { b: 2 }));
    assert.deepEqual([...member.values.visible.keys()], ["b"]);
    assert.deepEqual(heard.names("dropped").map(({ gap }) => gap), [true]);
    // The log went back: the older one is the truth now.
    member.apply(message("7-0", "initial_metrics", { b: 3 }));
    assert.equal(member.values.visible.get("b").value, 3);
    assert.equal(member.lastId, "7-0");
  });

  test("notices that a message before this one has not been here", () => {
    const [member] = told();
    member.apply(message("5-0", "initial_metrics", {}));
    assert.equal(member.apply({ ...message("8-0", "metrics_update", { a: 1 }), prev: "7-0" }), "missed");
    assert.equal(member.lastId, "5-0");
    assert.equal(member.apply({ ...message("8-0", "metrics_update", { a: 1 }), prev: "5-0" }), true);
  });

  test("shows what the tab asked for, and alerts", () => {
    const [member, heard] = told(["a.*"]);
    member.apply(message("1-0", "initial_metrics", { "a.x": 1, "b.x": 1 }));
    member.apply(message("2-0", "metrics_update", { "b.x": 2 }));
    member.apply(message("3-0", "system_alert", { severity: "high", message: "m" }));
    assert.deepEqual(heard.names("initial_metrics"), [{ "a.x": 1 }]);
    assert.deepEqual(heard.names("metrics_update"), []);
    assert.equal(heard.names("system_alert").length, 1);
    member.patterns = ["b.*"];
    assert.deepEqual([...member.values.visible], [["b.x", { value: 2, timestamp: "t", messageId: "2-0" }]]);
  });

  test("is given to a tab that has missed something, or comes late", () => {
    const [leader] = told();
    leader.apply(message("1-0", "initial_metrics", { a: 1 }));
    for (let n = 2; n <= 5; n++) leader.apply(message(`${n}-0`, "metrics_update", { a: n }));
    const [behind, heard] = told();
    behind.apply(message("1-0", "initial_metrics", { a: 1 }));
    behind.sync(structuredClone(leader.syncFrom("1-0")));
    assert.deepEqual(heard.names("value").map(({ value }) => value), [1, 2, 3, 4, 5]);
    const [late, lateHeard] = told();
    late.sync(structuredClone(leader.syncFrom(null)));
    assert.deepEqual(lateHeard.names("value").map(({ value }) => value), [5]);
    assert.deepEqual(lateHeard.names("dropped"), []);
    const [lost, lostHeard] = told();
    lost.apply(message("0-1", "initial_metrics", {}));
    lost.sync(structuredClone(leader.syncFrom("0-1")));
    assert.deepEqual(lostHeard.names("dropped").map(({ gap }) => gap), [true]);
    assert.equal(lost.lastId, "5-0");
  });

  test("says which values are overdue until there are new ones, in each tab", () => {
    const [leader, heard] = told();
    leader.apply({ ...message("1-0", "initial_metrics", { a: 1, b: 1 }), message: { ...message("1-0", "initial_metrics", { a: 1, b: 1 }).message, stale: ["b"] } });
    const stale = (member) => [...member.values.visible].filter(([, it]) => it.stale).map(([metric]) => metric);
    assert.deepEqual(stale(leader), ["b"]);
    assert.deepEqual(heard.names("value").map((it) => it.stale), [undefined, true]);
    const [other, otherHeard] = told(["a"]);
    other.sync(structuredClone(leader.syncFrom(null)));
    const before = leader.values.visible.get("a");
    const event = { kind: "stale", stale: { metric: "a", messageId: "1-0", updatedAt: "u", ttlMs: 5 } };
    for (const member of [leader, other]) assert.equal(member.apply(structuredClone(event)), true);
    for (const told of [heard, otherHeard]) assert.deepEqual(told.names("stale"), [{ metric: "a", messageId: "1-0", updatedAt: "u", ttlMs: 5 }]);
    assert.notEqual(leader.values.visible.get("a"), before, "another object, for those who compare");
    assert.equal(before.stale, undefined);
    leader.apply(event);
    assert.equal(heard.names("stale").length, 1, "once");
    leader.apply(message("2-0", "metrics_update", { a: 2 }));
    assert.deepEqual(stale(leader), ["b"]);
    // A tab that has not heard of it, and one that has heard what is no longer so.
    leader.apply({ kind: "stale", stale: { metric: "a" } });
    const [late] = told();
    late.sync(structuredClone(leader.syncFrom(null)));
    assert.deepEqual(stale(late), ["a", "b"]);
    leader.apply({ kind: "overdue", metrics: ["a", "gone"] });
    assert.deepEqual(stale(leader), ["a"]);
    assert.deepEqual(heard.names("value").at(-1), { metric: "b", value: 1, timestamp: "t", messageId: "1-0" });
    late.sync(structuredClone(leader.syncFrom("2-0")));
    assert.deepEqual(stale(late), ["a"]);
  });

  test("takes the same value in another form, and no older one", () => {
    const [member, heard] = told();
    member.apply(message("5-0", "metrics_update", { a: { n: 1 } }));
    const values = (messageId, value) => member.apply({ kind: "values", values: [["a", { value, messageId, timestamp: "t" }]] });
    const before = member.values.visible.get("a");
    values("5-0", { n: 1 });
    values("4-0", { n: 0, more: 0 });
    assert.equal(member.values.visible.get("a"), before);
    values("5-0", { n: 1, more: 2 });
    assert.deepEqual(heard.names("value").map(({ value }) => value), [{ n: 1 }, { n: 1, more: 2 }]);
  });

  test("keeps since when a state is", () => {
    let now = 1;
    const states = [];
    const member = new Member([], { now: () => now }, (name, data) => states.push(data));
    const become = (state, reason) => member.apply({ kind: "status", status: { state, reason } });
    assert.equal(become("live", "opened"), true);
    now = 2;
    assert.equal(become("live", "opened"), false, "nothing new");
    become("live", "resumed");
    become("stale", "silent");
    assert.deepEqual(states.map(({ state, since }) => [state, since]), [["live", 1], ["live", 1], ["stale", 2]]);
  });
});

describe("tokens", () => {
  const jwt = (claims) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
  const env = { now: () => 1_000_000, setTimeout, clearTimeout };

  test("are asked for once at a time, and kept while they are good", async () => {
    const reasons = [];
    const tokens = new Tokens(async ({ reason }) => (reasons.push(reason), jwt({ sub: "ä", exp: 1100 })), env);
    await Promise.all([tokens.get(), tokens.get()]);
    await tokens.get();
    assert.deepEqual(reasons, ["start"]);
    assert.equal(tokens.subject, "Ã¤", "its bytes");
    assert.equal(tokens.renewInMs, 75_000);
    await tokens.get("unauthenticated");
    assert.deepEqual(reasons, ["start", "unauthenticated"]);
  });

  test("live by the hub's clock", async () => {
    const reasons = [];
    const tokens = new Tokens(async ({ reason }) => (reasons.push(reason), jwt({ sub: 7, exp: 900 })), env);
    await tokens.get();
    tokens.hubTime = new Date(800_000).toISOString();
    await tokens.get();
    assert.deepEqual(reasons, ["start"], "our clock is ahead");
    assert.equal(tokens.subject, "7");
    tokens.hubTime = new Date(950_000).toISOString();
    await tokens.get();
    assert.deepEqual(reasons, ["start", "expired"]);
  });

  test("that cannot be had are told of, and what cannot be read is left to the hub", async () => {
    for (const getToken of [() => { throw new Error("logged out"); }, async () => "", async () => null]) {
      await assert.rejects(new Tokens(getToken, env).get(), { code: "token_unavailable" });
    }
    const tokens = new Tokens(() => "opaque", env);
    assert.equal(await tokens.get(), "opaque");
    assert.equal(tokens.subject, null);
    assert.equal(tokens.renewInMs, Infinity);
    assert.equal(await new Tokens(undefined, env).get(), null, "cookies");
  });
});

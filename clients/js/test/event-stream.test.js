// Event streams as the HTML standard defines them (section 9.2, server-sent events), against the client that reads
// them itself: what a browser's EventSource would make of the same bytes. docs/conformance.md says which cases of the
// web-platform-tests these are.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { createParser } from "eventsource-parser";
import { EventParser } from "../src/event-parser.js";
import { followSse } from "../src/links.js";
import { seeded } from "./support/random.js";

const TYPE = { "content-type": "text/event-stream" };
const BOM = "\ufeff";
const SEED = Number(process.env.SEED ?? Date.now() % 1e6);

/** What the client makes of an answer: how it ended, and the blocks that it had by then. */
async function follow(url, fetch) {
  const blocks = [];
  const sink = { answered() {}, heard() {}, event: (block) => blocks.push(block) };
  const end = await followSse({ url }, sink, new AbortController().signal, { fetch });
  return { end, blocks };
}

const answered = (pieces) => async () => new Response(new ReadableStream({
  start(controller) {
    for (const piece of pieces) controller.enqueue(piece);
    controller.close();
  },
}), { headers: TYPE });

/** The events of which a page would hear: the blocks with data. The rest only moves an id or a time to come back. */
function dispatched(blocks) {
  let lastEventId = "";
  return blocks.flatMap(({ event, data, id }) => {
    lastEventId = id ?? lastEventId;
    return data === undefined ? [] : [[event || "message", data, lastEventId]];
  });
}

/** The same events wherever the bytes are cut in two, and byte by byte. */
async function check(name, stream, expected) {
  const bytes = Buffer.from(stream);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { end, blocks } = await follow("", answered([bytes.subarray(0, cut), bytes.subarray(cut)]));
    assert.deepEqual(dispatched(blocks), expected, `${name}, cut at ${cut}`);
    assert.deepEqual(end, { kind: "ended" });
  }
  const { blocks } = await follow("", answered([...bytes].map((byte) => Uint8Array.of(byte))));
  assert.deepEqual(dispatched(blocks), expected, `${name}, byte by byte`);
}

const message = (data, id = "") => ["message", data, id];

describe("an event stream", () => {
  for (const [name, stream, expected] of [
    ["one mark of the byte order at the beginning is no part of it", `${BOM}data:1\n\n`, [message("1")]],
    ["a second mark is part of a field's name", `${BOM}${BOM}data:1\n\ndata:2\n\n`, [message("2")]],
    ["a mark later on is part of a field's name", `data:1\n\n${BOM}data:2\n\ndata:3\n\n`, [message("1"), message("3")]],
    ["lines end in LF, CR or both, in one stream", "data:1\rdata:2\ndata:3\r\ndata:4\r\r", [message("1\n2\n3\n4")]],
    ["CR LF is one end, LF CR are two", "data:1\r\n\r\ndata:2\n\rdata:3\r\n\n", [message("1"), message("2"), message("3")]],
    ["no other character ends a line", "data:1\u2028\u0085\v\f2\n\n", [message("1\u2028\u0085\v\f2")]],
    ["comments are nothing", ":\n:data:0\ndata:1\n: x\n:\0\ndata:2\n:\n\n", [message("1\n2")]],
    ["a long comment is nothing", `:${"x".repeat(2000)}\ndata:1\n\n`, [message("1")]],
    ["one space after the colon goes, and no more", "data: 1\n\ndata:  2\n\ndata:\t3\n\n", [message("1"), message(" 2"), message("\t3")]],
    ["a space before the colon makes another field", "data :1\n data:2\ndata:3\n\n", [message("3")]],
    ["colons in a value are its own", "data::1\n\ndata: 2:3\n\n", [message(":1"), message("2:3")]],
    ["fields without a colon are empty", "data\n\ndata\ndata\n\n", [message(""), message("\n")]],
    ["empty data are data, as the standard's example has them", "data\n\ndata\ndata\n\ndata:", [message(""), message("\n")]],
    ["lines of data are joined by LF, and the last one is no more than that", "data:1\ndata\ndata:2\ndata:\n\n", [message("1\n\n2\n")]],
    ["names of fields are in lower case", "Data:1\nDATA:2\ndata:3\nEVENT:x\nId:7\n\n", [message("3")]],
    ["unknown fields are nothing", "datas:1\nfoo\nfoo: bar\ndata:2\n\n", [message("2")]],
    ["a NUL is a character like others in data", "data:1\0\n\n", [message("1\0")]],
    ["a block without data is no event", "event:x\n\nid:1\n\nretry:1\n\n\n\ndata:2\n\n", [message("2", "1")]],
    ["a kind is for its own block only", "event:a\ndata:1\n\ndata:2\n\n", [["a", "1", ""], message("2")]],
    ["of several kinds the last one counts, and none is the usual one", "event:a\nevent:b\ndata:1\n\nevent:a\nevent\ndata:2\n\n", [["b", "1", ""], message("2")]],
    ["an id stays until there is another", "id:1\ndata:a\n\ndata:b\n\nid:2\ndata:c\n\n", [message("a", "1"), message("b", "1"), message("c", "2")]],
    ["of several ids the last one counts", "id:1\nid: 2\ndata:a\n\n", [message("a", "2")]],
    ["an empty id is one", "id:1\ndata:a\n\nid\ndata:b\n\ndata:c\n\n", [message("a", "1"), message("b"), message("c")]],
    ["an id with a NUL is none", "id:1\ndata:a\n\nid:\0\ndata:b\n\nid:2\x003\ndata:c\n\n", [message("a", "1"), message("b", "1"), message("c", "1")]],
    ["an id is any text", "id: ä…🦀\ndata:a\n\n", [message("a", "ä…🦀")]],
    ["what has not ended is not there", "data:1\n\ndata:2\n", [message("1")]],
    ["nor with its line not ended", "data:1\n\nid:7\ndata:2", [message("1")]],
    ["characters of several bytes are whole wherever they are cut", "data:ä€🦀\n\n", [message("ä€🦀")]],
    ["bytes that are no UTF-8 are replaced", Buffer.from("data:\xff\xc3(\n\n", "latin1"), [message("\ufffd\ufffd(")]],
    ["nothing is no event", "", []],
  ]) {
    test(name, () => check(name, stream, expected));
  }

  test("a time to come back is of ASCII digits", async () => {
    for (const [line, expected] of [
      ["retry:3000", 3000], ["retry: 0", 0], ["retry:007", 7],
      ["retry", undefined], ["retry:", undefined], ["retry:  1", undefined], ["retry:1 ", undefined],
      ["retry:-1", undefined], ["retry:+1", undefined], ["retry:1.5", undefined], ["retry:1e3", undefined],
      ["retry:0x10", undefined], ["retry:1000x", undefined], ["retry:١٢", undefined],
    ]) {
      const { blocks } = await follow("", answered([Buffer.from(`${line}\ndata:x\n\n`)]));
      assert.equal(blocks[0].retry, expected, line);
    }
  });

  test(`is read as another parser reads it, whatever is in it (seed ${SEED})`, () => {
    const random = seeded(SEED);
    const parts = ["data", "id", "event", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "1", "x", "\0", "ä🦀", "data: y\n\n"];
    for (let round = 0; round < 2000; round++) {
      const stream = Array.from({ length: 40 }, () => parts[Math.floor(random() * parts.length)]).join("") + "x\n";
      const [ours, theirs] = [[], []];
      const parser = new EventParser(({ event, data, id }) => data === undefined || ours.push({ event: event || undefined, data, id }));
      const other = createParser({ onEvent: ({ event, data, id }) => theirs.push({ event, data, id }) });
      other.feed(stream);
      for (let at = 0; at < stream.length; ) {
        const end = at + Math.floor(random() * 10);
        parser.push(stream.slice(at, end));
        at = end;
      }
      assert.deepEqual(ours, theirs, JSON.stringify(stream));
    }
  });
});

describe("the answer to a request for one", () => {
  let server;
  let base;
  before(async () => {
    server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url, "http://localhost");
      if (pathname === "/redirect") {
        response.writeHead(Number(searchParams.get("status")), { location: "/stream" }).end();
      } else {
        const type = searchParams.get("type") ?? TYPE["content-type"];
        response.writeHead(Number(searchParams.get("status") ?? 200), type && { "content-type": type });
        response.end(searchParams.get("status") === "204" ? undefined : "data:1\n\n");
      }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${server.address().port}`;
  });
  after(() => server.close());

  for (const type of ["text/event-stream", "text/event-stream;charset=UTF-8", "text/event-stream; x bogus", "Text/Event-Stream", "text/event-stream ;x"]) {
    test(`is a stream as ${type}`, async () => {
      const { end, blocks } = await follow(`${base}/stream?type=${encodeURIComponent(type)}`, fetch);
      assert.deepEqual([end.kind, blocks], ["ended", [{ data: "1" }]]);
    });
  }
  for (const type of ["", "text/html", "text/plain", "text/event-streamx", "text/event-stream-x", "text/event", "x text/event-stream"]) {
    test(`is none as ${type || "nothing"}`, async () => {
      const { end, blocks } = await follow(`${base}/stream?type=${encodeURIComponent(type)}`, fetch);
      assert.deepEqual([end.kind, blocks], ["network", []]);
    });
  }
  for (const status of [301, 302, 303, 307, 308]) {
    test(`may be elsewhere, by a ${status}`, async () => {
      const { blocks } = await follow(`${base}/redirect?status=${status}`, fetch);
      assert.deepEqual(blocks, [{ data: "1" }]);
    });
  }
  for (const status of [201, 204, 205, 206, 400, 404, 500, 503]) {
    test(`is no stream with a ${status}, whatever its type`, async () => {
      const { end, blocks } = await follow(`${base}/stream?status=${status}`, fetch);
      assert.deepEqual([end.kind, end.status, blocks], ["refused", status, []]);
    });
  }
});

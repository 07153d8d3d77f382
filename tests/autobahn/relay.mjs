// Lets a test suite of WebSockets that wants an echo judge the real hub: `docs/conformance.md` says how.
//
//     node relay.mjs PORT HUB_PORT JWT
//
// What the client sends goes to the hub byte by byte; only the head of its request gets the hub's path and a
// token. What the hub sends comes back byte by byte too, with two exceptions: the two messages that open a
// stream are left out, and where the hub says that a message is no command, that message comes back, as an
// echo. So the hub's own codec does all that is judged: what is taken, what is refused, how, and when.

import { connect, createServer } from "node:net";

const [port, hubPort, jwt] = process.argv.slice(2);
const PATH = "/api/admin/analytics/websocket?metrics=none";
const OPENING = ["connection_established", "initial_metrics"];

const [CONTINUATION, TEXT] = [0x0, 0x1];

/** Cuts a stream of bytes into frames; of what is no frame it makes nothing. */
class Frames {
  #waiting = [];
  #length = 0;
  #needed = 2;

  *feed(bytes) {
    this.#waiting.push(bytes);
    this.#length += bytes.length;
    while (this.#length >= this.#needed) {
      const all = Buffer.concat(this.#waiting);
      const { frame, needed = 2 } = parse(all);
      const rest = frame ? all.subarray(frame.length) : all;
      [this.#waiting, this.#length, this.#needed] = [[rest], rest.length, needed];
      if (frame) yield frame;
    }
  }

  get rest() {
    return Buffer.concat(this.#waiting);
  }
}

/** The frame that `bytes` begin with, or how many bytes it takes to know more. */
function parse(bytes) {
  const short = bytes[1] & 0x7f;
  const masked = bytes[1] >= 0x80;
  const extended = { 126: 2, 127: 8 }[short] ?? 0;
  const head = 2 + extended + (masked ? 4 : 0);
  if (bytes.length < head) {
    return { needed: head };
  }
  const payloadLength = { 0: () => short, 2: () => bytes.readUInt16BE(2),
    8: () => Number(bytes.readBigUInt64BE(2)) }[extended]();
  const length = head + payloadLength;
  if (bytes.length < length) {
    return { needed: length };
  }
  const payload = Buffer.from(bytes.subarray(head, length));
  if (masked) {
    const key = bytes.subarray(head - 4, head);
    for (let at = 0; at < payload.length; at += 1) {
      payload[at] ^= key[at & 3];
    }
  }
  return { frame: { fin: bytes[0] >= 0x80, opcode: bytes[0] & 0x0f, payload, length, bytes: bytes.subarray(0, length) } };
}

/** The texts that a client has sent, whole ones only. */
class Texts {
  #frames = new Frames();
  #begun = [];
  sent = [];

  feed(bytes) {
    for (const { fin, opcode, payload } of this.#frames.feed(bytes)) {
      if (opcode === TEXT) {
        this.#begun = [payload];
      } else if (opcode === CONTINUATION) {
        this.#begun.push(payload);
      }
      if (fin && (opcode === TEXT || opcode === CONTINUATION)) {
        this.sent.push(Buffer.concat(this.#begun));
      }
    }
  }
}

function textFrame(payload) {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
  head[0] = 0x80 | TEXT;
  head[1] = length < 126 ? length : length < 65536 ? 126 : 127;
  if (head.length === 4) {
    head.writeUInt16BE(length, 2);
  } else if (head.length === 10) {
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** What takes the bytes of one direction: first all to the end of the head, then the rest as it comes. */
function afterHead(onHead, onBody) {
  let head = Buffer.alloc(0);
  return (bytes) => {
    if (head === null) {
      return onBody(bytes);
    }
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) {
      return undefined;
    }
    const [whole, rest] = [head.subarray(0, end + 4), head.subarray(end + 4)];
    head = null;
    onHead(whole.toString("latin1"));
    return rest.length > 0 ? onBody(rest) : undefined;
  };
}

function relay(client) {
  const hub = connect({ port: Number(hubPort), host: "127.0.0.1", allowHalfOpen: true });
  for (const [one, other] of [[client, hub], [hub, client]]) {
    one.setNoDelay(true);
    one.on("end", () => other.end());
    one.on("error", () => other.resetAndDestroy());
    one.on("close", () => other.destroySoon());
  }

  const texts = new Texts();
  client.on("data", afterHead(
    (head) => hub.write(head
      .replace(/^GET \S+/, `GET ${PATH}`)
      .replace(/\r\n\r\n$/, `\r\nAuthorization: Bearer ${jwt}\r\n\r\n`), "latin1"),
    (bytes) => {
      texts.feed(bytes);
      hub.write(bytes);
    },
  ));

  const frames = new Frames();
  const opening = [...OPENING];
  hub.on("data", afterHead(
    (head) => client.write(head, "latin1"),
    (bytes) => {
      for (const frame of frames.feed(bytes)) {
        client.write(translated(frame));
      }
    },
  ));
  // An answer that is no WebSocket, or half a frame.
  hub.on("end", () => client.write(frames.rest));

  function translated({ opcode, payload, bytes }) {
    if (opcode !== TEXT) {
      return bytes;
    }
    const message = JSON.parse(payload);
    if (message.type === opening[0]) {
      opening.shift();
      return Buffer.alloc(0);
    }
    return message.data.code === "invalid_message" ? textFrame(texts.sent.shift()) : bytes;
  }
}

createServer({ allowHalfOpen: true }, relay).listen(Number(port), "127.0.0.1", () => {
  console.log(`relay on 127.0.0.1:${port}`);
});

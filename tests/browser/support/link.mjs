// A wire between a browser and what it talks to, with everything that wires do: cut, unplugged, slow,
// refused.

import { connect, createServer } from "node:net";
import { once } from "node:events";

/** How bytes come through: whole and at once, unless said. */
const CLEAN = { delayMs: 0, bytesPerSecond: Infinity };

export class Link {
  #connections = new Set();
  #quality = CLEAN;
  #isUnplugged = false;
  /** Those that were there when it was unplugged. */
  #before = [];
  #resets = 0;

  /** @param {number} port of what it leads to */
  static async to(port) {
    const link = new Link();
    link.target = port;
    link.port = 0;
    await link.#listen();
    return link;
  }

  async #listen() {
    // A side that has said all may still be told something.
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#take(socket));
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
  }

  #take(near) {
    if (this.#resets > 0) {
      this.#resets -= 1;
      const doomed = { near, far: near };
      this.#connections.add(doomed);
      near.on("error", () => {});
      near.on("close", () => this.#connections.delete(doomed));
      // Once the request is there, so that the browser has sent it and sees no head.
      near.once("data", () => near.resetAndDestroy());
      return;
    }
    const far = connect({ port: this.target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const connection = { near, far, isForgotten: false };
    this.#connections.add(connection);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#connections.delete(connection);
        if (!connection.isForgotten) to.destroy();
      });
      this.#pass(from, to, connection);
    }
  }

  /** One direction, until its end. */
  async #pass(from, to, connection) {
    try {
      for await (const piece of from) {
        for (const part of this.#parts(piece)) {
          await this.#crossing(part);
          // What the near side says is for a connection that nobody knows.
          if (connection.isForgotten && from === connection.near) from.resetAndDestroy();
          if (to.destroyed || connection.isForgotten) return;
          if (!to.write(part)) await once(to, "drain");
        }
      }
      await this.#crossing(new Uint8Array());
      if (!connection.isForgotten) to.end();
    } catch {
      // One of the two has gone; so does the other, by its `close`.
    }
  }

  /** In pieces that take a tenth of a second each on a slow wire. */
  *#parts(piece) {
    const size = Math.max(1, Math.min(piece.length, Math.floor(this.#quality.bytesPerSecond / 10)));
    for (let at = 0; at < piece.length; at += size) yield piece.subarray(at, at + size);
  }

  async #crossing(part) {
    const { delayMs, bytesPerSecond } = this.#quality;
    const ms = delayMs + (part.length / bytesPerSecond) * 1000;
    if (ms >= 1) await new Promise((resolve) => setTimeout(resolve, ms));
    while (this.#isUnplugged) await this.plugged;
  }

  /** Ends every connection in the middle, without a goodbye on either side. New ones are taken. */
  cut() {
    for (const { near, far } of this.#connections) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  /** Nothing comes through, in either direction, and nobody is told; new connections hang too. */
  unplug() {
    if (this.#isUnplugged) return;
    this.#isUnplugged = true;
    this.#before = [...this.#connections];
    this.plugged = new Promise((resolve) => (this.plugIn = resolve));
  }

  /**
   * What was on its way comes through. With `forgets` it does not, as behind a router that has lost the
   * connections meanwhile: their near sides stay open and silent, and are reset if they say anything.
   */
  plug({ forgets = false } = {}) {
    if (!this.#isUnplugged) return;
    if (forgets) {
      for (const connection of this.#before) {
        connection.isForgotten = true;
        connection.far.destroy();
      }
    }
    this.#isUnplugged = false;
    this.plugIn();
  }

  /** From now on, for what is open too: `delayMs` each way, `bytesPerSecond`. */
  slow(quality) {
    this.#quality = { ...CLEAN, ...quality };
  }

  /** Refuses connections, and cuts those there are. */
  async refuse() {
    this.server.close();
    this.cut();
    await once(this.server, "close");
  }

  /** Takes connections again, on the same port. */
  accept() {
    return this.#listen();
  }

  /** The next `count` connections are reset when their request is there and before there is an answer. */
  resetNext(count) {
    this.#resets = count;
  }

  async stop() {
    this.plug();
    this.cut();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, "close");
  }
}

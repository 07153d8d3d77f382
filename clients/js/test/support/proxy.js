// A TCP proxy that can be made to misbehave.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Proxy {
  #server;
  #pairs = new Set();
  // Bytes of the next answer that pass before everything is cut; `null`: no cut is due.
  #cutAfter = null;
  // Whether answers are kept back, as by a proxy that buffers, or everything is, as on a dead network.
  buffering = false;
  refusing = false;
  opened = 0;

  static async start(port) {
    const proxy = new Proxy();
    proxy.#server = createServer((client) => proxy.#accept(client, port)).listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}/`;
    return proxy;
  }

  cut() {
    for (const { client, hub } of this.#pairs) {
      client.resetAndDestroy();
      hub.destroy();
    }
    this.#pairs.clear();
  }

  // In the middle of what the hub sends next.
  cutAfter(bytes) {
    this.#cutAfter = bytes;
  }

  async stop() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client, port) {
    if (this.refusing) return void client.resetAndDestroy();
    this.opened++;
    const hub = connect(port, "127.0.0.1");
    const pair = { client, hub };
    this.#pairs.add(pair);
    for (const socket of [client, hub]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#pairs.delete(pair);
        client.destroy();
        hub.destroy();
      });
    }
    client.pipe(hub);
    hub.on("data", (bytes) => {
      if (this.#cutAfter !== null) {
        client.write(bytes.subarray(0, this.#cutAfter), () => this.cut());
        this.#cutAfter = null;
      } else client.write(this.#through(client, bytes));
    });
  }

  // Of an event stream the head alone, while it buffers.
  #through(client, bytes) {
    if (client.isStream && this.buffering) return "";
    client.isStream ||= bytes.includes("text/event-stream");
    const isKept = client.isStream && this.buffering;
    return isKept ? bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4) : bytes;
  }
}

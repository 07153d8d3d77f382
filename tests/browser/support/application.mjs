// The application that a dashboard belongs to: it serves the pages and signs the tokens. Behind the same
// proxy as the hub, or on an origin of its own.

import { once } from "node:events";
import { createServer } from "node:http";

/** A page with nothing in it. */
const BLANK = `<!doctype html><html lang="en"><meta charset="utf-8"><title>dashboard</title>
<link rel="icon" href="data:,"><body></body></html>`;

export class Application {
  /** From path to what is there: HTML, or `{type, body}`. */
  pages = new Map([["/app/blank", BLANK]]);
  /** Tokens that pages have asked for so far. */
  signed = [];
  /** What `/app/token` answers: a JWT, or a status. */
  sign = () => 503;

  /** On a free port. */
  static async start() {
    const application = new Application();
    application.server = createServer((request, answer) => application.#answer(request, answer));
    application.server.listen(0, "127.0.0.1");
    await once(application.server, "listening");
    application.port = application.server.address().port;
    return application;
  }

  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  #answer(request, answer) {
    const path = request.url.split("?")[0];
    const { status = 200, type = "text/html; charset=utf-8", body } =
      path === "/app/token" ? this.#token() : this.#page(path);
    answer.writeHead(status, { "Content-Type": type });
    answer.end(body);
  }

  #page(path) {
    const page = this.pages.get(path);
    if (page === undefined) return { status: 404, body: "no such page" };
    return typeof page === "string" ? { body: page } : page;
  }

  #token() {
    const token = this.sign();
    this.signed.push(token);
    return typeof token === "number" ? { status: token, body: "" } : { type: "text/plain", body: token };
  }

  async stop() {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }
}

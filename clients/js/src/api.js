import { StatshubError } from "./error.js";
import { refusal } from "./links.js";

const BASE = "api/admin/analytics/";

// Requests to the hub, as the user.
export class Api {
  #root;
  #tokens;
  #env;

  constructor(root, tokens, env) {
    this.#root = root;
    this.#tokens = tokens;
    this.#env = env;
  }

  url(path, query = {}) {
    const url = new URL(BASE + path, this.#root);
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
    return url.href;
  }

  // Of the hub's root, whatever stands before that in a proxy's address.
  webSocketUrl(endpoint, query) {
    const url = new URL(this.url("", query));
    url.pathname = new URL(endpoint.replace(/^\//, ""), this.#root).pathname;
    url.protocol = url.protocol.replace("http", "ws");
    return url.href;
  }

  init(token) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return { headers, credentials: token ? "same-origin" : "include", cache: "no-store" };
  }

  // The answer's data. Throws a StatshubError whose `end` is as a refused stream's.
  async ask(path, { query, body, token, signal } = {}) {
    const init = { ...this.init(token ?? (await this.#tokens.get())), signal };
    if (body) {
      init.method = "POST";
      init.body = JSON.stringify(body);
      init.headers["Content-Type"] = "application/json";
    }
    const answer = await this.#env.fetch(this.url(path, query), init).catch(() => null);
    if (answer?.ok) return (await answer.json()).data;
    const end = answer ? await refusal(answer) : { kind: "network" };
    const error = new StatshubError(end.message ?? "The hub cannot be reached", end.code ?? end.kind, end.status);
    throw Object.assign(error, { end });
  }
}

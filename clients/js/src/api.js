import { refusal } from "./links.js";

// Nothing is waited for longer: a cable that is pulled would hold all that comes after.
const ANSWER_MS = 10_000;
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

  // An absolute path is one of the hub's, which is not at the root of every proxy.
  url(path, query = {}) {
    const url = new URL(path[0] === "/" ? path.slice(1) : BASE + path, this.#root);
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
    return url.href;
  }

  /** @returns {RequestInit & { headers: Record<string, string> }} */
  init(token) {
    /** @type {Record<string, string>} */
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return { headers, credentials: token ? "same-origin" : "include", cache: "no-store" };
  }

  /**
   * The answer's data. Throws an `end` as a refused stream has one.
   * @param {string} path
   * @param {{ query?: object, body?: object, token?: string | null, signal?: AbortSignal }} options
   */
  async ask(path, { query, body, token, signal = AbortSignal.timeout(ANSWER_MS) } = {}) {
    /** @type {RequestInit & { headers: Record<string, string> }} */
    const init = { ...this.init(token ?? (await this.#tokens.get())), signal };
    if (body) {
      init.method = "POST";
      init.body = JSON.stringify(body);
      init.headers["Content-Type"] = "application/json";
    }
    const answer = await this.#env.fetch(this.url(path, query), init).catch(() => null);
    if (answer?.ok) return (await answer.json()).data;
    throw { end: answer ? await refusal(answer) : { kind: "network" } };
  }
}

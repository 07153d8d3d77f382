import { StatshubError } from "./error.js";

// A clock that is a little off, and the way to the hub.
const MARGIN_MS = 2000;
const EXPIRING_MS = 60_000;
const EXPIRING_SHARE = 0.25;

// The page's JWT: asked for when it is needed, kept in memory. Without `getToken` there is none,
// and requests carry cookies.
export class Tokens {
  #getToken;
  #env;
  #token;
  #claims = {};
  #asked;
  // How far the hub's clock is ahead of ours: `exp` is in the hub's time.
  #ahead = 0;

  constructor(getToken, env) {
    this.#getToken = getToken;
    this.#env = env;
  }

  get subject() {
    const subject = this.#claims.sub ?? this.#claims.userId;
    return subject == null ? null : String(subject);
  }

  set hubTime(timestamp) {
    this.#ahead = Date.parse(timestamp) - this.#env.now() || 0;
  }

  get #livesMs() {
    const { exp } = this.#claims;
    return typeof exp === "number" ? exp * 1000 - this.#env.now() - this.#ahead : Infinity;
  }

  // In how many milliseconds another should be asked for; `Infinity` where that is not known.
  get renewInMs() {
    const lives = this.#livesMs;
    return Math.max(lives - Math.min(EXPIRING_MS, lives * EXPIRING_SHARE), 0);
  }

  // The token, a fresh one where there is a `reason` for that.
  async get(reason) {
    if (!this.#getToken) return null;
    if (this.#token && !reason && this.#livesMs > MARGIN_MS) return this.#token;
    const ask = () => this.#ask(reason ?? (this.#token ? "expired" : "start"));
    return (this.#asked ??= ask().finally(() => (this.#asked = null)));
  }

  async #ask(reason) {
    try {
      const token = await this.#getToken({ reason });
      if (typeof token !== "string" || !token) throw new Error("getToken gave no token");
      this.#token = token;
      this.#claims = claims(token);
      return token;
    } catch (error) {
      throw new StatshubError(String(error?.message ?? error), "token_unavailable");
    }
  }
}

// What a JWT says; nothing where it is none that can be read here, which only the hub needs. Letters beyond ASCII
// stay the bytes that they are in UTF-8: they only tell users apart.
function claims(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))) ?? {};
  } catch {
    return {};
  }
}

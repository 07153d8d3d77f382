// What a browser talks to: a link, nginx behind it, another link, and the hub.
//
//   browser -- site.link -- nginx -- site.back -- hub
//                             \-- site.application
//
// So a fault can be where the user's network is, or between the proxy and its hub.

import { Application } from "./application.mjs";
import { Hub } from "./hub.mjs";
import { Link } from "./link.mjs";
import { Nginx } from "./nginx.mjs";

export class Site {
  /**
   * @param {import("node:test").TestContext} t stops it all when the test is over
   * @param {{config?: string, origins?: string[], args?: string[], realtime?: string}
   *   & import("./nginx.mjs").Options} [options] those of the hub and of nginx; `origins` are the other ones
   * whose pages may ask
   */
  static async start(t, { config = "", origins = [], args, realtime, ...nginx } = {}) {
    const site = new Site();
    t.after(() => site.#stop());
    const http = `[http]\ntrusted_proxies = ["127.0.0.1"]\nallowed_origins = ${JSON.stringify(origins)}\n`;
    site.hub = await Hub.start({ config: http + config, args, realtime });
    site.application = await Application.start();
    site.application.sign = () => site.hub.token();
    site.back = await Link.to(site.hub.port);
    site.nginx = await Nginx.before({ hub: site.back.port, application: site.application.port }, nginx);
    site.link = await Link.to(site.nginx.port);
    site.scheme = nginx.tls ? "https" : "http";
    site.blank = site.url("/app/blank");
    return site;
  }

  url(path) {
    return `${this.scheme}://127.0.0.1:${this.link.port}${path}`;
  }

  /** Another origin with pages, until the test is over. */
  static async elsewhere(t) {
    const application = await Application.start();
    t.after(() => application.stop());
    return application;
  }

  async #stop() {
    for (const part of [this.link, this.nginx, this.back, this.application, this.hub]) await part?.stop();
  }
}

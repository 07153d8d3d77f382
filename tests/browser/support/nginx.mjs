// A real nginx, with the settings that the documents give, on a port and in a directory of its own.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "./hub.mjs";
import { freePort } from "../../../clients/js/test/support/ports.js";
import { Program, directory } from "./program.mjs";
import { snippet } from "./readme.mjs";
import { until } from "./wait.mjs";

const BINARY = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";

/** What every nginx needs around a server. */
const around = (server) => `worker_processes 1; daemon off;
pid /run/nginx.pid; error_log /var/log/nginx/error.log warn;
events { worker_connections 1024; }
http { access_log off; ${server} }`;

/** The files that settings are taken from; the hub is 127.0.0.1:3001 in each. */
const SETTINGS = {
  /** README's, for one hub. */
  recipe: () => around(snippet("Behind a proxy", "nginx").replace("# listen,", "listen 8080; #")),
  /** The example for three hubs, all of which are one here. */
  example: () =>
    `daemon off;\n${readFileSync(join(ROOT, "examples/nginx/nginx.conf"), "utf8")}`
      .replace(/^ *server hub[23]:3001.*\n/gm, "")
      .replaceAll("hub1:3001", "127.0.0.1:3001"),
  /** What people have who have read nothing. */
  plain: () =>
    around(`server { listen 8080; location /api/ {
      proxy_pass http://127.0.0.1:3001; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; } }`),
};

/** What else is on the same origin: the application, and where the settings are those of the interface only, the hub's pages. */
const beside = (application, settings) => `
    location /app/ { proxy_pass http://127.0.0.1:${application}; }
    ${settings === "plain" ? "location / { proxy_pass http://127.0.0.1:3001; }" : ""}`;

/** A certificate that nobody vouches for. */
function certificate(home) {
  const [key, pem] = [join(home, "key.pem"), join(home, "cert.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, "-keyout", key, "-out", pem], { stdio: "ignore" });
  return `ssl_certificate ${pem}; ssl_certificate_key ${key};`;
}

/**
 * @typedef {object} Options
 * @property {keyof typeof SETTINGS} [settings]
 * @property {boolean} [tls] with HTTP/2
 * @property {string} [more] further locations
 */

export class Nginx {
  /**
   * @param {{hub: number, application: number}} ports
   * @param {Options} [options]
   */
  static async before({ hub, application }, { settings = "recipe", tls = false, more = "" } = {}) {
    const nginx = new Nginx();
    nginx.home = directory();
    nginx.port = await freePort();
    const { path } = nginx.home;
    const listen = tls ? `listen 127.0.0.1:${nginx.port} ssl http2; ${certificate(path)}` : `listen 127.0.0.1:${nginx.port};`;
    const text = SETTINGS[settings]()
      .replace("listen 8080;", `${listen} ${more} ${beside(application, settings)}`)
      .replaceAll("127.0.0.1:3001", `127.0.0.1:${hub}`)
      .replaceAll("/var/log/nginx/", `${path}/`)
      .replaceAll("/run/nginx.pid", `${path}/nginx.pid`);
    writeFileSync(join(path, "nginx.conf"), text);
    nginx.program = new Program(BINARY, ["-p", path, "-c", join(path, "nginx.conf")], { cwd: path });
    await until("nginx to listen", () => nginx.#isReached(), () => nginx.program.wrote);
    return nginx;
  }

  async #isReached() {
    const socket = connect(this.port, "127.0.0.1");
    await once(socket, "connect");
    socket.destroy();
    return true;
  }

  async stop() {
    await this.program.stop();
    this.home.remove();
  }
}

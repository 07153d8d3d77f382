// Sockudo takes signed publishes only (the Pusher HTTP API). This small program signs what the load
// generator posts and passes it on, on the load generator's core; its time is not counted to the server.

import { createHash, createHmac } from "node:crypto";
import { Agent, createServer, request } from "node:http";

const { PORT, SOCKUDO_PORT } = process.env;
const agent = new Agent({ keepAlive: true });
const path = "/apps/compare/events";

function signed(body) {
  const query = new URLSearchParams({
    auth_key: "compare-key",
    auth_timestamp: Math.floor(Date.now() / 1000),
    auth_version: "1.0",
    body_md5: createHash("md5").update(body).digest("hex"),
  }).toString();
  const signature = createHmac("sha256", "compare-secret").update(`POST\n${path}\n${query}`);
  return `${path}?${query}&auth_signature=${signature.digest("hex")}`;
}

function publish(data, answer) {
  const body = JSON.stringify({ name: "metrics", channel: "bench", data });
  const options = {
    port: SOCKUDO_PORT,
    method: "POST",
    path: signed(body),
    agent,
    headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) },
  };
  const passed = request(options, (answered) => {
    answered.resume();
    answered.on("end", () => answer(answered.statusCode));
  });
  passed.on("error", () => answer(502));
  passed.end(body);
}

const server = createServer((req, res) => {
  const chunks = [];
  req.on("data", (chunk) => chunks.push(chunk));
  req.on("end", () =>
    publish(Buffer.concat(chunks).toString(), (status) => {
      res.writeHead(status, { "Content-Length": 0 }).end();
    }),
  );
});
server.listen({ host: "127.0.0.1", port: Number(PORT) });

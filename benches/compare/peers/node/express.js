// What most Node applications do: Express, server-sent events written by hand, and `ws` beside them.
// Broadcast and heartbeat are those of the README of ws. What goes out is serialised once.

import { createServer } from "node:http";
import express from "express";
import { WebSocket, WebSocketServer } from "ws";

const app = express();
const server = createServer(app);
const sockets = new WebSocketServer({ server, path: "/ws", perMessageDeflate: false });
const streams = new Set();

app.get("/events", (req, res) => {
  res.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  res.flushHeaders();
  streams.add(res);
  res.on("close", () => streams.delete(res));
});

sockets.on("connection", (socket) => {
  socket.isAlive = true;
  socket.on("error", console.error);
  socket.on("pong", () => (socket.isAlive = true));
});

app.post("/publish", express.json(), (req, res) => {
  const text = JSON.stringify(req.body);
  const event = `data: ${text}\n\n`;
  for (const stream of streams) stream.write(event);
  const message = Buffer.from(text);
  for (const socket of sockets.clients) {
    if (socket.readyState === WebSocket.OPEN) socket.send(message, { binary: false });
  }
  res.sendStatus(202);
});

setInterval(() => {
  for (const stream of streams) stream.write(":\n\n");
  for (const socket of sockets.clients) {
    if (!socket.isAlive) {
      socket.terminate();
      continue;
    }
    socket.isAlive = false;
    socket.ping();
  }
}, 30_000);

server.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 4096 });

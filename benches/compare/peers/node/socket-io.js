// socket.io on Express. WebSocket only, without compression, and what its guide on memory says: the
// request that opened a connection is not kept.

import { createServer } from "node:http";
import express from "express";
import { Server } from "socket.io";

const app = express();
const server = createServer(app);
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});
io.engine.on("connection", (socket) => (socket.request = null));

app.post("/publish", express.json(), (req, res) => {
  io.emit("metrics", req.body);
  res.sendStatus(202);
});

server.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 4096 });

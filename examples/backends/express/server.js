import { randomUUID } from "node:crypto";
import cookieSession from "cookie-session";
import express from "express";
import { publish, token } from "./statshub.js";

const app = express();
app.use(cookieSession({ name: "session", keys: [process.env.SESSION_SECRET], sameSite: "lax" }));

// Stands for the login that the application has.
app.get("/login", (_, response) => {
  response.send('<form method="post"><input name="username"><input name="password" type="password"><button>Log in</button></form>');
});
app.post("/login", express.urlencoded(), (request, response) => {
  const { username, password } = request.body;
  if (username !== "admin" || password !== process.env.ADMIN_PASSWORD) return response.sendStatus(401);
  request.session.user = username;
  response.redirect("/");
});

app.get("/hub-token", (request, response) => {
  if (!request.session.user) return response.sendStatus(401);
  response.set("Cache-Control", "no-store").type("text").send(token(request.session.user, "platform_admin", "5m"));
});

app.post("/orders", express.json(), (request, response) => {
  const order = { id: randomUUID(), total: Number(request.body.total) };
  if (!Number.isFinite(order.total)) return response.sendStatus(400);
  // Not awaited: the order does not depend on the hub.
  publish("publish", { metric: "orders.latest", data: order }, `order-${order.id}`).catch(console.error);
  if (order.total >= 1000) {
    const alert = { severity: "medium", message: `An order of ${order.total}`, orderId: order.id };
    publish("alerts", alert, `order-${order.id}-large`).catch(console.error);
  }
  response.status(201).json(order);
});

app.listen(process.env.PORT ?? 3000, "127.0.0.1");

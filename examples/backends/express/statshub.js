// What the application has to do with the hub: tokens, and publishing.
import { setTimeout as sleep } from "node:timers/promises";
import jwt from "jsonwebtoken";

const api = `${process.env.STATSHUB_URL ?? "http://127.0.0.1:3001"}/api/admin/analytics`;

export const token = (user, role, expiresIn) =>
  jwt.sign({ sub: user, role }, process.env.JWT_SECRET, { algorithm: "HS256", expiresIn });

// Tries again with the same key, so that the hub has it once, whatever became of the answers.
export async function publish(path, message, key) {
  for (let tries = 0; tries < 5; tries++) {
    const answer = await post(path, message, key).catch(() => null);
    if (answer?.ok) return;
    if (answer && ![408, 429].includes(answer.status) && answer.status < 500) {
      throw new Error(`statshub refused ${key}: ${answer.status} ${await answer.text()}`);
    }
    await sleep(1000 * (answer?.headers.get("Retry-After") ?? 2 ** tries));
  }
  throw new Error(`statshub could not be reached for ${key}`);
}

const post = (path, message, key) =>
  fetch(`${api}/${path}`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${token("shop", "service", "1m")}`,
      "Content-Type": "application/json",
      "Idempotency-Key": key,
    },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(5000),
  });

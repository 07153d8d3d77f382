// The client library where server-sent events do not get through.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fast } from "../../support/clocks.mjs";
import { Dashboard } from "../../support/dashboard.mjs";
import { Site } from "../../support/site.mjs";

/** nginx before the streams, as somebody else has set it up. */
const streams = (does) => `location ~ ^/api/admin/analytics/(stream|reconnect)$ { ${does} }`;

const OBSTACLES = {
  "kept back by a proxy that compresses": streams(
    // What the hub has compressed itself it would let be.
    `proxy_pass http://127.0.0.1:3001; proxy_http_version 1.1; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;
    proxy_set_header Accept-Encoding "";
    gzip on; gzip_proxied any; gzip_types text/event-stream; gzip_min_length 1;`,
  ),
  "answered by somebody else's page": streams('default_type text/html; return 200 "<title>Log in to this network</title>";'),
  "forbidden by a filter": streams('default_type text/html; return 403 "<title>Blocked</title>";'),
  "cut off without an answer": streams("return 444;"),
};

export function fallback(world) {
  describe("the library takes a WebSocket where event streams are", () => {
    for (const [what, more] of Object.entries(OBSTACLES)) {
      test(what, async (t) => {
        const site = await Site.start(t, { more });
        const dashboard = await Dashboard.open(await world.browser.person(t), site, {}, fast(5));
        await site.hub.publish("n", 1);
        await dashboard.shows(1);
        site.link.cut();
        await site.hub.publish("n", 2);
        await dashboard.shows(2);
        await dashboard.hasAll(1, 2);
        const { connection } = await dashboard.seen;
        assert.equal(connection.transport, "websocket");
      });
    }
  });

  test("the library takes event streams where it can choose", async (t) => {
    const site = await Site.start(t);
    const dashboard = await Dashboard.open(await world.browser.person(t), site);
    assert.equal((await dashboard.seen).connection.transport, "sse");
  });
}

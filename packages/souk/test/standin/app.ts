/** A service as small as can be: for tests of the runner. It keeps what it has heard in a file. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const {
  APP_ID = "",
  APP_PORT,
  APP_API_TOKEN,
  PORT,
  HOST,
  SOUK_DATA = ".",
  STANDIN_FAILS,
  STANDIN_SLOW,
} = process.env;
if (STANDIN_FAILS === APP_ID) throw new Error("This service was told to fail.");
const file = join(SOUK_DATA, `${APP_ID}.txt`);

Bun.serve({
  port: Number(APP_PORT),
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/health") return new Response("up");
    if (request.headers.get("dapr-api-token") !== APP_API_TOKEN) return new Response("no", { status: 401 });
    if (pathname === "/dapr/subscribe") {
      return Response.json(
        APP_ID === "orders"
          ? [
              {
                pubsubname: "pubsub",
                topic: "catalog",
                route: "/_events/catalog",
                deadLetterTopic: "orders-dead",
                bulkSubscribe: { enabled: true, maxMessagesCount: 100, maxAwaitDurationMs: 10 },
              },
            ]
          : [],
      );
    }
    if (pathname === "/_events/catalog") {
      const { entries } = (await request.json()) as {
        entries: { entryId: string; event: { data: unknown } }[];
      };
      for (const { event } of entries) appendFileSync(file, `${JSON.stringify(event.data)}\n`);
      return Response.json({ statuses: entries.map(({ entryId }) => ({ entryId, status: "SUCCESS" })) });
    }
    if (pathname === "/orders/heard") {
      return new Response(existsSync(file) ? readFileSync(file, "utf8") : "");
    }
    return Response.json({ app: APP_ID, path: pathname, pid: process.pid });
  },
});
if (PORT) Bun.serve({ port: Number(PORT), hostname: HOST, fetch: () => new Response("the shop") });
console.log(JSON.stringify({ level: 30, time: Date.now(), message: `${APP_ID} listens` }));

process.on("SIGTERM", () => {
  // Who is slow to stop is waited for, and then killed.
  if (STANDIN_SLOW !== APP_ID) process.exit(0);
});

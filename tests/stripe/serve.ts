import { type FakeStripe, fakeStripe } from "./fake.ts";

/** A Stripe with a memory on a port of its own; a broken connection is an answer of 500 there. */
export function serveStripe(fake: FakeStripe = fakeStripe()): {
  fake: FakeStripe;
  url: string;
  stop(): Promise<void>;
} {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request) => fake.fetch(request),
    error: () => Response.json({ error: { type: "api_error", message: "out of order" } }, { status: 500 }),
  });
  return { fake, url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

import { expect, test } from "bun:test";
import { watchHealth } from "./health.ts";

test("tells once that a service went down, after it was up, and again the next time", async () => {
  const answers = [503, 503, 503, 503, 200, 503, 503, 200, 503, 503, 503, 503, 503, 200, 503, 503, 503];
  const asked: number[] = [];
  const downs: number[] = [];
  const done = Promise.withResolvers<void>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      asked.push(answers[asked.length] ?? 200);
      if (asked.length > answers.length) done.resolve();
      return new Response(null, { status: asked.at(-1) });
    },
  });
  const stop = watchHealth({
    url: server.url.href,
    intervalMs: 5,
    timeoutMs: 5_000,
    threshold: 3,
    onDown: () => downs.push(asked.length),
  });
  await done.promise;
  stop();
  // The two short failures and those before it was ever up are none.
  expect(downs).toEqual([11, 17]);
  await server.stop(true);
});

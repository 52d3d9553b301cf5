import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApi } from "../api-client.ts";
import { AnswersLog, readAnswers } from "./answers.ts";
import { client } from "./client.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  impatient = false;
  for (const end of ends.splice(0)) await end();
});

let impatient = false;

/** A shop that answers each request with the next of these; `null` breaks the connection. */
async function against(answers: (Response | null)[]) {
  const keys: (string | null)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      keys.push(request.headers.get("idempotency-key"));
      const next = answers.shift();
      if (next) return next;
      throw new Error("cut");
    },
    error: () => new Response(null, { status: 500 }),
  });
  const folder = mkdtempSync(join(tmpdir(), "souk-client-"));
  const over = new AbortController();
  ends.push(
    () => server.stop(true),
    () => rmSync(folder, { recursive: true }),
  );
  const file = join(folder, "dev-client.json");
  const issuer = `http://127.0.0.1:${server.port}`;
  writeFileSync(
    file,
    JSON.stringify({ issuer, tokenEndpoint: `${issuer}/token`, clientId: "a", clientSecret: "b" }),
  );
  const log = new AnswersLog(join(folder, "answers"));
  ends.push(() => log.close());
  return {
    asking: client(await openApi(file), log, over.signal, () => impatient),
    keys,
    over,
    read: () => readAnswers(log.path),
  };
}

const problem = (status: number, code: string) =>
  Response.json({ code, detail: code }, { status, headers: { "content-type": "application/problem+json" } });

test("asks again with the same key until there is an answer that counts, and notes each", async () => {
  const { asking, keys, read } = await against([
    problem(503, "overloaded"),
    null,
    problem(409, "in-progress"),
    Response.json({ id: "o-1" }, { status: 202 }),
  ]);
  const request = {
    method: "POST" as const,
    path: "/api/orders",
    body: { lines: [] },
    key: "k",
    guest: true,
  };
  expect(await asking.ask(request)).toMatchObject({ status: 202, body: { id: "o-1" } });
  expect(keys).toEqual(["k", "k", "k", "k"]);
  expect(read().map(({ answer }) => answer?.status)).toEqual([503, 500, 409, 202]);
  expect(read()[3]).toMatchObject({
    asked: { n: 4, method: "POST", path: "/api/orders", who: "guest", idempotencyKey: "k" },
    answer: { body: { id: "o-1" } },
  });
  expect([...asking.again.values()].reduce((a, b) => a + b)).toBe(3);
});

test("takes a refusal for an answer", async () => {
  const { asking, keys } = await against([problem(422, "unknown-product")]);
  const request = { method: "POST" as const, path: "/api/orders", body: {}, key: "k", guest: true };
  expect(await asking.ask(request)).toMatchObject({ status: 422, code: "unknown-product" });
  expect(keys).toHaveLength(1);
});

test("makes a request without a key once only", async () => {
  const { asking, keys } = await against([problem(503, "overloaded")]);
  expect(await asking.ask({ method: "POST", path: "/api/orders", body: {}, guest: true })).toMatchObject({
    status: 503,
  });
  expect(keys).toEqual([null]);
});

test("gives up when it is over", async () => {
  const { asking, over, read } = await against(Array.from({ length: 50 }, () => problem(503, "overloaded")));
  const asked = asking.ask({ path: "/api/products", guest: true });
  while (read().length < 2) await Bun.sleep(5);
  over.abort();
  // Whether it was asking or waiting just then.
  expect([503, null]).toContain((await asked).status);
});

test("gives up when it has asked for long enough", async () => {
  const { asking, keys } = await against([problem(503, "overloaded"), problem(503, "overloaded")]);
  impatient = true;
  expect(await asking.ask({ path: "/api/products", guest: true })).toMatchObject({ status: 503 });
  expect(keys).toHaveLength(1);
});

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import type { Memory } from "./edge.ts";
import service from "./service.ts";
import { behind } from "./ways.ts";

interface Letter {
  id: string;
  service: string;
  since: string;
}

let app: TestService<Memory>;
let kept: Record<string, Letter[]>;
let down: Set<string>;
let got: { service: string; path: string; method: string; body: string; key: string | null }[];

const letter = (name: string, id: string, second: number): Letter => ({
  id,
  service: name,
  since: new Date(second * 1000).toISOString(),
});

/** The services as they answer: each its own letters after a place, the latest first. */
async function invoked(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const [, name = "", path = ""] = /^\/v1\.0\/invoke\/([^/]+)\/method(.*)$/.exec(url.pathname) ?? [];
  const { method } = request;
  const body = await request.text();
  got.push({
    service: name,
    path: decodeURIComponent(path) + url.search,
    method,
    body,
    key: request.headers.get("idempotency-key"),
  });
  if (down.has(name))
    return Response.json({ errorCode: "ERR_DIRECT_INVOKE", message: "gone" }, { status: 500 });
  if (method === "POST") return Response.json({ replayed: kept[name]?.length ?? 0 }, { status: 202 });
  if (url.searchParams.get("status") === "gone") {
    const problem = { code: "invalid-query", detail: "no such status", status: 400 };
    return Response.json(problem, { status: 400, headers: { "content-type": "application/problem+json" } });
  }
  const limit = Number(url.searchParams.get("limit"));
  const cursor = url.searchParams.get("cursor");
  const after = cursor ? JSON.parse(Buffer.from(cursor, "base64url").toString()) : { at: Infinity, id: "" };
  const rest = (kept[name] ?? []).filter(
    ({ since, id }) => Date.parse(since) < after.at || (Date.parse(since) === after.at && id < after.id),
  );
  return Response.json({ items: rest.slice(0, limit), nextCursor: rest.length > limit ? "more" : null });
}

beforeAll(async () => {
  app = await testService(service, { folder: import.meta.dir, others: invoked });
});
afterAll(() => app.stop());
beforeEach(() => {
  [kept, down, got] = [{}, new Set(), []];
});

const scopes = ["ops"];
interface Page {
  items: Letter[];
  nextCursor: string | null;
  missing: { service: string }[];
}
const list = async (query = "") =>
  (await (await app.edge(`/api/dead-letters${query}`, { scopes })).json()) as Page;

test("the letters of all services are one list, page by page, each once", async () => {
  // Two services may have given up the same event in the same millisecond.
  kept.orders = [9, 7, 7, 3].map((second, i) => letter("orders", `e-${9 - i}`, second));
  kept.payments = [9, 8, 7, 1].map((second, i) => letter("payments", `e-${9 - i}`, second));
  kept.inventory = [letter("inventory", "e-9", 9)];
  const whole = (await list()).items;
  expect(whole.map(({ since }) => Date.parse(since) / 1000)).toEqual([9, 9, 9, 8, 7, 7, 7, 3, 1]);
  for (const limit of [1, 2, 3, 4]) {
    const seen: Letter[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: Page = await list(`?limit=${limit}${cursor ? `&cursor=${cursor}` : ""}`);
      expect(page.items.length).toBeLessThanOrEqual(limit);
      seen.push(...page.items);
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(whole);
  }
});

test("a service that is down is named, and the others are listed all the same", async () => {
  kept.orders = [letter("orders", "a", 1)];
  down.add("payments");
  const page = await list();
  expect(page.items).toEqual(kept.orders);
  expect(page.missing).toMatchObject([{ service: "payments", detail: expect.stringContaining("payments") }]);
  expect(page.nextCursor).toBeNull();
  for (const name of behind) down.add(name);
  expect((await app.edge("/api/dead-letters", { scopes })).status).toBe(503);
});

test("what a service refuses about the request is refused", async () => {
  const refused = await app.edge("/api/dead-letters?status=gone", { scopes });
  expect([refused.status, await refused.json()]).toMatchObject([400, { code: "invalid-query" }]);
  expect((await app.edge("/api/dead-letters?cursor=nonsense", { scopes })).status).toBe(400);
});

test("one letter is the business of its service", async () => {
  await app.edge("/api/dead-letters/orders/a%2Fb", { scopes });
  const headers = { "idempotency-key": "k" };
  await app.edge("/api/dead-letters/orders/a%2Fb/discard", {
    method: "POST",
    body: { note: "x" },
    scopes,
    headers,
  });
  expect(got.map(({ service, method, path, body, key }) => [service, method, path, body, key])).toEqual([
    ["orders", "GET", "/dead-letters/a%2Fb", "", null],
    ["orders", "POST", "/dead-letters/a%2Fb/discard", '{"note":"x"}', "k"],
  ]);
  expect((await app.edge("/api/dead-letters/nobody/a", { scopes })).status).toBe(404);
  expect((await app.edge("/api/dead-letters/orders/a", { scopes, method: "DELETE" })).status).toBe(405);
  expect(got).toHaveLength(2);
});

test("many are replayed at once, in all services or in one", async () => {
  kept.orders = [letter("orders", "a", 1), letter("orders", "b", 1)];
  kept.payments = [letter("payments", "a", 1)];
  down.add("catalog");
  const replay = async (body: unknown) => {
    const response = await app.edge("/api/dead-letters/replay", { method: "POST", body, scopes });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  expect(await replay({ type: "order.placed" })).toMatchObject({
    status: 202,
    body: { replayed: 3, missing: [{ service: "catalog" }] },
  });
  expect(new Set(got.map(({ body }) => body))).toEqual(new Set(['{"type":"order.placed"}']));
  got = [];
  expect((await replay({ service: "orders" })).body).toEqual({
    replayed: 2,
    services: [{ service: "orders", replayed: 2 }],
    missing: [],
  });
  expect(got).toHaveLength(1);
  expect((await replay({ service: "catalog" })).status).toBe(503);
  expect((await replay({ service: "nobody" })).status).toBe(404);
  expect((await replay({ everything: true })).status).toBe(400);
});

test("the lists are for operators only", async () => {
  for (const [method, path] of [
    ["GET", "/api/dead-letters"],
    ["POST", "/api/dead-letters/replay"],
  ] as const) {
    expect((await app.edge(path, { method })).status).toBe(401);
    expect((await app.edge(path, { method, scopes: ["orders:manage"] })).status).toBe(403);
  }
  expect(got).toEqual([]);
});

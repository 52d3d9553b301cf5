import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type RequestOptions, type TestService, testService } from "chassis/testing";
import catalog from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

const scopes = ["catalog:write"];
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const holder = { sku: "85123A", name: "Holder", category: "Candles", price: gbp(255), kind: "physical" };
const viewed = { ...holder, images: [] };

const create = (body: unknown = holder, headers: Record<string, string> = {}) =>
  shop.request("/products", { method: "POST", body, scopes, headers });
const ask = (method: string, path: string, { body, ...headers }: Record<string, unknown> = {}) =>
  shop.request(path, { method, body, scopes, headers: headers as Record<string, string> });
const read = async (path: string): Promise<unknown> => (await shop.request(path)).json();
const types = async () => (await shop.published()).map(({ type }) => type);
const problem = async (response: Response) =>
  (await response.json()) as { status: number; code: string; errors?: { pointer: string }[] };

beforeEach(async () => {
  shop = await testService(catalog, { folder: import.meta.dir });
});
afterEach(() => shop.stop());

describe("creating", () => {
  test("is answered with 201, where it is, its version, and itself", async () => {
    const response = await create();
    expect(response.status).toBe(201);
    expect(response.headers.get("location")).toBe("/api/products/85123A");
    expect(response.headers.get("etag")).toBe('"1"');
    expect(await response.json()).toEqual(viewed);
    const [event] = await shop.published();
    expect(event).toMatchObject({ type: "product.created", source: "catalog", subject: "85123A" });
    expect(event?.data).toEqual({ ...viewed, version: 1 });
  });

  test("is refused when the SKU is taken", async () => {
    await create();
    const refused = await create({ ...holder, name: "Other" });
    expect(refused.status).toBe(409);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(await problem(refused)).toMatchObject({ code: "sku-taken", errors: [{ pointer: "/sku" }] });
    expect(await types()).toEqual(["product.created"]);
  });

  test("happens once for one Idempotency-Key", async () => {
    const headers = { "idempotency-key": "k-1" };
    const [a, b] = await Promise.all([create(holder, headers), create(holder, headers)]);
    expect([a.status, b.status]).toEqual([201, 201]);
    expect(await a.json()).toEqual(await b.json());
    expect((await create({ ...holder, name: "Other" }, headers)).status).toBe(409);
    expect(await types()).toEqual(["product.created"]);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ sku: "" }, "/sku"],
    [{ sku: " 85123A" }, "/sku"],
    [{ sku: "a\u0000b" }, "/sku"],
    [{ sku: ".." }, "/sku"],
    [{ sku: "x".repeat(65) }, "/sku"],
    [{ sku: undefined }, "/sku"],
    [{ name: "  " }, "/name"],
    [{ name: "a\u0000b" }, "/name"],
    [{ name: "\ud800" }, "/name"],
    [{ price: 255 }, "/price"],
    [{ price: gbp(-1) }, "/price/amount"],
    [{ price: gbp(2.55) }, "/price/amount"],
    [{ price: { amount: 1, currency: "gbp" } }, "/price/currency"],
    [{ price: { ...gbp(1), tax: 1 } }, "/price/tax"],
    [{ kind: undefined }, "/kind"],
    [{ kind: "digital" }, "/kind"],
    [{ images: ["https://ok.example/1.jpg", "http://x.example/1.jpg"] }, "/images/1"],
    [{ images: ["https://"] }, "/images/0"],
    [{ images: "https://x.example/1.jpg" }, "/images"],
    [{ description: null }, "/description"],
    [{ onHand: 3 }, "/onHand"],
    [{ version: 1 }, "/version"],
    [{ weight: -1 }, "/weight"],
    [{ weight: 0.5 }, "/weight"],
    [{ weight: 10_000_001 }, "/weight"],
    [{ taxClass: "Reduced" }, "/taxClass"],
    [{ taxClass: "re--duced" }, "/taxClass"],
    [{ taxClass: "x".repeat(41) }, "/taxClass"],
  ])("refuses %j at %s", async (over, pointer) => {
    const response = await create({ ...holder, ...over });
    expect(response.status).toBe(400);
    expect((await problem(response)).errors?.map((error) => error.pointer)).toContain(pointer);
    expect(await types()).toEqual([]);
  });

  test("refuses what is no JSON, or does not say that it is", async () => {
    const send = (body: string, type: string) =>
      shop.request("/products", { method: "POST", body, scopes, headers: { "content-type": type } });
    expect((await send("{", "application/json")).status).toBe(400);
    expect((await send(JSON.stringify(holder), "text/plain")).status).toBe(415);
  });
});

describe("who may write", () => {
  const writes: [string, string, RequestOptions][] = [
    ["POST", "/products", { body: holder }],
    ["PUT", "/products/85123A", { body: holder, headers: { "if-match": "*" } }],
    ["PATCH", "/products/85123A", { body: {}, headers: { "if-match": "*" } }],
    ["DELETE", "/products/85123A", { headers: { "if-match": "*" } }],
    ["POST", "/products/import", { body: "", headers: { "content-type": "application/x-ndjson" } }],
  ];
  test.each(writes)("%s %s: nobody without a token", async (method, path, options) => {
    await create();
    const refused = await shop.request(path, { method, ...options });
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain("Bearer");
  });
  test.each(writes)("%s %s: nobody without the scope", async (method, path, options) => {
    await create();
    expect((await shop.request(path, { method, ...options, scopes: ["orders:manage"] })).status).toBe(403);
  });
});

describe("reading", () => {
  test("is for all, and may be kept as long as it holds", async () => {
    await create();
    const response = await shop.request("/products/85123A");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(viewed);
    expect(response.headers.get("cache-control")).toContain("public");
    const known = await shop.request("/products/85123A", { headers: { "if-none-match": 'W/"1"' } });
    expect(known.status).toBe(304);
    expect(await known.text()).toBe("");
    expect((await shop.request("/products/85123A", { headers: { "if-none-match": '"2"' } })).status).toBe(
      200,
    );
  });

  test("what does not exist is 404", async () => {
    const response = await shop.request("/products/85123A");
    expect(response.status).toBe(404);
    expect(await problem(response)).toMatchObject({ code: "not-found" });
  });

  test.each(["BANK CHARGES", "A/B", "50%", "%41", "a+b?c#d", "Ünïcode", "茶碗", "import", "a;b=c", "\\"])(
    "finds the SKU %j by its encoded path",
    async (sku) => {
      const location = (await create({ ...holder, sku })).headers.get("location") ?? "";
      expect(location).toBe(`/api/products/${encodeURIComponent(sku)}`);
      const path = location.slice("/api".length);
      expect(await read(path)).toMatchObject({ sku });
      expect((await ask("DELETE", path, { "if-match": '"1"' })).status).toBe(204);
      expect((await shop.request(path)).status).toBe(404);
    },
  );

  test("tells upper from lower case in a SKU", async () => {
    await create({ ...holder, sku: "abc" });
    expect((await shop.request("/products/ABC")).status).toBe(404);
  });
});

describe("replacing", () => {
  test("puts what is sent in the place of what was there", async () => {
    await create({ ...holder, description: "Old" });
    const response = await ask("PUT", "/products/85123A", {
      body: { name: "New", price: gbp(1), kind: "physical" },
      "if-match": '"1"',
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe('"2"');
    const now = { sku: "85123A", name: "New", price: gbp(1), kind: "physical", images: [] };
    expect(await response.json()).toEqual(now);
    expect(await read("/products/85123A")).toEqual(now);
    const [, event] = await shop.published();
    expect(event).toMatchObject({ type: "product.updated", data: { ...now, version: 2 } });
  });

  test("with what was read changes nothing", async () => {
    await create();
    const body = await read("/products/85123A");
    const response = await ask("PUT", "/products/85123A", { body, "if-match": '"1"' });
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe('"1"');
    expect(await types()).toEqual(["product.created"]);
  });

  test("needs If-Match, and the version of now", async () => {
    await create();
    const body = { ...holder, name: "New" };
    const missing = await ask("PUT", "/products/85123A", { body });
    expect(missing.status).toBe(428);
    const stale = await ask("PUT", "/products/85123A", { body, "if-match": '"7"' });
    expect(stale.status).toBe(412);
    expect(stale.headers.get("etag")).toBe('"1"');
    expect((await ask("PUT", "/products/85123A", { body, "if-match": 'W/"1"' })).status).toBe(412);
    expect(await types()).toEqual(["product.created"]);
  });

  test("creates nothing", async () => {
    expect((await ask("PUT", "/products/85123A", { body: holder, "if-match": "*" })).status).toBe(404);
  });

  test("keeps the SKU", async () => {
    await create();
    const refused = await ask("PUT", "/products/85123A", {
      body: { ...holder, sku: "B" },
      "if-match": '"1"',
    });
    expect(refused.status).toBe(400);
    expect((await problem(refused)).errors).toMatchObject([{ pointer: "/sku" }]);
  });

  test("by one of two who have read the same", async () => {
    await create();
    const answers = await Promise.all(
      ["A", "B"].map((name) =>
        ask("PUT", "/products/85123A", { body: { ...holder, name }, "if-match": '"1"' }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  });
});

describe("patching", () => {
  const patch = (body: unknown, match = '"1"') =>
    ask("PATCH", "/products/85123A", {
      body: JSON.stringify(body),
      "content-type": "application/merge-patch+json",
      "if-match": match,
    });

  test("changes what is named, removes what is null, leaves the rest", async () => {
    await create({ ...holder, description: "Old", images: ["https://x.example/1.jpg"] });
    const response = await patch({ description: null, price: { amount: 300 }, category: "Lights" });
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe('"2"');
    expect(await response.json()).toEqual({
      ...holder,
      category: "Lights",
      price: gbp(300),
      images: ["https://x.example/1.jpg"],
    });
  });

  test("puts a weight and a tax class on, and takes them off", async () => {
    await create({ ...holder, weight: 120 });
    const heavy = await patch({ weight: 0, taxClass: "zero-rated" });
    expect(await heavy.json()).toEqual({ ...viewed, weight: 0, taxClass: "zero-rated" });
    expect(await read("/products/85123A")).toEqual({ ...viewed, weight: 0, taxClass: "zero-rated" });
    const [, event] = await shop.published();
    expect(event?.data).toEqual({ ...viewed, weight: 0, taxClass: "zero-rated", version: 2 });
    expect((await patch({ weight: 0 }, '"2"')).headers.get("etag")).toBe('"2"');
    expect(await (await patch({ weight: null, taxClass: null }, '"2"')).json()).toEqual(viewed);
  });

  test("with nothing leaves all as it is", async () => {
    await create();
    const response = await ask("PATCH", "/products/85123A", { body: "", "if-match": '"1"' });
    expect([response.status, await response.json()]).toEqual([200, { ...holder, images: [] }]);
  });

  test.each<[unknown, string]>([
    [{ name: null }, "/name"],
    [{ price: { currency: null } }, "/price/currency"],
    [{ price: 3 }, "/price"],
    [{ kind: "digital" }, "/kind"],
    [{ sku: "B" }, "/sku"],
    [{ surprise: 1 }, "/surprise"],
    [{ images: [null] }, "/images/0"],
    [[], ""],
    [{ price: [] }, "/price/amount"],
    ["x", ""],
  ])("refuses %j at %s", async (body, pointer) => {
    await create();
    const refused = await patch(body);
    expect(refused.status).toBe(400);
    expect((await problem(refused)).errors?.map((error) => error.pointer)).toContain(pointer);
    expect(await types()).toEqual(["product.created"]);
  });

  test("with nothing changes nothing", async () => {
    await create();
    expect((await patch({})).headers.get("etag")).toBe('"1"');
    expect(await types()).toEqual(["product.created"]);
  });

  test("needs If-Match, the version of now, and a product", async () => {
    expect((await patch({ name: "New" })).status).toBe(404);
    await create();
    expect((await ask("PATCH", "/products/85123A", { body: { name: "New" } })).status).toBe(428);
    expect((await patch({ name: "New" }, '"0"')).status).toBe(412);
  });

  test("takes no body that does not say what it is", async () => {
    await create();
    const refused = await ask("PATCH", "/products/85123A", { body: '{"name":"New"}', "if-match": '"1"' });
    expect(refused.status).toBe(415);
  });
});

describe("deleting", () => {
  test("takes it off; created again, its version goes on", async () => {
    await create();
    expect((await ask("DELETE", "/products/85123A", { "if-match": '"1"' })).status).toBe(204);
    expect((await shop.request("/products/85123A")).status).toBe(404);
    expect(await read("/products")).toMatchObject({ items: [] });
    expect(await read("/products?search=holder")).toMatchObject({ items: [] });
    expect(await read("/categories")).toMatchObject({ items: [] });
    expect((await create()).headers.get("etag")).toBe('"3"');
    expect(await read("/products?search=holder")).toMatchObject({ items: [viewed] });
    const events = await shop.published();
    expect(events.map(({ type, data }) => [type, (data as { version: number }).version])).toEqual([
      ["product.created", 1],
      ["product.deleted", 2],
      ["product.created", 3],
    ]);
    expect(events[1]?.data).toEqual({ sku: "85123A", version: 2 });
  });

  test("needs If-Match, the version of now, and a product", async () => {
    expect((await ask("DELETE", "/products/85123A", { "if-match": "*" })).status).toBe(404);
    await create();
    expect((await ask("DELETE", "/products/85123A")).status).toBe(428);
    expect((await ask("DELETE", "/products/85123A", { "if-match": '"2"' })).status).toBe(412);
    expect((await ask("DELETE", "/products/85123A", { "if-match": "*" })).status).toBe(204);
    expect((await ask("DELETE", "/products/85123A", { "if-match": "*" })).status).toBe(404);
  });
});

test("events carry the trace of the request", async () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  await create(holder, { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
  expect((await shop.published())[0]?.traceparent).toContain(trace);
});

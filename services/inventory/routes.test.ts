import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { OrderPlaced, ProductStocked } from "./contracts.ts";
import inventory from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

const writer = ["inventory:write"];
const put = (
  sku: string,
  body: unknown,
  headers: Record<string, string> = {},
  scopes: string[] | undefined = writer,
) => shop.request(`/stock/${encodeURIComponent(sku)}`, { method: "PUT", body, headers, scopes });
const get = (sku: string, scopes?: string[], headers: Record<string, string> = {}) =>
  shop.request(`/stock/${encodeURIComponent(sku)}`, { scopes, headers });
const tagOf = async (sku: string) => (await get(sku)).headers.get("etag") ?? "";
const problem = async (response: Response) => {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return (await response.json()) as { code: string; errors?: { pointer: string }[] };
};

beforeEach(async () => {
  shop = await testService(inventory, { folder: import.meta.dir });
  await shop.deliver(ProductStocked, { sku: "85123A", onHand: 10 });
  await shop.deliver(OrderPlaced, {
    orderId: "o-1",
    lines: [{ sku: "85123A", quantity: 4, kind: "physical" }],
  });
});
afterEach(() => shop.stop());

describe("reading", () => {
  test("everybody sees what is available, and nothing more", async () => {
    for (const scopes of [undefined, ["orders:read"]]) {
      const response = await get("85123A", scopes);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ sku: "85123A", available: 6 });
      expect(response.headers.get("cache-control")).toBe("public, no-cache");
      expect(response.headers.get("vary")).toBe("authorization");
    }
  });

  test.each(["inventory:write", "orders:manage", "ops"])(
    "%s sees what is on hand and reserved",
    async (scope) => {
      const response = await get("85123A", [scope]);
      expect(await response.json()).toEqual({ sku: "85123A", onHand: 10, reserved: 4, available: 6 });
      expect(response.headers.get("cache-control")).toBe("private, no-cache");
    },
  );

  test("what has not changed is not sent again", async () => {
    const tag = await tagOf("85123A");
    expect((await get("85123A", undefined, { "if-none-match": tag })).status).toBe(304);
    await shop.deliver(OrderPlaced, {
      orderId: "o-2",
      lines: [{ sku: "85123A", quantity: 1, kind: "physical" }],
    });
    expect((await get("85123A", undefined, { "if-none-match": tag })).status).toBe(200);
    expect(await tagOf("85123A")).not.toBe(tag);
  });

  test("a SKU may hold what must be escaped in a URL", async () => {
    for (const sku of ["BANK CHARGES", "A/B", "100%", "ünï?#", "%2F"]) {
      await shop.deliver(ProductStocked, { sku, onHand: 1 });
      expect(await (await get(sku)).json()).toEqual({ sku, available: 1 });
    }
  });

  test("404 for a product without stock", async () => {
    const response = await get("NO");
    expect(response.status).toBe(404);
    expect(await problem(response)).toMatchObject({ code: "not-found" });
  });

  test("the list is for staff, by SKU, page by page", async () => {
    for (const sku of ["C", "A", "B"]) await shop.deliver(ProductStocked, { sku, onHand: 1 });
    const list = async (search: string) =>
      (await (await shop.request(`/stock${search}`, { scopes: ["ops"] })).json()) as {
        items: Record<string, unknown>[];
        nextCursor: string | null;
      };
    const first = await list("?limit=2");
    expect(first.items).toEqual([
      { sku: "85123A", onHand: 10, reserved: 4, available: 6 },
      { sku: "A", onHand: 1, reserved: 0, available: 1 },
    ]);
    const second = await list(`?limit=2&cursor=${first.nextCursor}`);
    expect(second.items.map(({ sku }) => sku)).toEqual(["B", "C"]);
    expect(second.nextCursor).toBeNull();
  });

  test.each([
    [undefined, "", 401],
    [["orders:read"], "", 403],
    [["ops"], "?limit=0", 400],
    [["ops"], "?limit=101", 400],
    [["ops"], "?cursor=x", 400],
    [["ops"], "?surprise=1", 400],
  ])("the list refuses %j asking for %j with %i", async (scopes, search, status) => {
    const response = await shop.request(`/stock${search}`, { scopes });
    expect(response.status).toBe(status);
    await problem(response);
  });
});

describe("setting what is on hand", () => {
  test("is answered with the new stock and told to the others", async () => {
    const response = await put("85123A", { onHand: 25 }, { "if-match": await tagOf("85123A") });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ sku: "85123A", onHand: 25, reserved: 4, available: 21 });
    expect(response.headers.get("etag")).toBe(await tagOf("85123A"));
    const { type, subject, data } = (await shop.published()).at(-1) ?? {};
    expect({ type, subject, data }).toEqual({
      type: "stock.adjusted",
      subject: "85123A",
      data: {
        sku: "85123A",
        onHand: 25,
        reserved: 4,
        available: 21,
        version: 4,
        sold: 0,
        restocked: 0,
        writtenOff: 0,
      },
    });
  });

  test("the same again changes nothing", async () => {
    const tag = await tagOf("85123A");
    const events = (await shop.published()).length;
    const response = await put("85123A", { onHand: 10 }, { "if-match": tag });
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe(tag);
    expect(await shop.published()).toHaveLength(events);
  });

  test("below what is reserved is refused", async () => {
    const response = await put("85123A", { onHand: 3 }, { "if-match": await tagOf("85123A") });
    expect(response.status).toBe(409);
    expect(await problem(response)).toMatchObject({
      code: "below-reserved",
      errors: [{ pointer: "/onHand" }],
    });
    expect(await shop.store.level("85123A")).toMatchObject({ onHand: 10 });
  });

  test("needs If-Match, and the current one", async () => {
    expect((await put("85123A", { onHand: 11 })).status).toBe(428);
    const stale = await tagOf("85123A");
    await shop.deliver(OrderPlaced, {
      orderId: "o-2",
      lines: [{ sku: "85123A", quantity: 1, kind: "physical" }],
    });
    const response = await put("85123A", { onHand: 11 }, { "if-match": stale });
    expect(response.status).toBe(412);
    expect(response.headers.get("etag")).toBe(await tagOf("85123A"));
    expect(await problem(response)).toMatchObject({ code: "precondition-failed" });
  });

  test("of two at once with the same tag one is refused", async () => {
    const headers = { "if-match": await tagOf("85123A") };
    const answers = await Promise.all([20, 30, 40].map((onHand) => put("85123A", { onHand }, headers)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });

  test.each([
    [{ onHand: -1 }, "/onHand"],
    [{ onHand: 1.5 }, "/onHand"],
    [{ onHand: "5" }, "/onHand"],
    [{ onHand: 1_000_000_001 }, "/onHand"],
    [{}, "/onHand"],
    [{ onHand: 5, reserved: 0 }, "/reserved"],
  ])("refuses %j at %s", async (body, pointer) => {
    const response = await put("85123A", body, { "if-match": "*" });
    expect(response.status).toBe(400);
    expect((await problem(response)).errors?.map((error) => error.pointer)).toContain(pointer);
  });

  test("is for inventory:write alone", async () => {
    const guest = await shop.request("/stock/85123A", { method: "PUT", body: { onHand: 1 } });
    expect(guest.status).toBe(401);
    expect(guest.headers.get("www-authenticate")).toStartWith("Bearer");
    expect((await put("85123A", { onHand: 1 }, { "if-match": "*" }, ["orders:manage"])).status).toBe(403);
  });

  test("404 for a product without stock", async () => {
    expect((await put("NO", { onHand: 1 }, { "if-match": "*" })).status).toBe(404);
  });
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { ProductCreated, ProductDeleted, ProductUpdated, StockAvailability } from "./contracts.ts";
import carts from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const heart = { sku: "85123A", name: "Heart", price: gbp(255), kind: "physical" as const, version: 1 };
const post = { sku: "POST", name: "Postage", price: gbp(1_800), kind: "service" as const, version: 1 };

interface Seen {
  id: string;
  status: string;
  orderId?: string;
  total: unknown;
  lines: {
    sku: string;
    name: string;
    quantity: number;
    unitPrice: unknown;
    priceWas?: unknown;
    total: unknown;
    availability: string;
  }[];
}
const ask = async (method: string, path: string, options: Parameters<typeof shop.request>[1] = {}) => {
  const response = await shop.request(path, { method, ...options });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: JSON.parse(text || "null") as Seen & { code?: string },
  };
};
const begin = async () => (await ask("POST", "/carts")).body.id;
const put = (id: string, sku: string, quantity: unknown, headers: Record<string, string> = {}) =>
  ask("PUT", `/carts/${id}/lines/${encodeURIComponent(sku)}`, { body: { quantity }, headers });
const ada = { scopes: ["orders:read"], caller: "u-ada", user: true };

beforeEach(async () => {
  shop = await testService(carts, { folder: import.meta.dir });
  await shop.deliver(ProductCreated, heart);
  await shop.deliver(ProductCreated, post);
});
afterEach(() => shop.stop());

describe("a guest's cart", () => {
  test("begins empty, and has the lines, prices and total of today", async () => {
    const begun = await ask("POST", "/carts");
    expect(begun.status).toBe(201);
    expect(begun.headers.get("location")).toBe(`/api/carts/${begun.body.id}`);
    expect(begun.body).toMatchObject({ status: "open", lines: [], total: null });
    expect((await put(begun.body.id, "85123A", 6)).status).toBe(200);
    const { body } = await put(begun.body.id, "POST", 1);
    expect(body.lines).toEqual([
      {
        sku: "85123A",
        name: "Heart",
        quantity: 6,
        unitPrice: gbp(255),
        total: gbp(1_530),
        availability: "in-stock",
      },
      {
        sku: "POST",
        name: "Postage",
        quantity: 1,
        unitPrice: gbp(1_800),
        total: gbp(1_800),
        availability: "in-stock",
      },
    ] as never);
    expect(body.total).toEqual(gbp(3_330));
    expect((await ask("GET", `/carts/${body.id}`)).body).toEqual(body);
    const without = await ask("DELETE", `/carts/${body.id}/lines/POST`);
    expect(without.body.lines.map(({ sku }) => sku)).toEqual(["85123A"]);
    expect((await ask("DELETE", `/carts/${body.id}/lines/POST`)).body).toEqual(without.body);
  });

  test("begins with what is put in at once: all of it, or none", async () => {
    const lines = [
      { sku: "85123A", quantity: 2 },
      { sku: "POST", quantity: 1 },
    ];
    const begun = await ask("POST", "/carts", { body: { lines } });
    expect(begun.body.total).toEqual(gbp(2_310));
    const refused = await ask("POST", "/carts", { body: { lines: [...lines, { sku: "NO", quantity: 1 }] } });
    expect([refused.status, refused.body.code]).toEqual([422, "unknown-product"]);
    expect((refused.body as unknown as { errors: unknown }).errors).toMatchObject([
      { pointer: "/lines/2/sku" },
    ]);
    expect((await ask("POST", "/carts", { body: { again: true } })).status).toBe(400);
  });

  test("says what has become dearer since, scarce, sold out, or is for sale no more", async () => {
    const id = await begin();
    await put(id, "85123A", 2);
    await put(id, "POST", 1);
    await shop.deliver(ProductUpdated, { ...heart, price: gbp(295), version: 2 });
    await shop.deliver(StockAvailability, { sku: "85123A", available: 3, plenty: false, version: 5 });
    const line = async () => (await ask("GET", `/carts/${id}`)).body.lines[0];
    expect(await line()).toMatchObject({
      unitPrice: gbp(295),
      priceWas: gbp(255),
      availability: "low",
      available: 3,
    });
    // What came later, and is older, changes nothing.
    await shop.deliver(StockAvailability, { sku: "85123A", available: 9, plenty: false, version: 4 });
    expect(await line()).toMatchObject({ available: 3 });
    await shop.deliver(StockAvailability, { sku: "85123A", available: 0, plenty: false, version: 6 });
    expect(await line()).toMatchObject({ availability: "sold-out" });
    await shop.deliver(StockAvailability, { sku: "85123A", available: 50, plenty: true, version: 7 });
    expect(await line()).toMatchObject({ availability: "in-stock" });
    // Looked at by changing the quantity.
    expect((await put(id, "85123A", 3)).body.lines[0]).not.toHaveProperty("priceWas");
    await shop.deliver(ProductDeleted, { sku: "85123A", version: 3 });
    const gone = (await ask("GET", `/carts/${id}`)).body;
    expect(gone.lines[0]).toMatchObject({ availability: "unavailable" });
    expect(gone.total).toEqual(gbp(1_800));
    expect((await put(id, "85123A", 1)).body.code).toBe("unknown-product");
  });

  test("refuses what makes its total more than can be counted exactly, and is as it was", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    await shop.deliver(ProductCreated, { ...heart, sku: "DEAR", price: gbp(most) });
    const id = await begin();
    const { body: before } = await put(id, "DEAR", 1);
    expect(before.total).toEqual(gbp(most));
    for (const refused of [await put(id, "DEAR", 2), await put(id, "85123A", 1)])
      expect([refused.status, refused.body.code]).toEqual([422, "total-too-large"]);
    expect((await ask("GET", `/carts/${id}`)).body).toEqual(before);
    const lines = [
      { sku: "85123A", quantity: 1 },
      { sku: "DEAR", quantity: 1 },
    ];
    const { status, body } = await ask("POST", "/carts", { body: { lines } });
    expect([status, body]).toMatchObject([
      422,
      { code: "total-too-large", errors: [{ pointer: "/lines/1/quantity" }] },
    ] as never);
  });

  test("has no total once prices have risen beyond what can be counted, or are in two currencies", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const id = await begin();
    await put(id, "85123A", 2);
    await put(id, "POST", 1);
    const seen = async () => (await ask("GET", `/carts/${id}`)).body;
    let version = 2;
    const costs = (product: typeof heart | typeof post, price: ReturnType<typeof gbp>) =>
      shop.deliver(ProductUpdated, { ...product, price, version: version++ });
    await costs(post, gbp(most));
    expect(await seen()).toMatchObject({ total: null, lines: [{ total: gbp(510) }, { total: gbp(most) }] });
    // A line that no order could count is as good as not for sale; the name is still known.
    await costs(heart, gbp(most));
    expect(await seen()).toMatchObject({
      total: gbp(most),
      lines: [{ name: "Heart", unitPrice: gbp(255), total: gbp(510), availability: "unavailable" }, {}],
    });
    await costs(heart, gbp(1));
    await costs(post, { amount: 5, currency: "EUR" });
    expect((await seen()).total).toBeNull();
    await costs(post, gbp(5));
    expect((await seen()).total).toEqual(gbp(7));
  });

  test("two tabs lose nothing", async () => {
    const id = await begin();
    const skus = Array.from({ length: 20 }, (_, n) => `S${n}`);
    for (const sku of skus) await shop.deliver(ProductCreated, { ...heart, sku });
    const answers = await Promise.all(skus.map((sku) => put(id, sku, 1)));
    expect(answers.map(({ status }) => status)).toEqual(skus.map(() => 200));
    const { body } = await ask("GET", `/carts/${id}`);
    expect(body.lines.map(({ sku }) => sku).sort()).toEqual([...skus].sort());
  });

  test("whoever says which version they mean is told when it is gone", async () => {
    const id = await begin();
    const first = await put(id, "85123A", 1);
    const tag = first.headers.get("etag") ?? "";
    expect((await put(id, "85123A", 2, { "if-match": tag })).status).toBe(200);
    const late = await put(id, "85123A", 3, { "if-match": tag });
    const current = (await ask("GET", `/carts/${id}`)).headers.get("etag") ?? "";
    expect([late.status, late.headers.get("etag")]).toEqual([412, current]);
    expect((await put(id, "85123A", 3, { "if-match": "*" })).status).toBe(200);
    const now = (await ask("GET", `/carts/${id}`)).headers.get("etag") ?? "";
    expect((await ask("GET", `/carts/${id}`, { headers: { "if-none-match": now } })).status).toBe(304);
  });

  test.each([0, 10_000, 1.5, "1", null])("no quantity of %p", async (quantity) => {
    expect((await put(await begin(), "85123A", quantity)).status).toBe(400);
  });

  test("404 for one that is not there", async () => {
    for (const [method, path] of [
      ["GET", "/carts/none"],
      ["DELETE", "/carts/none/lines/A"],
    ] as const)
      expect((await ask(method, path)).body.code).toBe("not-found");
    expect((await put("none", "85123A", 1)).body.code).toBe("not-found");
  });

  test("the same Idempotency-Key begins one cart, for one guest", async () => {
    const from = (address: string) => ({ headers: { "idempotency-key": "k-1", "x-forwarded-for": address } });
    const one = await ask("POST", "/carts", from("192.0.2.1"));
    expect((await ask("POST", "/carts", from("192.0.2.1"))).body).toEqual(one.body);
    expect((await ask("POST", "/carts", from("192.0.2.2"))).body.id).not.toBe(one.body.id);
  });
});

describe("a user's cart", () => {
  test("is one, and opened by the user's token alone", async () => {
    const mine = await ask("GET", "/carts/mine", ada);
    expect(mine.status).toBe(200);
    expect((await ask("POST", "/carts", ada)).body.id).toBe(mine.body.id);
    const path = `/carts/${mine.body.id}`;
    for (const other of [{}, { ...ada, caller: "u-bob" }]) {
      expect((await ask("GET", path, other)).status).toBe(404);
      expect((await ask("PUT", `${path}/lines/85123A`, { ...other, body: { quantity: 1 } })).status).toBe(
        404,
      );
    }
    expect((await ask("PUT", `${path}/lines/85123A`, { ...ada, body: { quantity: 1 } })).status).toBe(200);
    expect((await ask("GET", "/carts/mine")).status).toBe(401);
  });

  test("takes over what was put together before signing in, once", async () => {
    const guests = await begin();
    await put(guests, "85123A", 2);
    const mine = (await ask("GET", "/carts/mine", ada)).body.id;
    await ask("PUT", `/carts/${mine}/lines/85123A`, { ...ada, body: { quantity: 1 } });
    const both = await Promise.all(
      [1, 2].map(() => ask("POST", "/carts/mine/merge", { ...ada, body: { cartId: guests } })),
    );
    for (const { status } of both) expect([200, 404]).toContain(status);
    const again = await ask("POST", "/carts/mine/merge", { ...ada, body: { cartId: guests } });
    expect(again.body.lines.map(({ sku, quantity }) => [sku, quantity])).toEqual([["85123A", 3]]);
    expect((await ask("GET", `/carts/${guests}`)).status).toBe(404);
    expect((await ask("POST", "/carts/mine/merge", { ...ada, body: { cartId: "none" } })).status).toBe(404);
  });
});

describe("checkout", () => {
  const checkout = (cartId: string, orderId: string, owner?: string) =>
    ask("POST", `/checkouts/${cartId}`, { body: { orderId, ...(owner ? { owner } : {}) } });

  test("of two at once both get one order; once it is placed the cart is closed, and the user has a new one", async () => {
    const { id } = (await ask("GET", "/carts/mine", ada)).body;
    await ask("PUT", `/carts/${id}/lines/85123A`, { ...ada, body: { quantity: 2 } });
    expect((await checkout(id, "o-1")).status).toBe(404);
    const answers = await Promise.all(["o-1", "o-2"].map((order) => checkout(id, order, "u-ada")));
    const [one, two] = answers.map(({ body }) => body);
    expect(one).toEqual(two as never);
    expect(one).toMatchObject({ lines: [{ sku: "85123A", quantity: 2 }] });
    const orderId = one?.orderId ?? "";
    for (let i = 0; i < 2; i++)
      expect((await ask("POST", `/checkouts/${id}/ordered`, { body: { orderId } })).status).toBe(204);
    expect((await ask("GET", `/carts/${id}`, ada)).body).toMatchObject({ status: "ordered", orderId });
    expect((await checkout(id, "o-3", "u-ada")).body.code).toBe("cart-ordered");
    expect((await ask("GET", "/carts/mine", ada)).body).toMatchObject({ status: "open", lines: [] });
  });

  test("a quote is told what is in it, as an order would be, and takes nothing over", async () => {
    const quoted = (cartId: string, owner?: string) =>
      ask("POST", `/checkouts/${cartId}/lines`, { body: owner ? { owner } : {} });
    const { id } = (await ask("GET", "/carts/mine", ada)).body;
    expect((await quoted(id, "u-ada")).body.code).toBe("empty-cart");
    await ask("PUT", `/carts/${id}/lines/85123A`, { ...ada, body: { quantity: 2 } });
    expect((await quoted(id)).status).toBe(404);
    expect((await quoted(id, "u-ada")).body).toEqual({ lines: [{ sku: "85123A", quantity: 2 }] } as never);
    expect((await checkout(id, "o-1", "u-ada")).body.orderId).toBe("o-1");
    expect((await quoted(id, "u-ada")).status).toBe(200);
    await ask("POST", `/checkouts/${id}/ordered`, { body: { orderId: "o-1" } });
    expect((await quoted(id, "u-ada")).body.code).toBe("cart-ordered");
    expect((await quoted("none")).status).toBe(404);
  });

  test("is refused for an empty cart, and for none", async () => {
    expect((await checkout(await begin(), "o-1")).body.code).toBe("empty-cart");
    expect((await checkout("none", "o-1")).status).toBe(404);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";

let it: TestShop;

beforeAll(async () => {
  it = await testShop({ CHECKOUT_DEADLINE_MS: "20000", PROVIDER_TIMEOUT_MS: "7000" });
}, 600_000);
afterAll(() => it?.stop(), 60_000);

const held = async (sku: string) => {
  const { reserved, available } = await it.stock(sku);
  return { reserved, available };
};

describe("an order", () => {
  test("is reserved, paid and confirmed, and its money and stock agree", async () => {
    const sku = await it.product({ price: gbp(255), onHand: 10 });
    const placed = await it.place([
      { sku, quantity: 4 },
      { sku, quantity: 2, unitPrice: gbp(100) },
    ]);
    const order = await it.settled(placed);
    expect(order).toMatchObject({ status: "confirmed", total: gbp(1220) });
    expect(await held(sku)).toEqual({ reserved: 6, available: 4 });
    expect(await it.payment(order.id)).toMatchObject({
      authorised: gbp(1220),
      captured: gbp(0),
      refunded: gbp(0),
    });
    expect((await it.ledger()).balanced).toBe(true);
  }, 60_000);

  test("of services alone needs no stock; one that costs nothing needs no payment", async () => {
    const service = await it.product({ kind: "service", price: gbp(500) });
    expect(await it.settled(await it.place([{ sku: service, quantity: 3 }]))).toMatchObject({
      status: "confirmed",
    });
    const gift = await it.place([{ sku: service, quantity: 1, unitPrice: gbp(0) }]);
    expect(await it.settled(gift)).toMatchObject({ status: "confirmed", total: gbp(0) });
  }, 60_000);

  test("of a thousand lines is one reservation, all or nothing", async () => {
    const skus = Array.from({ length: 1_000 }, (_, index) => `BULK-${index}`);
    const lines = skus.map((sku) =>
      JSON.stringify({ sku, name: sku, price: gbp(1), kind: "physical", onHand: 1 }),
    );
    await it.api.call("/api/products/import", {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    await eventually("all have stock", async () => {
      const last = await it.stock("BULK-999").catch(() => undefined);
      return last?.onHand === 1;
    });
    const all = skus.map((sku) => ({ sku, quantity: 1 }));
    await eventually("orders knows them all", async () =>
      it
        .refusal("/api/orders", { method: "POST", body: { lines: all } })
        .then(({ status }) => status === 400),
    );
    const tooMany = all.map((line) => (line.sku === "BULK-500" ? { ...line, quantity: 2 } : line));
    const refused = await it.settled(await retryUnknown(() => it.place(tooMany)));
    expect(refused).toMatchObject({ status: "rejected", reason: "out-of-stock" });
    expect(await held("BULK-0")).toEqual({ reserved: 0, available: 1 });
    expect(await it.settled(await it.place(all))).toMatchObject({ status: "confirmed", total: gbp(1000) });
    expect(await held("BULK-999")).toEqual({ reserved: 1, available: 0 });
  }, 60_000);

  test("is placed by a guest, who reads it with its key and only so", async () => {
    const sku = await it.product();
    const order = (await it.place([{ sku, quantity: 1 }], {}, { guest: true })) as unknown as {
      id: string;
      orderKey: string;
    };
    const path = `/api/orders/${order.id}`;
    const { body } = await it.api.call<{ id: string }>(path, {
      guest: true,
      headers: { "order-key": order.orderKey },
    });
    expect(body.id).toBe(order.id);
    expect(await it.refusal(path, { guest: true })).toMatchObject({ status: 404 });
  });

  test("is placed once for one Idempotency-Key", async () => {
    const sku = await it.product();
    const headers = { "idempotency-key": crypto.randomUUID() };
    const twice = await Promise.all([1, 2].map(() => it.place([{ sku, quantity: 1 }], {}, { headers })));
    expect(twice[0]?.id).toBe(twice[1]?.id ?? "");
    const other = { ...customer, lines: [{ sku, quantity: 2 }] };
    expect(await it.refusal("/api/orders", { method: "POST", headers, body: other })).toMatchObject({
      status: 409,
    });
  });
});

describe("the test provider's tokens", () => {
  const buy = async (token: string) => {
    const sku = await it.product({ onHand: 5 });
    const placed = await it.place([{ sku, quantity: 2 }], { payment: { method: "test", token } });
    return { sku, order: await it.settled(placed, 40_000) };
  };

  test.concurrent("tok_declined declines, and nothing stays held", async () => {
    const { sku, order } = await buy("tok_declined");
    expect(order).toMatchObject({ status: "rejected", reason: "payment-declined" });
    expect(await held(sku)).toEqual({ reserved: 0, available: 5 });
    expect(await it.payment(order.id)).toMatchObject({ captured: gbp(0) });
  }, 60_000);

  test.concurrent("tok_flaky fails twice and then approves", async () => {
    expect((await buy("tok_flaky")).order).toMatchObject({ status: "confirmed" });
  }, 60_000);

  test.concurrent("tok_slow approves after five seconds", async () => {
    expect((await buy("tok_slow")).order).toMatchObject({ status: "confirmed" });
  }, 60_000);

  test.concurrent("tok_timeout never answers: timed out, and nothing stays held", async () => {
    const { sku, order } = await buy("tok_timeout");
    expect(order).toMatchObject({ status: "rejected", reason: "timed-out" });
    expect(await held(sku)).toEqual({ reserved: 0, available: 5 });
  }, 60_000);
});

describe("cancelling", () => {
  test("a confirmed order gives its money and its stock back before it shows", async () => {
    const sku = await it.product({ onHand: 3 });
    const service = await it.product({ kind: "service", price: gbp(500) });
    const order = await it.settled(
      await it.place([
        { sku, quantity: 3 },
        { sku: service, quantity: 1 },
      ]),
    );
    // What is delivered at once is captured at once.
    expect(await it.payment(order.id)).toMatchObject({ authorised: gbp(3500), captured: gbp(500) });
    await it.api.call(`/api/orders/${order.id}/cancel`, { method: "POST" });
    await eventually("cancelled", async () => {
      const { body } = await it.api.call<{ status: string }>(`/api/orders/${order.id}`);
      if (body.status !== "cancelled") return false;
      expect(await held(sku)).toEqual({ reserved: 0, available: 3 });
      expect(await it.payment(order.id)).toMatchObject({ captured: gbp(500), refunded: gbp(500) });
      return true;
    });
    expect((await it.ledger()).balanced).toBe(true);
  }, 60_000);

  test("an order while its payment is slow leaves no money held", async () => {
    const sku = await it.product({ onHand: 3 });
    const placed = await it.place([{ sku, quantity: 1 }], { payment: { method: "test", token: "tok_slow" } });
    await eventually("reserved", async () => (await it.stock(sku)).reserved === 1);
    await it.api.call(`/api/orders/${placed.id}/cancel`, { method: "POST" });
    expect(await it.settled(placed, 40_000)).toMatchObject({ status: "cancelled" });
    const { captured, refunded } = await it.payment(placed.id);
    expect(captured.amount).toBe(refunded.amount);
    expect(await held(sku)).toEqual({ reserved: 0, available: 3 });
  }, 60_000);
});

test("a hundred buyers for ten pieces: ten get one", async () => {
  const sku = await it.product({ onHand: 10 });
  const orders = await Promise.all(Array.from({ length: 100 }, () => it.place([{ sku, quantity: 1 }])));
  const ends = await Promise.all(orders.map((order) => it.settled(order)));
  expect(ends.filter((order) => order.status === "confirmed")).toHaveLength(10);
  expect(ends.filter((order) => order.reason === "out-of-stock")).toHaveLength(90);
  expect(await held(sku)).toEqual({ reserved: 10, available: 0 });
}, 90_000);

test("an order that nobody answers is rejected at its deadline", async () => {
  const sku = await it.product({ onHand: 5 });
  await it.shop.halt("inventory");
  const placed = await it.place([{ sku, quantity: 1 }]);
  // Its version rises when the deadline has passed; its status shows only when the stock is known to be free.
  await eventually(
    "the deadline passed",
    async () => (await it.api.call(`/api/orders/${placed.id}`)).headers.get("etag") === '"2"',
    40_000,
  );
  await it.shop.start("inventory");
  expect(await it.settled(placed, 40_000)).toMatchObject({ status: "rejected", reason: "timed-out" });
  expect(await held(sku)).toEqual({ reserved: 0, available: 5 });
}, 120_000);

/** Events reach orders in batches: the last of a thousand products may be a moment behind. */
async function retryUnknown<T>(run: () => Promise<T>): Promise<T> {
  let result: T | undefined;
  await eventually("every product is known", async () => {
    result = await run().catch((error: { code?: string }) => {
      if (error.code === "unknown-product") return undefined;
      throw error;
    });
    return result !== undefined;
  });
  return result as T;
}

import { afterEach, beforeEach, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { ProductCreated, StockReserved } from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const place = (over: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  shop.request("/orders", {
    method: "POST",
    headers,
    body: {
      lines: [{ sku: "85123A", quantity: 1 }],
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
      ...over,
    },
  });

beforeEach(async () => {
  shop = await testService(orders, { folder: import.meta.dir, env: { PAYMENT_METHODS: "test,stripe" } });
  const product = { sku: "85123A", name: "Holder", price: gbp(255), kind: "physical" as const, version: 1 };
  await shop.deliver(ProductCreated, product);
});
afterEach(() => shop.stop());

test("checkout.paused: nobody orders, and everybody is told why; what is under way goes on", async () => {
  const placed = (await (await place()).json()) as { id: string; orderKey: string };
  await shop.set("checkout.paused", " We count our stock: back at 14:00 ");
  for (const body of [{}, { lines: undefined, cartId: "c-1" }]) {
    const refused = await place(body);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("30");
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(await refused.json()).toMatchObject({
      code: "checkout-paused",
      detail: "We count our stock: back at 14:00",
    });
  }
  await shop.deliver(StockReserved, { orderId: placed.id });
  const now = await shop.request(`/orders/${placed.id}`, { headers: { "order-key": placed.orderKey } });
  expect(await now.json()).toMatchObject({ status: "reserved" });
  await shop.set("checkout.paused", undefined);
  expect((await place()).status).toBe(202);
});

test("checkout.paused: whoever repeats an order that was taken hears of it, and a refusal is not kept", async () => {
  const first = (await (await place({}, { "idempotency-key": "k-1" })).json()) as { id: string };
  await shop.set("checkout.paused", "later");
  expect((await place({}, { "idempotency-key": "k-2" })).status).toBe(503);
  const again = await place({}, { "idempotency-key": "k-1" });
  expect([again.status, ((await again.json()) as { id: string }).id]).toEqual([202, first.id]);
  await shop.set("checkout.paused", undefined);
  expect((await place({}, { "idempotency-key": "k-2" })).status).toBe(202);
});

test("payments.off: new orders cannot be paid so, as if the shop did not take it", async () => {
  await shop.set("payments.off", "stripe");
  const refused = await place({ payment: { method: "stripe", token: "pm_1" } });
  expect(refused.status).toBe(422);
  expect(await refused.json()).toMatchObject({
    code: "payment-method-unavailable",
    errors: [{ pointer: "/payment/method", detail: "this shop takes: test" }],
  });
  expect((await place()).status).toBe(202);
  // What does not fit changes nothing.
  await shop.set("payments.off", "strpie");
  expect((await place({ payment: { method: "stripe", token: "pm_1" } })).status).toBe(422);
  await shop.set("payments.off", "test, stripe");
  expect((await place()).status).toBe(422);
  await shop.set("payments.off", undefined);
  expect((await place({ payment: { method: "stripe", token: "pm_1" } })).status).toBe(202);
});

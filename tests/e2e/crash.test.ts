import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { OrderSeen } from "../../packages/souk/src/orders-watch.ts";
import { eventually, gbp, type TestShop, testShop } from "./shop.ts";

let it: TestShop;

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

/** Places an order until the shop takes it; the key makes asking again safe. */
async function placeSurely(key: string, ...skus: string[]): Promise<OrderSeen> {
  const lines = skus.map((sku) => ({ sku, quantity: 1 }));
  let placed: OrderSeen | undefined;
  await eventually(
    "the order is taken",
    async () => {
      placed = await it
        .place(lines, {}, { headers: { "idempotency-key": key } })
        .catch((error: { status?: number }) => {
          if (error.status !== undefined && error.status < 500 && error.status !== 409) throw error;
          return undefined;
        });
      return placed !== undefined;
    },
    60_000,
  );
  return placed as OrderSeen;
}

/** Two hundred orders, eight at a time, with an accident after the sixtieth. */
async function ordersWith(accident: () => Promise<void>): Promise<void> {
  const sku = await it.product({ price: gbp(700), onHand: 200 });
  // It is captured at once; the rest when it is sent.
  const service = await it.product({ kind: "service", price: gbp(300) });
  const before = await it.ledger();
  const keys = Array.from({ length: 200 }, (_, index) => `${sku}-${index}`);
  const orders: OrderSeen[] = [];
  let hit: Promise<void> | undefined;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let key = keys.shift(); key !== undefined; key = keys.shift()) {
        orders.push(await placeSurely(key, sku, service));
        if (orders.length === 60) hit = accident();
      }
    }),
  );
  await hit;
  const ends = await Promise.all(orders.map((order) => it.settled(order, 90_000)));
  expect(new Set(ends.map((order) => order.id)).size).toBe(200);
  expect(ends.filter((order) => order.status !== "confirmed")).toEqual([]);
  expect(await it.stock(sku)).toMatchObject({ onHand: 200, reserved: 200, available: 0 });
  const after = await it.ledger();
  expect(after.balanced).toBe(true);
  const debits = (ledger: typeof after) => ledger.accounts.reduce((sum, account) => sum + account.debit, 0);
  // Each order was captured once: every posting of 3.00 appears as often as for 200 orders.
  expect((debits(after) - debits(before)) % (200 * 300)).toBe(0);
  for (const order of ends)
    expect(await it.payment(order.id)).toMatchObject({ authorised: gbp(1000), captured: gbp(300) });
}

describe("two hundred orders, none lost and none paid twice, while kill -9 takes", () => {
  test("the orders service", () => ordersWith(() => it.shop.kill("orders")), 240_000);
  test("the payments service", () => ordersWith(() => it.shop.kill("payments")), 240_000);
  test("the sidecar of inventory", () => ordersWith(() => it.shop.kill("inventory", "sidecar")), 240_000);
  test("the broker", () => ordersWith(() => it.shop.kill("redis")), 240_000);
});

describe("an order is taken, and goes on when they are back, while there is no", () => {
  test.each(["inventory", "payments", "redis"])(
    "%s",
    async (name) => {
      const sku = await it.product({ onHand: 5 });
      await it.shop.halt(name);
      const order = await placeSurely(crypto.randomUUID(), sku);
      expect(["placed", "reserved"]).toContain(order.status);
      await it.shop.start(name);
      expect(await it.settled(order, 90_000)).toMatchObject({ status: "confirmed" });
    },
    180_000,
  );
});

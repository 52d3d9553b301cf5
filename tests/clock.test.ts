import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type TestService, testService } from "chassis/testing";
import type { CloudEvent } from "hono-dapr";
import { EdgeCache } from "../services/gateway/cache.ts";
import { SlidingWindow } from "../services/gateway/limiter.ts";
import * as inInventory from "../services/inventory/contracts.ts";
import inventory from "../services/inventory/service.ts";
import * as inOrders from "../services/orders/contracts.ts";
import orders from "../services/orders/service.ts";
import * as inPayments from "../services/payments/contracts.ts";
import payments from "../services/payments/service.ts";
import { eventually } from "./e2e/shop.ts";

// Orders, inventory and payments as they are, on one clock that is set while orders are under way.

const hour = 3_600_000;
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const services = join(import.meta.dir, "../services");
/** What orders seals for payments, payments opens. */
const sharedKeys = JSON.stringify({
  current: "k1",
  keys: { k1: randomBytes(32).toString("base64url") },
});
const running: TestService<unknown>[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

async function shop() {
  let set = 0;
  const now = () => Date.now() + set;
  const start = async <S>(name: string, definition: Parameters<typeof testService<S>>[0]) => {
    const service = await testService(definition, {
      folder: join(services, name),
      now,
      sharedKeys,
      env: { CHECKOUT_DEADLINE_MS: "600000" },
    });
    running.push(service as TestService<unknown>);
    return service;
  };
  const all = {
    orders: await start("orders", orders),
    inventory: await start("inventory", inventory),
    payments: await start("payments", payments),
  };
  const product = { sku: "A", name: "Holder", price: gbp(700), kind: "physical" as const, version: 1 };
  await all.orders.deliver(inOrders.ProductCreated, product);
  await all.inventory.deliver(inInventory.ProductCreated, product);
  await all.inventory.deliver(inInventory.ProductStocked, { sku: "A", onHand: 10 });

  // What one tells, the others hear: each event twice, since a broker may.
  const hears: [keyof typeof all, keyof typeof all, Record<string, unknown>][] = [
    ["orders", "inventory", inInventory],
    ["orders", "payments", inPayments],
    ["inventory", "orders", inOrders],
    ["payments", "orders", inOrders],
  ];
  const done = new Set<string>();
  const pass = async (only?: (event: CloudEvent) => boolean) => {
    for (const [from, to, contracts] of hears)
      for (const event of await all[from].published()) {
        const key = `${event.id} ${to}`;
        const known = Object.values(contracts).find(
          (type) => typeof type === "object" && type !== null && "type" in type && type.type === event.type,
        );
        if (!known || done.has(key) || only?.(event) === false) continue;
        for (let time = 0; time < 2; time++)
          expect(await all[to].deliver(known as never, event.data as never, { id: event.id })).toBe(
            "SUCCESS",
          );
        done.add(key);
      }
  };
  return {
    ...all,
    pass,
    set: (ms: number) => {
      set += ms;
    },
    async place(token: string): Promise<string> {
      const response = await all.orders.request("/orders", {
        method: "POST",
        scopes: ["orders:read", "orders:write"],
        body: {
          lines: [{ sku: "A", quantity: 1 }],
          customer: { email: "ada@example.com", name: "Ada" },
          shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
          payment: { method: "test", token },
        },
      });
      expect(response.status).toBe(202);
      return ((await response.json()) as { id: string }).id;
    },
    async order(id: string) {
      const response = await all.orders.request(`/orders/${id}`, { scopes: ["orders:manage"] });
      return (await response.json()) as { status: string; reason?: string };
    },
    async money(id: string) {
      const response = await all.payments.request(`/payments/${id}`, { scopes: ["payments:manage"] });
      return (await response.json()) as { captured: unknown; refunded: unknown };
    },
    async stock() {
      const response = await all.inventory.request("/stock/A", { scopes: ["inventory:write"] });
      return (await response.json()) as { reserved: number };
    },
  };
}

test("set back by hours: orders under way are confirmed as they would have been, authorised once", async () => {
  const it = await shop();
  const [first, flaky] = [await it.place("tok_ok"), await it.place("tok_flaky")];
  await it.pass(({ type }) => type === "order.placed");
  it.set(-3 * hour);
  const after = await it.place("tok_ok");
  for (const id of [first, flaky, after]) {
    await eventually(`${id} is confirmed`, async () => {
      await it.pass();
      return (await it.order(id)).status === "confirmed";
    });
    expect(await it.money(id)).toMatchObject({ authorised: gbp(700), captured: gbp(0), refunded: gbp(0) });
  }
  expect(await it.stock()).toMatchObject({ reserved: 3 });
});

test("set forward by hours: who is beyond the deadline gives all back; nobody pays for what is not held", async () => {
  const it = await shop();
  const [slow, paid] = [await it.place("tok_ok"), await it.place("tok_ok")];
  await eventually("one is confirmed, and one not asked to pay yet", async () => {
    await it.pass(({ data }) => (data as { orderId?: string }).orderId === paid);
    return (await it.order(paid)).status === "confirmed";
  });
  it.set(3 * hour);
  await eventually("the deadline has passed", async () =>
    (await it.orders.published()).some(
      ({ type, data }) => type === "order.aborting" && (data as { orderId: string }).orderId === slow,
    ),
  );
  await eventually("it is over", async () => {
    await it.pass();
    return (await it.order(slow)).status === "rejected";
  });
  expect(await it.order(slow)).toMatchObject({ status: "rejected", reason: "timed-out" });
  expect(await it.order(paid)).toMatchObject({ status: "confirmed" });
  expect(await it.stock()).toMatchObject({ reserved: 1 });
  const { body } = await it.payments.request("/payments/ledger", { scopes: ["payments:manage"] });
  expect(await new Response(body).json()).toMatchObject({ balanced: true });
  // And what comes now goes by the new clock.
  const next = await it.place("tok_ok");
  await eventually("the next is confirmed", async () => {
    await it.pass();
    return (await it.order(next)).status === "confirmed";
  });
});

test("set back: the gateway neither locks clients out nor keeps copies for longer", async () => {
  let now = 10 * hour;
  const window = new SlidingWindow(2, 60_000);
  for (let i = 0; i < 2; i++) expect(window.take("ada", now).allowed).toBe(true);
  expect(window.take("ada", now).allowed).toBe(false);
  now -= 3 * hour;
  window.take("ada", now);
  now += 120_000;
  expect(window.take("ada", now).allowed).toBe(true);

  const cache = new EdgeCache(() => now);
  let asked = 0;
  const ask = async () => ({
    status: 200,
    headers: new Headers({ "cache-control": "public, s-maxage=60", etag: `"${++asked}"` }),
    body: new ArrayBuffer(0),
  });
  await cache.get("/a", [], ask);
  expect(cache.fresh("/a")).toBeDefined();
  now -= 3 * hour;
  expect(cache.fresh("/a")).toBeUndefined();
  await cache.get("/a", [], ask);
  expect(asked).toBe(2);
});

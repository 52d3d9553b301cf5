import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { OrderSeen } from "../../packages/souk/src/orders-watch.ts";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";

setDefaultTimeout(120_000);

let it: TestShop;

interface CartSeen {
  id: string;
  status: string;
  orderId?: string;
  total: unknown;
  lines: { sku: string; quantity: number; unitPrice: unknown; availability: string; available?: number }[];
}

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

const ask = async (method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown) =>
  (await it.api.call<CartSeen>(path, { method, body, guest: true })).body;
const put = (id: string, sku: string, quantity: number) =>
  ask("PUT", `/api/carts/${id}/lines/${encodeURIComponent(sku)}`, { quantity });
/** Puts a product in as soon as carts has heard of it. */
async function filled(sku: string, quantity: number): Promise<CartSeen> {
  const { id } = await ask("POST", "/api/carts");
  let cart: CartSeen | undefined;
  await eventually("carts has heard of it", async () => {
    cart = await put(id, sku, quantity).catch(() => undefined);
    return cart !== undefined;
  });
  return cart as CartSeen;
}
const checkout = (cartId: string) =>
  it.api.call<OrderSeen>("/api/orders", { method: "POST", body: { ...customer, cartId }, guest: false });

describe("a cart", () => {
  test("fills up, shows what is left, and becomes an order that is paid", async () => {
    const sku = await it.product({ price: gbp(250), onHand: 7 });
    const cart = await filled(sku, 3);
    expect(cart.lines).toMatchObject([{ sku, quantity: 3, unitPrice: gbp(250) }]);
    expect(cart.total).toEqual(gbp(750));
    await eventually("it says how few are left", async () => {
      const [line] = (await ask("GET", `/api/carts/${cart.id}`)).lines;
      return line?.availability === "low" && line.available === 7;
    });
    const { body: order } = await checkout(cart.id);
    expect((await it.settled(order)).status).toBe("confirmed");
    await eventually("the cart is closed", async () => {
      const closed = await ask("GET", `/api/carts/${cart.id}`);
      return closed.status === "ordered" && closed.orderId === order.id;
    });
    await eventually("the next one sees what is left now", async () => {
      const [line] = (await ask("POST", "/api/carts", { lines: [{ sku, quantity: 1 }] })).lines;
      return line?.available === 4;
    });
  });

  test("checked out by ten at once is ordered once", async () => {
    const sku = await it.product({ price: gbp(100), onHand: 50 });
    const { id } = await filled(sku, 2);
    const ends = await Promise.all(
      Array.from({ length: 10 }, () =>
        checkout(id).then(
          ({ body }) => body.id,
          (error: { code: string }) => error.code,
        ),
      ),
    );
    expect(ends.filter((end) => end === "cart-ordered")).toHaveLength(9);
    const stock = async () => (await it.stock(sku)).reserved;
    await eventually("it is reserved", async () => (await stock()) > 0);
    expect(await stock()).toBe(2);
  });

  test("two tabs lose nothing, and a kill -9 of carts and of the broker loses no cart", async () => {
    const skus = await Promise.all([1, 2, 3, 4].map(() => it.product({ price: gbp(100) })));
    const { id } = await filled(skus[0] as string, 1);
    await Promise.all(
      skus.map((sku, n) => eventually("it is in", () => put(id, sku, n + 1).then(Boolean, () => false))),
    );
    await Promise.all([it.shop.kill("carts"), it.shop.kill("redis")]);
    await it.shop.ready();
    const { lines } = await ask("GET", `/api/carts/${id}`);
    expect(new Map(lines.map(({ sku, quantity }) => [sku, quantity]))).toEqual(
      new Map(skus.map((sku, n) => [sku, n + 1])),
    );
  });

  test("only an order takes it: its checkout is no way in", async () => {
    expect((await it.refusal("/api/checkouts/x", { method: "POST", body: {} })).status).toBe(404);
  });
});

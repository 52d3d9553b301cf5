import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { OrderSeen } from "../../packages/souk/src/orders-watch.ts";
import { customer, eventually, gbp, type Money, type TestShop, testShop } from "./shop.ts";

setDefaultTimeout(120_000);

let it: TestShop;
let codes = 0;

interface Quoted {
  subtotal: Money;
  discount: Money;
  tax: Money;
  shipping: Money;
  total: Money;
  promotions?: { code?: string; amount: Money }[];
}

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

const post = async <T>(path: string, body: object, guest = false): Promise<T> =>
  (await it.api.call<T>(path, { method: "POST", body, guest })).body;
const put = (path: string, body: object) => it.api.call(path, { method: "PUT", body });
const quote = (over: object) => post<Quoted>("/api/quotes", { country: "GB", ...over }, true);
/** A promotion with a code of its own. */
async function promotion(over: object = {}): Promise<{ id: string; code: string }> {
  const code = `CODE-${++codes}`;
  const ten = { name: "Ten percent", code, kind: "percentage", basisPoints: 1_000 };
  return post("/api/promotions", { ...ten, ...over });
}
/** Hands over what waits of an order, or a part of it. */
async function dispatch(order: string, body: object = {}): Promise<void> {
  const path = `/api/shipments?order=${order}`;
  const find = async (such: (one: { id: string; status: string }) => boolean) =>
    (await it.api.call<{ items: { id: string; status: string }[] }>(path)).body.items.find(such)?.id;
  let id: string | undefined;
  await eventually("a shipment waits", async () => {
    id = await find(({ status }) => status === "pending");
    return id !== undefined;
  });
  await post(`/api/shipments/${id}/dispatch`, body);
  await eventually(
    "it has left",
    async () => (await find((one) => one.id === id && one.status === "dispatched")) !== undefined,
  );
}
/** Waits until this is what payments has done for an order. */
const money = async (order: string, { captured, refunded }: { captured: number; refunded: number }) => {
  let seen: Awaited<ReturnType<TestShop["payment"]>> | undefined;
  await eventually(`${captured} are captured, ${refunded} refunded`, async () => {
    seen = await it.payment(order);
    return seen.captured.amount >= captured && seen.refunded.amount >= refunded;
  });
  expect(seen).toMatchObject({ captured: gbp(captured), refunded: gbp(refunded) });
};
const used = async (code: string): Promise<number | undefined> => {
  const listed = await it.api.call<{ items: { used: number }[] }>(`/api/promotions?code=${code}`);
  return listed.body.items[0]?.used;
};

describe("what an order comes to", () => {
  test("is what was quoted, and what is asked for its money: after discount, with tax and shipping", async () => {
    const sku = `HEAVY-${crypto.randomUUID()}`;
    const product = {
      sku,
      name: "Heavy",
      price: gbp(1_000),
      kind: "physical",
      weight: 700,
      taxClass: "reduced",
    };
    await it.api.call("/api/products", { method: "POST", body: product });
    await put("/api/tax-rates/GB/reduced", { basisPoints: 500, included: false });
    await put("/api/shipping/rates/GB/parcel", {
      name: "Parcel",
      prices: [
        { upToGrams: 1_000, price: gbp(395) },
        { upToGrams: null, price: gbp(995) },
      ],
    });
    const { code } = await promotion();
    const asked = { lines: [{ sku, quantity: 3 }], shippingMethod: "parcel", codes: [code] };
    let quoted: Quoted | undefined;
    await eventually("orders knows the product, its rates, and what shipping costs", async () => {
      quoted = await quote(asked).catch(() => undefined);
      return quoted !== undefined;
    });
    expect(quoted).toMatchObject({
      subtotal: gbp(3_000),
      discount: gbp(300),
      tax: gbp(135),
      shipping: gbp(995),
      total: gbp(3_830),
      promotions: [{ code, amount: gbp(300) }],
    });

    await it.api.call("/api/products/import", {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: JSON.stringify({ ...product, onHand: 10 }),
    });
    await eventually("there is stock", async () => (await it.stock(sku)).onHand === 10);
    const { lines, ...rest } = asked;
    const order = await it.place(lines, rest);
    expect(order).toMatchObject({
      ...quoted,
      lines: [{ total: gbp(3_000), discount: gbp(300), tax: gbp(135) }],
    });
    expect((await it.settled(order)).status).toBe("confirmed");
    expect((await it.payment(order.id)).authorised).toEqual(gbp(3_830));

    // It leaves in two parts, with the charge for shipping; all of it comes back but that.
    await dispatch(order.id, { lines: [{ sku, quantity: 1 }] });
    await money(order.id, { captured: 945 + 995, refunded: 0 });
    await dispatch(order.id);
    await money(order.id, { captured: 3_830, refunded: 0 });
    await post(`/api/orders/${order.id}/returns`, { lines, reason: "too heavy" });
    await money(order.id, { captured: 3_830, refunded: 2_835 });
    expect((await it.ledger()).balanced).toBe(true);
  });

  test("is seen to change soon after the answer that changed it", async () => {
    const sku = await it.product({ price: gbp(1_000) });
    const lines = [{ sku, quantity: 1 }];
    const totalBecomes = (amount: number) =>
      eventually(`it costs ${amount}`, async () => {
        const { total } = await quote({ lines, country: "FR" });
        return total.amount === amount && total.currency === "GBP";
      });
    await put("/api/tax-rates/FR/standard", { basisPoints: 2_000, included: false });
    await totalBecomes(1_200);
    const body = { name: "A pound off", kind: "amount", amount: gbp(100), on: { skus: [sku] } };
    const { id } = await post<{ id: string }>("/api/promotions", body);
    await totalBecomes(1_080);
    const headers = { "if-match": "*" };
    await it.api.call(`/api/promotions/${id}`, { method: "DELETE", headers });
    await it.api.call("/api/tax-rates/FR/standard", { method: "DELETE", headers });
    await totalBecomes(1_000);
  });
});

describe("a code", () => {
  test("with limit 5 is had by five of thirty buyers at once, and again when one of them is cancelled", async () => {
    const sku = await it.product({ price: gbp(1_000), onHand: 100 });
    const { code } = await promotion({ limit: 5 });
    const buy = (n: number) =>
      it.place(
        [{ sku, quantity: 1 }],
        { codes: [code], customer: { email: `buyer-${n}@example.com`, name: "Buyer" } },
        { guest: true },
      );
    const ends = await Promise.allSettled(Array.from({ length: 30 }, (_, n) => buy(n)));
    const had = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
    const refused = ends.flatMap((end) =>
      end.status === "rejected" ? [(end.reason as { code: string }).code] : [],
    );
    expect(had).toHaveLength(5);
    expect(new Set(refused)).toEqual(new Set(["promotion-not-applicable"]));
    for (const order of had) expect(order.total).toEqual(gbp(900));
    expect(await used(code)).toBe(5);

    const [first] = had as [OrderSeen];
    await it.api.call(`/api/orders/${first.id}/cancel`, { method: "POST" });
    await eventually("it is given back", async () => (await used(code)) === 4);
    expect((await buy(99)).total).toEqual(gbp(900));
  });

  test("comes with the order of a cart, which shows list prices; a quote asks what is in it", async () => {
    const sku = await it.product({ price: gbp(1_000) });
    const { code } = await promotion({ limitPerCustomer: 1 });
    const line = { sku, quantity: 2 };
    let cart: { id: string; total: Money } | undefined;
    await eventually("carts has heard of it", async () => {
      cart = await post<{ id: string; total: Money }>("/api/carts", { lines: [line] }, true).catch(
        () => undefined,
      );
      return cart !== undefined;
    });
    const cartId = cart?.id;
    expect(cart?.total).toEqual(gbp(2_000));
    expect(await quote({ cartId, codes: [code] })).toMatchObject({ total: gbp(1_800) });
    const order = await post<OrderSeen>("/api/orders", { ...customer, cartId, codes: [code] }, true);
    expect(order.total).toEqual(gbp(1_800));
    const again = { method: "POST", body: { ...customer, lines: [line], codes: [code] }, guest: true };
    expect(await it.refusal("/api/orders", again)).toEqual({ status: 422, code: "promotion-not-applicable" });
  });
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import {
  PaymentCaptured,
  PaymentDeclined,
  ProductCreated,
  StockRefused,
  StockReleased,
  StockReserved,
} from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

const staff = ["orders:manage"];
const own = ["orders:read", "orders:write"];
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const newOrder = (over: Record<string, unknown> = {}) => ({
  lines: [{ sku: "85123A", quantity: 6 }],
  customer: { email: "ada@example.com", name: "Ada" },
  shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: "tok_ok" },
  ...over,
});
const place = (over: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  shop.request("/orders", { method: "POST", body: newOrder(over), scopes: own, caller: "ada", headers });
const statusOf = async (id: string): Promise<string> =>
  ((await (await shop.request(`/orders/${id}`, { scopes: staff })).json()) as { status: string }).status;
const types = async () => (await shop.published()).map((event) => event.type);

beforeEach(async () => {
  shop = await testService(orders, { folder: import.meta.dir });
  await shop.deliver(ProductCreated, {
    sku: "85123A",
    name: "Holder",
    price: gbp(255),
    kind: "physical",
    version: 1,
  });
});
afterEach(() => shop.stop());

describe("placing", () => {
  test("is answered with 202, where it is, and what it comes to", async () => {
    const response = await place();
    const order = (await response.json()) as { id: string; total: unknown; status: string; lines: unknown[] };
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe(`/api/orders/${order.id}`);
    expect(order).toMatchObject({ status: "placed", total: gbp(1530) });
    expect(await types()).toEqual(["order.placed"]);
  });

  test("takes the unit price of staff, and of nobody else", async () => {
    const lines = [{ sku: "85123A", quantity: 2, unitPrice: gbp(100) }];
    expect((await place({ lines })).status).toBe(403);
    const response = await shop.request("/orders", {
      method: "POST",
      body: newOrder({ lines }),
      scopes: staff,
    });
    expect(await response.json()).toMatchObject({ total: gbp(200) });
  });

  test.each([
    [{ lines: [] }, 400, "/lines"],
    [{ lines: [{ sku: "85123A", quantity: 0 }] }, 400, "/lines/0/quantity"],
    [{ surprise: 1 }, 400, "/surprise"],
    [{ customer: { email: "no", name: "N" } }, 400, "/customer/email"],
    [
      {
        lines: [
          { sku: "85123A", quantity: 1 },
          { sku: "NO", quantity: 1 },
        ],
      },
      422,
      "/lines/1/sku",
    ],
    [{ cartId: "c-1" }, 400, "/lines"],
    [{ shippingMethod: "owl" }, 422, "/shippingMethod"],
    [{ payment: { method: "stripe", token: "tok" } }, 422, "/payment/method"],
    [{ payment: { method: "test", token: "4242 4242 4242 4242" } }, 422, "/payment/token"],
  ])("refuses %j with %i at %s", async (over, status, pointer) => {
    const response = await place(over);
    const problem = (await response.json()) as { errors: { pointer: string }[]; code: string };
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(problem.errors.map((error) => error.pointer)).toContain(pointer);
    expect(await types()).toEqual([]);
  });

  test("refuses what is no JSON", async () => {
    const response = await shop.request("/orders", {
      method: "POST",
      body: "{",
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(400);
  });

  test("happens once for one Idempotency-Key, also when asked twice at once", async () => {
    const headers = { "idempotency-key": "k-1" };
    const [a, b] = await Promise.all([place({}, headers), place({}, headers)]);
    expect(await a.json()).toEqual(await b.json());
    expect(await types()).toEqual(["order.placed"]);
    expect((await place({ reference: "other" }, headers)).status).toBe(409);
  });

  test("is kept when the broker is down, and published when it is back", async () => {
    shop.brokerDown(true);
    expect((await place()).status).toBe(202);
    shop.brokerDown(false);
    expect(await types()).toEqual(["order.placed"]);
  });
});

describe("the saga", () => {
  const placed = async () => ((await (await place()).json()) as { id: string }).id;

  test("reserves, takes the money and then shows confirmed", async () => {
    const orderId = await placed();
    await shop.deliver(StockReserved, { orderId });
    expect(await statusOf(orderId)).toBe("reserved");
    await shop.deliver(PaymentCaptured, { orderId });
    expect(await statusOf(orderId)).toBe("confirmed");
    expect(await types()).toEqual(["order.placed", "order.reserved", "order.confirmed"]);
  });

  test("has its effect once, however often the event comes", async () => {
    const orderId = await placed();
    for (let time = 0; time < 3; time++) {
      expect(await shop.deliver(StockReserved, { orderId }, { id: "e-1" })).toBe("SUCCESS");
    }
    expect(await types()).toEqual(["order.placed", "order.reserved"]);
  });

  test("rejects what is out of stock", async () => {
    const orderId = await placed();
    await shop.deliver(StockRefused, { orderId });
    expect(await statusOf(orderId)).toBe("rejected");
  });

  test("shows a declined order as rejected only when its stock is back", async () => {
    const orderId = await placed();
    await shop.deliver(StockReserved, { orderId });
    await shop.deliver(PaymentDeclined, { orderId, reason: "payment-declined" });
    expect(await statusOf(orderId)).toBe("reserved");
    await shop.deliver(StockReleased, { orderId });
    expect(await statusOf(orderId)).toBe("rejected");
  });
});

describe("reading", () => {
  test("is for its owner, for staff, and for the guest who holds the key", async () => {
    const mine = (await (await place()).json()) as { id: string };
    expect((await shop.request(`/orders/${mine.id}`, { scopes: own, caller: "ada" })).status).toBe(200);
    expect((await shop.request(`/orders/${mine.id}`, { scopes: own, caller: "eve" })).status).toBe(404);
    expect((await shop.request(`/orders/${mine.id}`, { scopes: staff })).status).toBe(200);
    expect((await shop.request(`/orders/${mine.id}`)).status).toBe(404);

    const response = await shop.request("/orders", { method: "POST", body: newOrder() });
    const guests = (await response.json()) as { id: string; orderKey: string };
    const read = (key: string) => shop.request(`/orders/${guests.id}`, { headers: { "order-key": key } });
    expect((await read(guests.orderKey)).status).toBe(200);
    expect((await read("wrong")).status).toBe(404);
    expect(await (await read(guests.orderKey)).json()).not.toHaveProperty("orderKey");
  });

  test("answers 304 while nothing has changed", async () => {
    const { id } = (await (await place()).json()) as { id: string };
    const first = await shop.request(`/orders/${id}`, { scopes: staff });
    const tag = first.headers.get("etag") ?? "";
    const again = await shop.request(`/orders/${id}`, { scopes: staff, headers: { "if-none-match": tag } });
    expect([tag, again.status]).toEqual(['"1"', 304]);
  });

  test("pages through a list, newest first, without gaps or repeats", async () => {
    for (let index = 0; index < 5; index++) await place({ reference: `r-${index}` });
    const seen: string[] = [];
    let path = "/orders?limit=2";
    for (;;) {
      const page = (await (await shop.request(path, { scopes: staff })).json()) as {
        items: { reference: string }[];
        nextCursor: string | null;
      };
      seen.push(...page.items.map((order) => order.reference));
      if (page.nextCursor === null) break;
      path = `/orders?limit=2&cursor=${page.nextCursor}`;
    }
    expect(seen.sort()).toEqual(["r-0", "r-1", "r-2", "r-3", "r-4"]);
  });

  test.each(["limit=0", "limit=101", "limit=x", "cursor=nonsense", "status=odd", "surprise=1"])(
    "refuses ?%s",
    async (query) => {
      expect((await shop.request(`/orders?${query}`, { scopes: staff })).status).toBe(400);
    },
  );

  test("needs a token for lists", async () => {
    const response = await shop.request("/orders");
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toContain("Bearer");
    expect((await shop.request("/orders", { scopes: ["catalog:write"] })).status).toBe(403);
  });
});

describe("cancelling", () => {
  test("shows when stock and money are back, not before", async () => {
    const { id } = (await (await place()).json()) as { id: string };
    const cancel = () => shop.request(`/orders/${id}/cancel`, { method: "POST", scopes: own, caller: "ada" });
    expect((await cancel()).status).toBe(202);
    expect(await statusOf(id)).toBe("placed");
    await shop.deliver(StockReleased, { orderId: id });
    expect(await statusOf(id)).toBe("cancelled");
    expect((await cancel()).status).toBe(202);
    expect(await types()).toEqual(["order.placed", "order.aborting", "order.cancelled"]);
  });
});

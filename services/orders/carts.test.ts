import { afterEach, beforeEach, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { ProductCreated } from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;
/** What carts was asked, and what it answers. */
let asked: { path: string; body: unknown }[];
let answer: (path: string) => Response;

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const problem = (status: number, code: string) => Response.json({ code }, { status });
const order = async (who: { caller?: string } = {}) => {
  const response = await shop.request("/orders", {
    method: "POST",
    body: {
      cartId: "c-1",
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
    },
    ...(who.caller ? { caller: who.caller, user: true, scopes: ["orders:write"] } : {}),
  });
  return {
    status: response.status,
    body: (await response.json()) as { id: string; code: string; total: unknown },
  };
};
const until = async (holds: () => boolean | Promise<boolean>) => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
};

beforeEach(async () => {
  asked = [];
  answer = (path) =>
    path.endsWith("/ordered")
      ? new Response(null, { status: 204 })
      : Response.json({ orderId: "o-of-the-cart", lines: [{ sku: "85123A", quantity: 2 }] });
  shop = await testService(orders, {
    folder: import.meta.dir,
    async others(request) {
      const path = /\/invoke\/carts\/method(.*)$/.exec(new URL(request.url).pathname)?.[1];
      if (path === undefined) return undefined;
      asked.push({ path, body: await request.json() });
      return answer(path);
    },
  });
  const product = { sku: "85123A", name: "Holder", price: gbp(255), kind: "physical" as const, version: 1 };
  await shop.deliver(ProductCreated, product);
});
afterEach(() => shop.stop());

test("a cart is taken over at today's prices, under the id that it has chosen, and closed", async () => {
  const { status, body } = await order({ caller: "u-ada" });
  expect([status, body.id, body.total]).toEqual([202, "o-of-the-cart", gbp(510)]);
  expect(asked[0]).toMatchObject({ path: "/checkouts/c-1", body: { owner: "u-ada" } });
  await until(() => asked.length > 1);
  expect(asked[1]).toEqual({ path: "/checkouts/c-1/ordered", body: { orderId: "o-of-the-cart" } });
});

test("of two at once one is ordered; the other, and whoever comes later, is told", async () => {
  const answers = await Promise.all([order(), order()]);
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
  expect((await order()).body.code).toBe("cart-ordered");
  expect((await shop.published()).map(({ type }) => type)).toEqual(["order.placed"]);
});

test("a cart is told again until it has heard that it is ordered", async () => {
  let times = 0;
  const before = answer;
  answer = (path) => (path.endsWith("/ordered") && ++times < 3 ? problem(503, "away") : before(path));
  await order();
  await until(() => times === 3);
});

test.each([
  [404, "not-found", 422, "unknown-cart"],
  [422, "empty-cart", 422, "empty-cart"],
  [409, "cart-ordered", 409, "cart-ordered"],
  [500, "internal", 503, "service-unavailable"],
])("carts says %i %s: the answer is %i %s, and nothing is ordered", async (status, code, expected, said) => {
  answer = () => problem(status, code);
  const { status: got, body } = await order();
  expect([got, body.code]).toEqual([expected, said]);
  expect(await shop.published()).toEqual([]);
});

test("what is not said by carts itself is not believed: nothing is ordered, and the cart is told again", async () => {
  const lines = [{ sku: "85123A", quantity: 2 }];
  const headers = { "x-answered-by": "somebody" };
  const before = answer;
  answer = () => Response.json({ orderId: "o-of-nobody", lines }, { headers });
  expect((await order()).body.code).toBe("service-unavailable");
  expect(await shop.published()).toEqual([]);

  let times = 0;
  answer = (path) =>
    path.endsWith("/ordered") && ++times < 3 ? new Response(null, { status: 204, headers }) : before(path);
  await order();
  await until(() => times === 3);
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";
import { soukOf } from "./souk.ts";

let it: TestShop;
let souk: ReturnType<typeof soukOf>;

beforeAll(async () => {
  it = await testShop();
  souk = soukOf(it.shop.home);
}, 600_000);
afterEach(async () => {
  for (const key of ["checkout.paused", "payments.off", "rate-limits.checkout"])
    await souk("config", "unset", key);
  await eventually("orders are taken again", async () => (await buy(sku)).status === 202);
}, 60_000);
afterAll(() => it?.stop(), 60_000);

let sku = "";
beforeAll(async () => {
  sku = await it.product({ price: gbp(500), onHand: 10_000 });
}, 60_000);

/** Well below the time after which services look by themselves. */
const atOnce = 5_000;

/** A guest's order. */
const buy = (of: string, body: object = {}) =>
  fetch(`${it.shop.url}/api/orders`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...customer, lines: [{ sku: of, quantity: 1 }], ...body }),
  });

interface Problem {
  code: string;
  detail: string;
}
const problem = async (response: Response): Promise<[number, string, string]> => {
  const { code, detail } = (await response.json()) as Problem;
  return [response.status, code, detail];
};
const paused = (why: string): [number, string, string] => [503, "checkout-paused", why];

describe("checkout.paused", () => {
  test("is heeded at once, with its text, whatever the order is made of; what is under way goes on", async () => {
    const under = (await (await buy(sku)).json()) as { id: string };
    const cart = (
      await it.api.call<{ id: string }>("/api/carts", {
        method: "POST",
        body: { lines: [{ sku, quantity: 1 }] },
      })
    ).body;
    await souk("config", "set", "checkout.paused", "We count our stock: back at 14:00");
    await eventually("it is heeded", async () => (await buy(sku)).status === 503, atOnce);
    const refused = await buy(sku);
    expect(refused.headers.get("retry-after")).toBe("30");
    expect(await problem(refused)).toEqual(paused("We count our stock: back at 14:00"));
    const checkout = await buy(sku, { lines: undefined, cartId: cart.id });
    expect(await problem(checkout)).toEqual(paused("We count our stock: back at 14:00"));
    expect((await it.settled(under)).status).toBe("confirmed");
    // Everything else is as it was.
    expect((await fetch(`${it.shop.url}/api/products/${sku}`)).status).toBe(200);
    await souk("config", "set", "checkout.paused", "A little later");
    await eventually(
      "the new text is told",
      async () => (await problem(await buy(sku)))[2] === "A little later",
      atOnce,
    );
    await souk("config", "unset", "checkout.paused");
    await eventually("it is over", async () => (await buy(sku)).status === 202, atOnce);
    // The cart was not taken meanwhile.
    expect((await buy(sku, { lines: undefined, cartId: cart.id })).status).toBe(202);
  }, 60_000);

  test("holds through kill -9 of the sidecar, and of orders; their successors are told of changes", async () => {
    await souk("config", "set", "checkout.paused", "Back soon");
    await eventually("it is heeded", async () => (await buy(sku)).status === 503, atOnce);
    for (const part of ["sidecar", "app"] as const) {
      await it.shop.kill("orders", part);
      // Nobody gets an order meanwhile: not from the sidecar's successor, and not from that of orders.
      await eventually(
        "it is back",
        async () => {
          const [status, code] = await problem(await buy(sku));
          expect(status).toBe(503);
          return code === "checkout-paused";
        },
        60_000,
      );
      expect(await problem(await buy(sku))).toEqual(paused("Back soon"));
    }
    await it.shop.ready(30_000);
    await souk("config", "set", "checkout.paused", "Back later");
    await eventually(
      "changes are told",
      async () => (await problem(await buy(sku)))[2] === "Back later",
      atOnce,
    );
    await souk("config", "unset", "checkout.paused");
    await eventually("also the last one", async () => (await buy(sku)).status === 202, atOnce);
  }, 120_000);
});

test("payments.off: a way to pay is off for new orders", async () => {
  await souk("config", "set", "payments.off", "test");
  await eventually("it is heeded", async () => (await buy(sku)).status === 422, atOnce);
  expect((await problem(await buy(sku)))[1]).toBe("payment-method-unavailable");
}, 60_000);

test("rate-limits.checkout: guests get less, and what they had is counted", async () => {
  await souk("config", "set", "rate-limits.checkout", "address=1");
  await eventually("it is heeded", async () => (await buy(sku)).status === 429, atOnce);
  const refused = await buy(sku);
  expect(refused.headers.get("ratelimit-policy")).toBe('"checkout-address";q=1;w=60');
  // Of clients nothing was said.
  expect((await it.place([{ sku, quantity: 1 }])).status).toBe("placed");
}, 60_000);

test("the command says what there is, who heeds it, and takes nothing that does not fit", async () => {
  await souk("config", "set", "payments.off", "stripe");
  const { out } = await souk("config", "list", "--json");
  const all = JSON.parse(out) as { key: string; set: string | null; services: string[] }[];
  expect(all.map(({ key, set, services }) => [key, set, services])).toEqual([
    ["checkout.paused", null, ["orders"]],
    ["payments.off", "stripe", ["orders"]],
    ["rate-limits.checkout", null, ["gateway"]],
  ]);
  expect((await souk("config", "get", "payments.off")).out).toBe("stripe\n");
  for (const [key, value] of [
    ["payments.off", "strpie"],
    ["payments.off", ""],
    ["checkout.paused", "a||b"],
    ["rate-limits.checkout", "address=many"],
    ["checkout.pausd", "why"],
  ] as const) {
    const { code, err } = await souk("config", "set", key, value);
    expect([key, value, code]).toEqual([key, value, 1]);
    expect(err).toContain(key);
  }
  expect((await souk("config", "get", "payments.off")).out).toBe("stripe\n");
}, 60_000);

test("sidecars do not log each look at a flag that is not set", () => {
  const lines = [...it.shop.tail("orders", "sidecar"), ...it.shop.tail("gateway", "sidecar")];
  expect(lines.filter((line) => line.includes("does not exist"))).toEqual([]);
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { fakeSidecar } from "hono-dapr/testing";
import { ProductCreated } from "./contracts.ts";
import carts from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;
/** Its clock is that of the state store, and the service's. */
let dapr: ReturnType<typeof fakeSidecar>;

const ada = { scopes: ["orders:read"], caller: "u-ada", user: true };
const days = (count: number): Promise<void> => dapr.clock.advance(count * 24 * 60 * 60_000);

beforeEach(async () => {
  dapr = fakeSidecar();
  const ask = dapr.fetch("carts");
  shop = await testService(carts, {
    folder: import.meta.dir,
    now: () => dapr.clock.now(),
    others: ({ url, method, headers, body }) => {
      const asked = new Headers(headers);
      asked.set("dapr-api-token", dapr.apiToken("carts"));
      return ask(url, { method, headers: asked, body });
    },
  });
  const price = { amount: 255, currency: "GBP" };
  await shop.deliver(ProductCreated, { sku: "85123A", name: "Heart", price, kind: "physical", version: 1 });
});
afterEach(() => shop.stop());

const put = (id: string, quantity: number, options: object = {}) =>
  shop.request(`/carts/${id}/lines/85123A`, { method: "PUT", body: { quantity }, ...options });
const mine = async () =>
  (await (await shop.request("/carts/mine", ada)).json()) as { id: string; lines: { quantity: number }[] };

test("a guest's cart is forgotten thirty days after its last change", async () => {
  const { id } = (await (await shop.request("/carts", { method: "POST" })).json()) as { id: string };
  await days(29);
  expect((await put(id, 1)).status).toBe(200);
  await days(29);
  expect((await shop.request(`/carts/${id}`)).status).toBe(200);
  await days(2);
  expect((await shop.request(`/carts/${id}`)).status).toBe(404);
});

test("a user's cart that is used is theirs for as long as it is; one that is not is forgotten after 180 days", async () => {
  const { id } = await mine();
  for (let month = 1; month <= 12; month++) {
    await days(30);
    expect((await put(id, month, ada)).status).toBe(200);
    expect(await mine()).toMatchObject({ id, lines: [{ quantity: month }] });
  }
  await days(181);
  expect((await mine()).lines).toEqual([]);
  expect((await shop.request(`/carts/${id}`, ada)).status).toBe(404);
});

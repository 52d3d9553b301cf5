import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { foreignProvider } from "../e2e/foreign-provider.ts";
import { customer, eventually, type TestShop, testShop } from "../e2e/shop.ts";

const provider = await foreignProvider();
const tokenOf = (id: string): Promise<string> => provider.tokenOf(id, "openid orders:read orders:write");

let shop: TestShop;
let sku: string;
beforeAll(async () => {
  shop = await testShop({ ...provider.env, ARGON2_MEMORY_KIB: "8", ARGON2_TIME: "1" });
  sku = await shop.product({ onHand: 100 });
}, 120_000);
afterAll(async () => {
  await shop?.stop();
  await provider.stop();
}, 60_000);

interface Seen {
  id: string;
  erased?: boolean;
  status: string;
  total: unknown;
  customer: { email: string; name: string };
  shippingAddress: Record<string, string>;
}

async function buyer(name: string) {
  const email = `${name}@people.test`;
  const user = { email, name, password: "correct horse battery" };
  const { id } = (
    await shop.api.call<{ id: string }>("/api/users", { method: "POST", body: user, guest: true })
  ).body;
  const headers = { authorization: `Bearer ${await tokenOf(id)}` };
  const body = { ...customer, customer: { email, name }, lines: [{ sku, quantity: 1 }] };
  const orders: string[] = [];
  for (const key of ["1", "2", "3"]) {
    const asked = { method: "POST", body, guest: true, headers: { ...headers, "idempotency-key": key } };
    orders.push((await shop.api.call<Seen>("/api/orders", asked)).body.id);
  }
  for (const order of orders) await shop.settled({ id: order });
  return { id, email, headers, orders };
}

const order = async (id: string): Promise<Seen> => (await shop.api.call<Seen>(`/api/orders/${id}`)).body;
const found = async (of: string): Promise<string[]> =>
  (await shop.api.call<{ items: Seen[] }>(`/api/orders?customer=${encodeURIComponent(of)}`)).body.items.map(
    ({ id }) => id,
  );

/** Who was given answers that orders keeps. */
function keptFor(owner: string): number {
  const db = new Database(join(shop.shop.home.data, "orders.db"), { readonly: true });
  try {
    const row = db.query<{ n: number }, [string]>("select count(*) as n from idempotency where owner = ?");
    return row.get(owner)?.n ?? 0;
  } finally {
    db.close();
  }
}

test("whoever erases their account is erased from their orders, which stay; nobody else is", async () => {
  const [ada, bob] = [await buyer("ada"), await buyer("bob")];
  const mine = await shop.api.call<{ items: Seen[] }>("/api/orders", { guest: true, headers: ada.headers });
  // What one may take along: all of one's orders, readable.
  expect(mine.body.items.map(({ id }) => id).toSorted()).toEqual(ada.orders.toSorted());
  expect(mine.body.items[0]?.customer).toEqual({ email: ada.email, name: "ada" });
  expect((await found(ada.email)).toSorted()).toEqual(ada.orders.toSorted());
  expect(keptFor(ada.id)).toBe(3);
  const [before] = await Promise.all(ada.orders.map(order));

  const erasing = { method: "DELETE", guest: true, headers: ada.headers };
  expect((await shop.api.call("/api/users/me", erasing)).status).toBe(204);
  await eventually(
    "her orders are nobody's",
    async () => (await Promise.all(ada.orders.map(order))).every(({ erased }) => erased === true),
    30_000,
  );
  const after = await order(ada.orders[0] ?? "");
  expect(after).toMatchObject({
    status: "confirmed",
    total: before?.total,
    customer: { email: "", name: "" },
    shippingAddress: { name: "", line1: "", city: "", country: "GB" },
  });
  expect(await found(ada.email)).toEqual([]);
  expect(keptFor(ada.id)).toBe(0);

  expect((await order(bob.orders[0] ?? "")).customer).toEqual({ email: bob.email, name: "bob" });
  expect((await found(bob.email)).toSorted()).toEqual(bob.orders.toSorted());
  expect(keptFor(bob.id)).toBe(3);
}, 120_000);

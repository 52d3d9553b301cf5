import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { type Db, openSqlite } from "drizzle-outbox";
import { keyringOf } from "../../packages/souk/src/field-keys.ts";
import { type Rotation, rotateFields } from "../../packages/souk/src/rotate-fields.ts";
import { customer, eventually, type TestShop, testShop } from "../e2e/shop.ts";

let shop: TestShop;
let db: Db;
let sku: string;

beforeAll(async () => {
  shop = await testShop({ FIELD_KEYS_REFRESH_MS: "100" });
  db = await openSqlite(join(shop.shop.home.data, "orders.db"));
  sku = await shop.product({ onHand: 100_000 });
}, 120_000);
afterAll(async () => {
  await db?.close();
  await shop?.stop();
}, 60_000);

const rotate = (said: string[] = []): Promise<Rotation[]> =>
  rotateFields({ home: shop.shop.home, run: shop.shop.run, say: (text) => said.push(text) });
const keysInUse = async (): Promise<string[]> =>
  (
    await db.query<{ k: string }>(
      sql`select distinct sealed_with as k from orders union select sealed_with as k from idempotency`,
    )
  )
    .map(({ k }) => k)
    .filter((k) => k !== "");

test("new keys under load: no request fails, everything is sealed anew, and the old keys end", async () => {
  const failures: string[] = [];
  const placed: string[] = [];
  let loading = true;
  const customers = Array.from({ length: 4 }, async (_, who) => {
    for (let n = 0; loading; n++) {
      try {
        const key = { headers: { "idempotency-key": `${who}-${n}` } };
        const body = { ...customer, lines: [{ sku, quantity: 1 }] };
        const post = () => shop.api.call<{ id: string }>("/api/orders", { method: "POST", body, ...key });
        const { id } = (await post()).body;
        placed.push(id);
        if ((await post()).body.id !== id) failures.push("another order for the same key");
        // One of long ago, sealed with whatever key there was.
        const old = placed[Math.floor(Math.random() * placed.length)] ?? id;
        const seen = (await shop.api.call<typeof customer>(`/api/orders/${old}`)).body;
        if (seen.customer.email !== customer.customer.email) failures.push("an order without its customer");
        await shop.api.call(`/api/orders?customer=${encodeURIComponent(customer.customer.email)}&limit=1`);
      } catch (error) {
        failures.push(String(error));
      }
    }
  });
  try {
    await eventually("there are orders", async () => placed.length > 50, 60_000);
    const said: string[] = [];
    const rotated = await rotate(said);
    expect(rotated.find(({ service }) => service === "orders")).toEqual({
      service: "orders",
      current: "k2",
      removed: ["k1"],
    });
    expect(said.at(-1)).toBe("the old keys are gone");
    const before = placed.length;
    await eventually("customers go on", async () => placed.length > before + 20, 60_000);
  } finally {
    loading = false;
  }
  await Promise.all(customers);
  expect(failures).toEqual([]);
  expect(await keysInUse()).toEqual(["k2"]);
  expect(Object.keys(keyringOf(shop.shop.home, "orders").keys)).toEqual(["k2"]);
  const { body } = await shop.api.call<{ items: { id: string }[] }>(
    `/api/orders?customer=${encodeURIComponent(customer.customer.email)}&limit=100`,
  );
  expect(body.items.length).toBe(Math.min(100, placed.length));
}, 240_000);

test("a rotation that was broken off is taken up where it was", async () => {
  const broken = new Error("broken off");
  for (const step of ["new keys are made", "known to", "in use"]) {
    const before = keyringOf(shop.shop.home, "orders").current;
    const say = (text: string) => {
      if (text.startsWith(step)) throw broken;
    };
    await expect(rotateFields({ home: shop.shop.home, run: shop.shop.run, say })).rejects.toBe(broken);
    expect(Object.keys(keyringOf(shop.shop.home, "orders").keys)).toHaveLength(2);
    const after = (await rotate()).find(({ service }) => service === "orders");
    expect(after?.current).not.toBe(before);
    expect(after?.removed.length).toBeGreaterThan(0);
    expect(await keysInUse()).toEqual([after?.current ?? ""]);
  }
}, 240_000);

import { afterEach, beforeEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealedWith } from "chassis";
import { type TestService, testService } from "chassis/testing";
import { sql } from "drizzle-orm";
import { type Db, openSqlite } from "drizzle-outbox";
import { ProductCreated, StockRefused, StockReserved, UserErased } from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

const staff = ["orders:manage"];
const own = ["orders:read", "orders:write"];
const canaries = ["canary.mail@example.com", "Canary Name", "Canary Street 1", "Canary City", "tok_canary"];
const [email = "", name = "", line1 = "", city = "", token = ""] = canaries;
const key = () => randomBytes(32).toString("base64url");
const [k1, k2] = [key(), key()];
const until = async (what: () => Promise<boolean>) => {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
};

let folder: string;
let db: Db;
let ring: string;
let shop: TestService<Store>;

async function start(env: Record<string, string> = {}): Promise<void> {
  shop = await testService(orders, {
    folder: import.meta.dir,
    db,
    fieldKeys: () => ring,
    env: { FIELD_KEYS_REFRESH_MS: "20", ...env },
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "personal-"));
  db = await openSqlite(join(folder, "orders.db"));
  ring = JSON.stringify({ current: "k1", keys: { k1 } });
});
afterEach(async () => {
  await shop.stop();
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

const price = { amount: 255, currency: "GBP" };
const product = { sku: "A", name: "Holder", price, kind: "physical" as const, version: 1 };

const newOrder = {
  lines: [{ sku: "A", quantity: 1 }],
  customer: { email, name },
  shippingAddress: { name, line1, city, country: "GB" },
  payment: { method: "test", token },
};

async function place(idempotencyKey: string, caller = "u_1"): Promise<{ id: string; customer: unknown }> {
  const response = await shop.request("/orders", {
    method: "POST",
    body: newOrder,
    scopes: own,
    caller,
    headers: { "idempotency-key": idempotencyKey },
  });
  expect(response.status).toBe(202);
  return (await response.json()) as { id: string; customer: unknown };
}

const read = async (id: string) =>
  (await (await shop.request(`/orders/${id}`, { scopes: staff })).json()) as Record<string, unknown>;
const found = async (customer: string): Promise<string[]> => {
  const response = await shop.request(`/orders?customer=${encodeURIComponent(customer)}`, { scopes: staff });
  return ((await response.json()) as { items: { id: string }[] }).items.map(({ id }) => id);
};
const shown = { customer: { email, name }, shippingAddress: { name, line1, city, country: "GB" } };

/** What of a person the files of the database show. */
const bare = (): string[] => {
  const bytes = readdirSync(folder).map((file) => readFileSync(join(folder, file)));
  return canaries.filter((canary) => bytes.some((one) => one.includes(canary)));
};
const keysInUse = async (): Promise<(string | null)[]> =>
  (
    await db.query<{ k: string | null }>(
      sql`select sealed_with as k from orders union select sealed_with as k from idempotency`,
    )
  ).map(({ k }) => k);

test("nothing personal is readable on disk, neither in orders nor in kept answers; readers see all", async () => {
  await start();
  await shop.deliver(ProductCreated, product);
  const order = await place("key-1");
  await shop.deliver(StockReserved, { orderId: order.id });
  expect(bare()).toEqual([]);
  expect(await read(order.id)).toMatchObject({ ...shown, status: "reserved" });
  expect(await place("key-1")).toMatchObject({ id: order.id, customer: shown.customer });
  expect(await found(email.toUpperCase())).toEqual([order.id]);
  expect(await found("u_1")).toEqual([order.id]);
  expect(await found("other@example.com")).toEqual([]);
});

test("rows that were not sealed are read as they are, found, and sealed in the background", async () => {
  await start({ SEAL_FIELDS: "no" });
  await shop.deliver(ProductCreated, product);
  const orders = [await place("key-1"), await place("key-2")];
  const [first, second] = orders.map(({ id }) => id) as [string, string];
  expect(await keysInUse()).toEqual([null]);
  expect(await read(first)).toMatchObject(shown);
  expect((await found(email)).toSorted()).toEqual([first, second].toSorted());
  await shop.stop();

  await start();
  await shop.deliver(StockReserved, { orderId: second });
  await until(async () => (await keysInUse()).join() === "k1");
  expect(await read(first)).toMatchObject({ ...shown, status: "placed" });
  expect(await read(second)).toMatchObject({ ...shown, status: "reserved" });
  expect((await found(email)).toSorted()).toEqual([first, second].toSorted());
  expect(await place("key-1")).toMatchObject({ id: first, customer: shown.customer });
  await shop.deliver(StockReserved, { orderId: first });
  const rows = await db.query<{ state: string; email: string }>(sql`select state, email from orders`);
  expect(canaries.filter((canary) => JSON.stringify(rows).includes(canary))).toEqual([]);
}, 60_000);

test("a new key: everything is sealed with it in the background, and the old one can go", async () => {
  await start();
  await shop.deliver(ProductCreated, product);
  const ids: string[] = [];
  for (let i = 0; i < 150; i++) ids.push((await place(`key-${i}`)).id);
  expect(await keysInUse()).toEqual(["k1"]);
  ring = JSON.stringify({ current: "k2", keys: { k1, k2 } });
  await until(async () => (await keysInUse()).join() === "k2");
  ring = JSON.stringify({ current: "k2", keys: { k2 } });
  await until(async () => !(await (await shop.request("/metrics")).text()).includes('key="k1"'));
  const last = ids.at(-1) ?? "";
  expect(await read(last)).toMatchObject(shown);
  expect(await found(email)).toContain(last);
  expect(await place("key-3")).toMatchObject({ id: ids[3], customer: shown.customer });
}, 60_000);

test("a new key: a guest who has used a promotion has used it still, and gives it back once", async () => {
  await start();
  await shop.deliver(ProductCreated, product);
  const body = { name: "Ten", kind: "percentage", basisPoints: 1_000, code: "TEN", limitPerCustomer: 1 };
  await shop.request("/promotions", { method: "POST", body, scopes: ["catalog:write"] });
  const buy = async () => {
    const response = await shop.request("/orders", { method: "POST", body: { ...newOrder, codes: ["TEN"] } });
    return { status: response.status, body: (await response.json()) as { id: string } };
  };
  const { body: order } = await buy();
  const uses = async () =>
    (await db.query<{ used: number }>(sql`select used from promotion_uses where customer <> ''`))
      .map(({ used }) => used)
      .toSorted();
  ring = JSON.stringify({ current: "k2", keys: { k1, k2 } });
  // As long as both keys are there, whichever it is counted under.
  expect((await buy()).status).toBe(422);
  await until(async () => (await keysInUse()).join() === "k2");
  expect(await uses()).toEqual([0, 1]);
  expect((await buy()).status).toBe(422);
  ring = JSON.stringify({ current: "k2", keys: { k2 } });
  await until(async () => !(await (await shop.request("/metrics")).text()).includes('key="k1"'));
  expect((await buy()).status).toBe(422);
  await shop.deliver(StockRefused, { orderId: order.id });
  expect(await uses()).toEqual([0, 0]);
  expect((await buy()).status).toBe(202);
}, 60_000);

test("who is erased is gone from their orders and answers; the orders stay, and others' stay as they are", async () => {
  await start();
  await shop.deliver(ProductCreated, product);
  const mine = await Promise.all(Array.from({ length: 150 }, (_, i) => place(`key-${i}`)));
  const theirs = await place("key-0", "u_2");
  const before = await shop.request(`/orders/${mine[0]?.id}`, { scopes: staff });
  await shop.deliver(UserErased, { userId: "u_1" });
  await until(async () => (await found(email)).length === 1);
  const after = await shop.request(`/orders/${mine[0]?.id}`, { scopes: staff });
  expect(after.headers.get("etag")).not.toBe(before.headers.get("etag"));
  expect(await after.json()).toMatchObject({
    erased: true,
    status: "placed",
    customer: { email: "", name: "" },
    shippingAddress: { name: "", line1: "", city: "", country: "GB" },
    lines: [{ sku: "A" }],
  });
  const kept = await db.query<{ owner: string }>(sql`select owner from idempotency`);
  expect(kept).toEqual([{ owner: "u_2" }]);
  expect(await read(theirs.id)).toMatchObject(shown);
  // The order goes its way.
  await shop.deliver(StockReserved, { orderId: mine[0]?.id ?? "" });
  expect(await read(mine[0]?.id ?? "")).toMatchObject({ status: "reserved", erased: true });
}, 60_000);

test("what was moved to another order does not open there", async () => {
  await start();
  await shop.deliver(ProductCreated, product);
  const [one, two] = [await place("key-1"), await place("key-2")];
  await db.query(
    sql`update orders set state = json_set(state, '$.personal',
      (select json_extract(state, '$.personal') from orders where id = ${one.id})) where id = ${two.id}`,
  );
  expect((await shop.request(`/orders/${two.id}`, { scopes: staff })).status).toBe(500);
  expect((await shop.request(`/orders/${one.id}`, { scopes: staff })).status).toBe(200);
});

test("without keys nothing is taken and nothing is lost", async () => {
  ring = "";
  await start();
  const refused = await shop.request("/orders", { method: "POST", body: {} });
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ code: "secrets-unavailable" });
  ring = JSON.stringify({ current: "k1", keys: { k1 } });
  await shop.deliver(ProductCreated, product);
  const order = await place("key-1");
  const [row] = await db.query<{ state: string }>(sql`select state from orders`);
  expect(sealedWith((JSON.parse(row?.state ?? "{}") as { personal: string }).personal)).toBe("k1");
  expect(await read(order.id)).toMatchObject(shown);
});

import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestService, testService } from "chassis/testing";
import { type Db, openPostgres, openSqlite } from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import { ProductCreated, StockReleased } from "../../services/orders/contracts.ts";
import orders from "../../services/orders/service.ts";
import type { Store } from "../../services/orders/store.ts";

/** Several processes of the service on one database. */
let replicas: TestService<Store>[];
let dbs: Db[];
/** Stands still unless a test moves it: nobody looks for changes by himself. */
let clock: number;
let folder: string;
let postgres: Awaited<ReturnType<typeof server>>;

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const staff = ["catalog:write", "orders:manage"];
const on = (i: number): TestService<Store> => {
  const replica = replicas[i % replicas.length];
  if (!replica) throw new Error("there are no replicas");
  return replica;
};
const json = async (answer: Response) => (await answer.json()) as { id: string; code: string; used: number };
const begin = async (over: object, i = 0) => {
  const body = { name: "Ten", kind: "percentage", basisPoints: 1_000, code: "TEN", ...over };
  return (await json(await on(i).request("/promotions", { method: "POST", body, scopes: staff }))).id;
};
const change = async (id: string, over: object, i = 0) => {
  const body = { name: "Ten", kind: "percentage", basisPoints: 1_000, code: "TEN", ...over };
  const headers = { "if-match": "*" };
  const answer = await on(i).request(`/promotions/${id}`, { method: "PUT", body, headers, scopes: staff });
  expect(answer.status).toBe(200);
};
const place = async (i: number, who: { user?: string; email?: string } = {}, codes: string[] = ["TEN"]) => {
  const answer = await on(i).request("/orders", {
    method: "POST",
    body: {
      lines: [{ sku: "TEA", quantity: 1 }],
      customer: { email: who.email ?? `buyer-${i}@example.com`, name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
      ...(codes.length > 0 ? { codes } : {}),
    },
    ...(who.user ? { caller: who.user, user: true, scopes: ["orders:write"] } : {}),
  });
  return { ...(await json(answer)), status: answer.status };
};
const crowd = (count: number, who: (i: number) => { user?: string; email?: string } = () => ({})) =>
  Promise.all(Array.from({ length: count }, (_, i) => place(i, who(i))));
const taken = (answers: { status: number }[]): number =>
  answers.filter(({ status }) => status === 202).length;
const used = async (id: string, i = 1) => {
  const listed = await (await on(i).request("/promotions", { scopes: staff })).json();
  return (listed as { items: { id: string; used: number }[] }).items.find((one) => one.id === id)?.used;
};

async function start(open: (n: number) => Promise<Db>): Promise<void> {
  clock = Date.parse("2026-03-01T00:00:00Z");
  const keys = JSON.stringify({ current: "k1", keys: { k1: randomBytes(32).toString("base64url") } });
  replicas = [];
  dbs = [];
  for (let n = 0; n < 3; n++) {
    const db = await open(n);
    dbs.push(db);
    const options = {
      folder: join(import.meta.dir, "../../services/orders"),
      db,
      now: () => clock,
      fieldKeys: () => keys,
      sharedKeys: keys,
    };
    replicas.push(await testService(orders, options));
  }
  const tea = { sku: "TEA", name: "Tea", price: gbp(1_000), kind: "physical" as const, version: 1 };
  await on(0).deliver(ProductCreated, tea);
}

async function stop(): Promise<void> {
  for (const replica of replicas) await replica.stop();
  for (const db of dbs) await db.close();
}

const cases = () => {
  test("100 buyers of a code with limit 5 at three replicas: exactly 5 have it, and what comes back can be had again", async () => {
    const id = await begin({ limit: 5 });
    const answers = await crowd(100);
    expect(taken(answers)).toBe(5);
    expect(
      new Set(answers.filter(({ status }) => status !== 202).map(({ status, code }) => `${status} ${code}`)),
    ).toEqual(new Set(["422 promotion-not-applicable"]));
    expect(await used(id)).toBe(5);

    const lucky = answers.flatMap(({ status, id: order }) => (status === 202 ? [order] : [])).slice(0, 2);
    for (const orderId of lucky) {
      await on(2).request(`/orders/${orderId}/cancel`, { method: "POST", scopes: staff });
      for (const i of [0, 1]) await on(i).deliver(StockReleased, { orderId });
    }
    expect(await used(id)).toBe(3);
    expect(taken(await crowd(30))).toBe(2);
    expect(await used(id)).toBe(5);
  });

  test("a customer at three replicas at once has a code once", async () => {
    const id = await begin({ limitPerCustomer: 1 });
    expect(taken(await crowd(30, () => ({ user: "u-ada" })))).toBe(1);
    expect(taken(await crowd(30, (i) => ({ email: i % 2 ? "ada@example.com" : "Ada@Example.com" })))).toBe(1);
    expect(await used(id)).toBe(2);
  });

  test("orders with two promotions do not lock each other out", async () => {
    const one = await begin({ limit: 40, code: "ONE" });
    const two = await begin({ limit: 40, code: "TWO" });
    const codes = ["ONE", "TWO"];
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => place(i, {}, i % 2 ? codes : codes.toReversed())),
    );
    expect(taken(answers)).toBe(40);
    expect([await used(one), await used(two)]).toEqual([40, 40]);
  });

  test("a limit that is set elsewhere holds at once, whatever a replica remembers", async () => {
    const id = await begin({});
    expect((await place(1)).status).toBe(202);
    await change(id, { limit: 2 });
    expect(taken(await Promise.all([1, 1, 1, 1].map((i) => place(i))))).toBe(1);
    expect(await used(id)).toBe(2);
  });

  test("what else is changed elsewhere is seen within half a second", async () => {
    expect((await place(1, {}, [])).status).toBe(202);
    await begin({ code: undefined });
    const total = async (i: number) => {
      const body = { lines: [{ sku: "TEA", quantity: 1 }], country: "GB" };
      const answer = await on(i).request("/quotes", { method: "POST", body });
      return ((await answer.json()) as { total: object }).total;
    };
    expect([await total(0), await total(1)]).toEqual([gbp(900), gbp(1_000)]);
    clock += 500;
    expect(await total(1)).toEqual(gbp(900));
  });
};

describe("on SQLite", () => {
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "orders-"));
    await start(() => openSqlite(join(folder, "orders.db")));
  });
  afterEach(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });
  cases();

  test("an order without promotions, taxes and shipping asks the database for nothing more", async () => {
    await place(0, {}, []);
    const [db] = dbs;
    if (!db) throw new Error("there is no database");
    let asked = 0;
    const { find, select, query } = db;
    const counted =
      <A extends unknown[], R>(ask: (...args: A) => R) =>
      (...args: A): R => {
        asked++;
        return ask.apply(db, args);
      };
    Object.assign(db, { find: counted(find), select: counted(select as never), query: counted(query) });
    expect((await place(0, {}, [])).status).toBe(202);
    // Its one product.
    expect(asked).toBe(1);
  });
});

describe("on PostgreSQL", () => {
  beforeAll(async () => {
    postgres = await server();
  }, 60_000);
  beforeEach(async () => {
    const url = await postgres.database();
    await start(() => openPostgres(url));
  });
  afterEach(stop);
  cases();
});

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { and, eq, gte, inArray, sql } from "drizzle-orm";
import { dialects, type Place, place, shop, until } from "../test/databases.ts";
import {
  Conflict,
  type Db,
  insert,
  type Outbox,
  outbox,
  remove,
  type StoredEvent,
  update,
  upsert,
} from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`commit on ${dialect}`, () => {
    const { orders, stock } = shop(dialect);
    let at: Place;
    let db: Db;
    let box: Outbox;
    const sent: StoredEvent[] = [];
    let made = 0;

    beforeAll(async () => {
      at = await place(dialect);
      db = await at.open();
      box = outbox(db, {
        async send(events) {
          sent.push(...events);
        },
      });
    });
    afterAll(() => at.remove());

    const order = (id = `o-${++made}`) => ({ id, version: 1, status: "open" as const, total: 250 });

    test("keeps every type of column", async () => {
      const row = {
        ...order(),
        lines: [{ sku: "a", quantity: 2 }],
        gift: true,
        weight: 0.25,
        total: 2 ** 53 - 1,
      };
      await box.commit({ writes: [insert(orders, row)] });
      expect(await db.find(orders, { id: row.id })).toEqual(row);
      const [read] = await db.select().from(orders).where(eq(orders.id, row.id));
      expect(read).toEqual(row);
    });

    test("leaves out what is not given, and keeps null", async () => {
      const row = order();
      await box.commit({ writes: [insert(orders, { ...row, weight: null, lines: undefined })] });
      expect(await db.find(orders, { id: row.id })).toEqual({
        ...row,
        gift: false,
        weight: null,
        lines: null,
      });
      expect(await db.find(orders, { id: row.id, weight: null })).toMatchObject({ id: row.id });
      expect(await db.find(orders, { id: row.id, weight: 1 })).toBeUndefined();
    });

    test("inserts many rows, and finds them all", async () => {
      const rows = Array.from({ length: 100 }, () => order());
      await box.commit({ writes: [insert(orders, rows)] });
      const ids = rows.map(({ id }) => id);
      expect((await db.findAll(orders, inArray(orders.id, ids))).length).toBe(100);
    });

    test("updates by a Drizzle condition and with SQL", async () => {
      const row = order();
      await box.commit({ writes: [insert(orders, row)] });
      await box.commit({
        writes: [
          update(
            orders,
            { total: sql`${orders.total} + ${50}` },
            and(eq(orders.id, row.id), gte(orders.total, 250)),
            { rows: 1 },
          ),
        ],
      });
      expect((await db.find(orders, { id: row.id }))?.total).toBe(300);
    });

    test("refuses a write on a version that has moved on, and says which", async () => {
      const row = order();
      await box.commit({ writes: [insert(orders, row)] });
      const save = (version: number) => ({
        writes: [
          insert(stock, { sku: `with-${row.id}-${version}`, onHand: 1 }),
          update(orders, { version: version + 1 }, { id: row.id, version }, { rows: 1 }),
        ],
        events: [{ topic: "orders", type: "saved", key: row.id, data: version }],
      });
      await box.commit(save(1));
      const refused = await box.commit(save(0)).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Conflict);
      expect(refused).toMatchObject({ table: "orders", rows: { expected: 1, actual: 0 } });
      expect((refused as Conflict).condition).toContain('"version"');
      expect(await db.find(stock, { sku: `with-${row.id}-0` })).toBeUndefined();
      await box.drain();
      expect(sent.filter(({ key }) => key === row.id).map(({ data }) => data)).toEqual([1]);
    });

    test("a key that is taken is a conflict", async () => {
      const row = order();
      await box.commit({ writes: [insert(orders, row)] });
      const refused = await box.commit({ writes: [insert(orders, row)] }).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Conflict);
      expect(refused).toMatchObject({ table: "orders", condition: "unique" });
    });

    test("one that fails does not fail its neighbours, nor leave anything behind", async () => {
      const rows = Array.from({ length: 20 }, () => order());
      const results = await Promise.allSettled(
        rows.map((row, i) =>
          box.commit({
            writes: [
              insert(orders, row),
              ...(i % 3 === 1 ? [update(orders, { version: 9 }, { id: "nobody" }, { rows: 1 })] : []),
              ...(i % 3 === 2 ? [insert(orders, { ...order(), status: sql`null` })] : []),
            ],
            events: [{ topic: "orders", type: "made", key: row.id, data: i }],
          }),
        ),
      );
      expect(results.map(({ status }) => status === "fulfilled")).toEqual(rows.map((_, i) => i % 3 === 0));
      const kept = await Promise.all(rows.map(({ id }) => db.find(orders, { id })));
      expect(kept.map((row) => row !== undefined)).toEqual(rows.map((_, i) => i % 3 === 0));
      await box.drain();
      const mine = new Set(rows.map(({ id }) => id));
      expect(sent.filter(({ key }) => mine.has(key)).length).toBe(7);
    });

    test("upserts: takes over what is given, or only what is said", async () => {
      const sku = `s-${++made}`;
      await box.commit({ writes: [upsert(stock, { sku, onHand: 1 }, { on: ["sku"] })] });
      await box.commit({ writes: [upsert(stock, { sku, onHand: 5 }, { on: [stock.sku] })] });
      expect(await db.find(stock, { sku })).toEqual({ sku, onHand: 5 });
      const add = upsert(
        stock,
        { sku, onHand: 0 },
        { on: ["sku"], set: { onHand: sql`${stock.onHand} + 10` } },
      );
      await box.commit({ writes: [add, add] });
      expect(await db.find(stock, { sku })).toEqual({ sku, onHand: 25 });
      const guarded = upsert(
        stock,
        { sku, onHand: 1 },
        { on: ["sku"], where: sql`${stock.onHand} < 10`, rows: 1 },
      );
      await expect(box.commit({ writes: [guarded] })).rejects.toBeInstanceOf(Conflict);
    });

    test("removes", async () => {
      const row = order();
      await box.commit({ writes: [insert(orders, row)] });
      await box.commit({ writes: [remove(orders, { id: row.id }, { rows: 1 })] });
      expect(await db.find(orders, { id: row.id })).toBeUndefined();
      await expect(
        box.commit({ writes: [remove(orders, { id: row.id }, { rows: 1 })] }),
      ).rejects.toBeInstanceOf(Conflict);
    });

    test("a write that would touch every row by mistake is refused", async () => {
      await expect(box.commit({ writes: [remove(orders, undefined)] })).rejects.toThrow(
        "without a condition",
      );
      await expect(box.commit({ writes: [remove(orders, {})] })).rejects.toThrow("without a condition");
      await expect(box.commit({ writes: [remove(orders, { id: undefined })] })).rejects.toThrow("undefined");
      await expect(box.commit({ writes: [update(orders, {}, { id: "x" })] })).rejects.toThrow(
        "without a value",
      );
      const unknown = { id: "x", nope: 1 };
      await expect(box.commit({ writes: [remove(orders, unknown)] })).rejects.toThrow("no column nope");
    });

    test("text that looks like SQL stays text", async () => {
      const row = { ...order(`'; drop table "orders"; -- ?$1`), lines: [{ sku: `"'?$1`, quantity: 1 }] };
      await box.commit({ writes: [insert(orders, row)] });
      await box.commit({ writes: [update(orders, { total: 7 }, { id: row.id }, { rows: 1 })] });
      expect(await db.find(orders, { id: row.id })).toMatchObject({ lines: row.lines, total: 7 });
    });

    test("a change is what it was when it was given", async () => {
      const row = { ...order(), lines: [{ sku: "a", quantity: 1 }] };
      const committing = box.commit({ writes: [insert(orders, row)] });
      row.total = 0;
      row.lines[0] = { sku: "b", quantity: 9 };
      await committing;
      expect(await db.find(orders, { id: row.id })).toMatchObject({
        total: 250,
        lines: [{ sku: "a", quantity: 1 }],
      });
    });

    test("opposite orders of the same rows do not fail one another", async () => {
      const skus = [`s-${++made}`, `s-${++made}`];
      await box.commit({ writes: skus.map((sku) => insert(stock, { sku, onHand: 0 })) });
      const add = (sku: string) => update(stock, { onHand: sql`${stock.onHand} + 1` }, { sku }, { rows: 1 });
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          box.commit({ writes: (i % 2 ? skus : skus.toReversed()).map(add) }),
        ),
      );
      expect((await db.findAll(stock, inArray(stock.sku, skus))).map(({ onHand }) => onHand)).toEqual([
        20, 20,
      ]);
    });

    test("buyers at once never sell a piece twice", async () => {
      const sku = `s-${++made}`;
      await box.commit({ writes: [insert(stock, { sku, onHand: 10 })] });
      const buy = () =>
        box.commit({
          writes: [
            update(
              stock,
              { onHand: sql`${stock.onHand} - 1` },
              and(eq(stock.sku, sku), gte(stock.onHand, 1)),
              { rows: 1 },
            ),
          ],
          events: [{ topic: "stock", type: "sold", key: sku, data: null }],
        });
      const results = await Promise.allSettled(Array.from({ length: 100 }, buy));
      expect(results.filter(({ status }) => status === "fulfilled").length).toBe(10);
      expect(await db.find(stock, { sku })).toEqual({ sku, onHand: 0 });
      await box.drain();
      expect(sent.filter(({ key }) => key === sku).length).toBe(10);
    });

    test("says what waits", async () => {
      await box.drain();
      expect(await box.pending()).toEqual({ outbox: 0, jobs: 0, oldestOutboxAgeMs: 0 });
      await box.commit({
        events: [{ topic: "t", type: "x", key: "waiting", data: 1 }],
        jobs: [{ kind: "later", key: "1", at: Date.now() + 60_000 }],
      });
      await until(async () => (await box.pending()).oldestOutboxAgeMs > 0);
      expect(await box.pending()).toMatchObject({ outbox: 1, jobs: 1 });
      await box.drain();
      expect((await box.pending()).outbox).toBe(0);
    });

    test("an empty change is no transaction", async () => {
      await box.commit({});
      await box.commit({ writes: [], events: [], jobs: [] });
    });
  });

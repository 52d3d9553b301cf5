import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { migrations, place, shop, until } from "../test/databases.ts";
import { faults } from "./faults.ts";
import { insert, migrate, openSqlite, outbox, type StoredEvent } from "./index.ts";

setDefaultTimeout(30_000);

const { orders, stock } = shop("sqlite");

describe("SQLite", () => {
  test("writes ahead, with full syncs", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    expect(await db.query(sql`pragma journal_mode`)).toEqual([{ journal_mode: "wal" }]);
    expect(await db.query(sql`pragma synchronous`)).toEqual([{ synchronous: 2 }]);
    const taken: StoredEvent[] = [];
    const box = outbox(db, { send: async (events) => void taken.push(...events) });
    await box.commit({ events: [{ topic: "t", type: "x", key: "a", data: 1 }] });
    await box.drain();
    expect(taken).toHaveLength(1);
    expect(await db.query(sql`pragma synchronous`)).toEqual([{ synchronous: 2 }]);
    await at.remove();
  });

  test("a disk that fails when jobs are to be taken over does not end the work", async () => {
    const at = await place("sqlite");
    const told: unknown[] = [];
    const box = outbox(await at.open(), { send: async () => {}, onError: (error) => told.push(error) });
    await box.commit({ jobs: [{ kind: "greet", key: "a", at: Date.now() }] });
    const ran: string[] = [];
    faults.at = (point) => {
      if (point === "before commit") throw new Error("disk I/O error");
    };
    try {
      const working = box.work({ greet: ({ key }) => void ran.push(key) });
      await until(() => told.length > 0);
      expect(ran).toEqual([]);
      faults.at = undefined;
      await until(async () => (await box.pending()).jobs === 0);
      expect(ran).toEqual(["a"]);
      await working.stop();
    } finally {
      faults.at = undefined;
      await at.remove();
    }
  });

  test("sent events are removed also when the disk failed just then, and nothing is committed after", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    let failed = 0;
    const box = outbox(db, { send: async () => {}, onError: () => {} });
    faults.at = (point) => {
      if (point === "relay: before mark" && failed++ === 0) throw new Error("disk I/O error");
    };
    const relaying = box.relay();
    try {
      await box.commit({ events: [{ topic: "t", type: "x", key: "a", data: 1 }] });
      const left = () => db.query(sql`select seq from outbox_events`);
      await until(async () => failed > 0 && (await left()).length === 0);
    } finally {
      faults.at = undefined;
      await relaying.stop();
      await at.remove();
    }
  });

  test("a full disk fails the commits that did not fit, and says so", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    const told: unknown[] = [];
    const box = outbox(db, { send: async () => {}, onError: (error) => told.push(error) });
    const [{ page_count: pages = 0 } = {}] = await db.query<{ page_count: number }>(sql`pragma page_count`);
    await db.query(sql.raw(`pragma max_page_count = ${pages + 2}`));
    const big = (id: string) => ({
      writes: [
        insert(orders, {
          id,
          version: 1,
          status: "open",
          total: 1,
          lines: [{ sku: "x".repeat(30_000), quantity: 1 }],
        }),
      ],
      events: [{ topic: "t", type: "x", key: id, data: id }],
    });
    const results = await Promise.allSettled([1, 2, 3].map((n) => box.commit(big(`o-${n}`))));
    for (const result of results) {
      expect(result.status).toBe("rejected");
      expect(String((result as PromiseRejectedResult).reason)).toContain("full");
    }
    expect(await db.findAll(orders, sql`true`)).toEqual([]);
    expect((await box.pending()).outbox).toBe(0);
    await db.query(sql.raw("pragma max_page_count = 1000000"));
    await box.commit(big("o-4"));
    await box.drain();
    expect(await db.findAll(orders, sql`true`)).toHaveLength(1);
    await at.remove();
  });

  test("what fails at the last step fails every commit of the moment, and none is there", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    const box = outbox(db, { send: async () => {} });
    const both = () => ["a", "b"].map((sku) => box.commit({ writes: [insert(stock, { sku, onHand: 1 })] }));
    faults.at = (point) => {
      if (point === "before commit") throw new Error("the disk is gone");
    };
    const results = await Promise.allSettled(both());
    faults.at = undefined;
    expect(results.map((result) => result.status === "rejected" && String(result.reason))).toEqual([
      "Error: the disk is gone",
      "Error: the disk is gone",
    ]);
    expect(await db.findAll(stock, sql`true`)).toEqual([]);
    await Promise.all(both());
    await at.remove();
  });

  test("a database that cannot be written refuses each commit", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    await db.query(sql`pragma query_only = on`);
    const box = outbox(db, { send: async () => {} });
    const results = await Promise.allSettled(
      ["a", "b"].map((sku) => box.commit({ writes: [insert(stock, { sku, onHand: 1 })] })),
    );
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await at.remove();
  });

  test("the removal of sent events survives a transaction that fails", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    const taken: StoredEvent[] = [];
    const box = outbox(db, { send: async (events) => void taken.push(...events), onError: () => {} });
    const relay = box.relay();
    await box.drain();
    await box.commit({ events: [{ topic: "t", type: "x", key: "a", data: 1 }] });
    await until(() => taken.length === 1);
    await db.query(sql`pragma query_only = on`);
    await expect(box.commit({ writes: [insert(stock, { sku: "a", onHand: 1 })] })).rejects.toThrow();
    await db.query(sql`pragma query_only = off`);
    await box.drain();
    expect(await db.query(sql`select count(*) as n from outbox_events`)).toEqual([{ n: 0 }]);
    expect(taken).toHaveLength(1);
    await relay.stop();
    await at.remove();
  });

  test("works in memory", async () => {
    const db = await openSqlite(":memory:");
    await migrate(db, migrations);
    const taken: StoredEvent[] = [];
    const box = outbox(db, { send: async (events) => void taken.push(...events) });
    const relay = box.relay();
    await box.commit({ events: [{ topic: "t", type: "x", key: "a", data: 1 }] });
    await box.drain();
    expect(taken).toHaveLength(1);
    await relay.stop();
    await db.close();
    await expect(box.commit({ writes: [insert(stock, { sku: "a", onHand: 1 })] })).rejects.toThrow("closed");
  });

  test("commits that are under way are finished by close", async () => {
    const at = await place("sqlite");
    const db = await at.open();
    const committing = outbox(db, { send: async () => {} }).commit({
      writes: [insert(stock, { sku: "a", onHand: 1 })],
    });
    await db.close();
    await committing;
    expect(await (await at.open()).find(stock, { sku: "a" })).toBeDefined();
    await at.remove();
  });

  test("a second process on the same file stands by until the first is gone", async () => {
    const at = await place("sqlite");
    const by: string[] = [];
    const open = async (name: string) =>
      outbox(await at.open(), { send: async (events) => void by.push(...events.map(() => name)) });
    const [first, second] = [await open("first"), await open("second")];
    const event = { topic: "t", type: "x", key: "a", data: 1 };
    const relay = first.relay();
    await first.drain();
    const standby = second.relay();
    await second.commit({ events: [event] });
    await first.drain();
    await relay.stop();
    await second.commit({ events: [event] });
    await second.drain();
    expect(by).toEqual(["first", "second"]);
    await standby.stop();
    await at.remove();
  });

  test("reads of the same moment see whole commits only", async () => {
    const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-"));
    const db = await openSqlite(join(folder, "a.db"));
    await migrate(db, migrations);
    const box = outbox(db, { send: async () => {} });
    const reader = new Database(join(folder, "a.db"), { readonly: true });
    const pairs = reader.query<{ n: number }, []>("select count(*) as n from stock");
    let committed = 0;
    const committing = Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await box.commit({
          writes: [
            insert(stock, [
              { sku: `${i}a`, onHand: 1 },
              { sku: `${i}b`, onHand: 1 },
            ]),
          ],
        });
        committed++;
        expect(pairs.get()?.n).toBeGreaterThanOrEqual(committed * 2);
      }),
    );
    expect((pairs.get()?.n ?? 1) % 2).toBe(0);
    await committing;
    reader.close();
    await db.close();
    rmSync(folder, { recursive: true });
  });
});

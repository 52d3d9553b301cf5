import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Conflict, type Db, migrate, type Outbox, openSqlite, outbox } from "drizzle-outbox";
import { decideRelease, decideReserve, physical, type Wanted } from "./reservation.ts";
import { count } from "./stock.ts";
import { store as declared, type Store } from "./store.ts";

/** One process of several on the same database. */
interface Replica {
  db: Db;
  box: Outbox;
  store: Store;
}

let folder: string;
let replicas: Replica[];

async function open(): Promise<Replica> {
  const db = await openSqlite(join(folder, "inventory.db"));
  return { db, box: outbox(db, { send: async () => {} }), store: declared.open(db) };
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "inventory-"));
  replicas = [await open()];
  for (const { db } of replicas) await migrate(db, join(import.meta.dir, "migrations"));
  replicas.push(await open(), await open());
});
afterEach(async () => {
  for (const { db } of replicas) await db.close();
  rmSync(folder, { recursive: true, force: true });
});

async function again(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
}

const on = (i: number): Replica => {
  const replica = replicas[i % replicas.length];
  if (!replica) throw new Error("there are no replicas");
  return replica;
};

const stock = (sku: string, onHand: number) =>
  on(0).box.commit(
    on(0).store.adjust(undefined, count(undefined, { sku, onHand, countedAt: 0, at: 0 })).change,
  );

const reserve = ({ box, store }: Replica, wanted: Wanted) =>
  again(async () => {
    const before = await store.reservation(wanted.orderId);
    const levels = await store.levels(physical(wanted.lines).map(({ sku }) => sku));
    await box.commit(store.change(before, decideReserve(before, levels, wanted, 0)));
  });

const release = ({ box, store }: Replica, orderId: string) =>
  again(async () => {
    const before = await store.reservation(orderId);
    await box.commit(store.change(before, decideRelease(before, orderId)));
  });

const piece = (sku: string) => ({ sku, quantity: 1, kind: "physical" as const });

test("100 orders for 10 pieces at three replicas: exactly 10 are reserved", async () => {
  await stock("A", 10);
  const ids = Array.from({ length: 100 }, (_, i) => `o-${i}`);
  await Promise.all(ids.map((orderId, i) => reserve(on(i), { orderId, lines: [piece("A")] })));
  expect(await on(1).store.level("A")).toMatchObject({ onHand: 10, reserved: 10 });
  const claims = await Promise.all(ids.map((id) => on(2).store.reservation(id)));
  expect(claims.filter((claim) => claim?.status === "reserved")).toHaveLength(10);
  expect(claims.filter((claim) => claim?.status === "refused")).toHaveLength(90);
});

test("orders that name the same products in other orders do not lock each other out", async () => {
  const skus = Array.from({ length: 30 }, (_, i) => `S${i}`);
  for (const sku of skus) await stock(sku, 1_000);
  const ids = Array.from({ length: 60 }, (_, i) => `o-${i}`);
  const lines = (i: number) => (i % 2 ? skus : skus.toReversed()).map(piece);
  await Promise.all(ids.map((orderId, i) => reserve(on(i), { orderId, lines: lines(i) })));
  expect(await on(0).store.level("S0")).toMatchObject({ reserved: 60 });
  await Promise.all(ids.flatMap((id, i) => [release(on(i), id), release(on(i + 1), id)]));
  for (const level of await on(0).store.list({ limit: 100 })) expect(level.reserved).toBe(0);
});

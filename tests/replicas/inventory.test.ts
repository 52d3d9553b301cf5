import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Conflict,
  type Db,
  type DialectName,
  migrate,
  type Outbox,
  openPostgres,
  openSqlite,
  outbox,
} from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import {
  decideDispatch,
  decideReduce,
  decideRelease,
  decideReserve,
  decideReturn,
  physical,
  type Quantity,
  type Reservation,
  type Wanted,
} from "../../services/inventory/reservation.ts";
import { count } from "../../services/inventory/stock.ts";
import { store as declared, type Store } from "../../services/inventory/store.ts";

/** One process of several on the same database. */
interface Replica {
  db: Db;
  box: Outbox;
  store: Store;
}

let folder: string;
let replicas: Replica[];

/** Three processes on a new database. */
async function start(dialect: DialectName): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), "inventory-"));
  const url = dialect === "postgres" ? await (await server()).database() : "";
  const open = async (): Promise<Replica> => {
    const db = await (dialect === "postgres" ? openPostgres(url) : openSqlite(join(folder, "inventory.db")));
    return { db, box: outbox(db, { send: async () => {} }), store: declared.open(db) };
  };
  replicas = [await open()];
  for (const { db } of replicas)
    await migrate(db, join(import.meta.dir, "../../services/inventory/migrations"));
  replicas.push(await open(), await open());
}

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

const known = async (store: Store, orderId: string): Promise<Reservation> => {
  const found = await store.reservation(orderId);
  if (found === undefined) throw new Error(`${orderId} was never reserved`);
  return found;
};

const reduce = ({ box, store }: Replica, orderId: string, lines: Quantity[]) =>
  again(async () => {
    const before = await known(store, orderId);
    await box.commit(store.change(before, decideReduce(before, lines)));
  });

const ship = ({ box, store }: Replica, orderId: string, shipmentId: string, lines: Quantity[]) =>
  again(async () => {
    const before = await known(store, orderId);
    const levels = await store.levels(lines.map(({ sku }) => sku));
    await box.commit(store.change(before, decideDispatch(before, levels, { shipmentId, lines })));
  });

const takeBack = (
  { box, store }: Replica,
  orderId: string,
  returnId: string,
  lines: (Quantity & { restock: boolean })[],
) =>
  again(async () => {
    const before = await known(store, orderId);
    await box.commit(store.change(before, decideReturn(before, { returnId, lines }), 0));
  });

const piece = (sku: string) => ({ sku, quantity: 1, kind: "physical" as const });

describe.each(["sqlite", "postgres"] as const)("three replicas on %s", (dialect) => {
  beforeEach(() => start(dialect), 60_000);

  test("100 orders for 10 pieces: exactly 10 are reserved", async () => {
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

  test("dispatch, cancel, return and release at once, each told to two of them: it all adds up", async () => {
    const skus = ["A", "B"];
    for (const sku of skus) await stock(sku, 1_000);
    const ids = Array.from({ length: 24 }, (_, i) => `o-${i}`);
    const of = (quantity: number) => skus.map((sku) => ({ sku, quantity, kind: "physical" as const }));
    await Promise.all(ids.map((orderId, i) => reserve(on(i), { orderId, lines: of(10) })));
    // Of each ten pieces four leave in two shipments, three are cancelled; every third order is then given up.
    await Promise.all(
      ids.flatMap((id, i) => [
        ship(on(i), id, `${id}-1`, of(3)),
        ship(on(i + 1), id, `${id}-1`, of(3)),
        ship(on(i + 2), id, `${id}-2`, of(1)),
        reduce(on(i + 1), id, of(3).toReversed()),
        reserve(on(i), { orderId: `late-${id}`, lines: of(1) }),
      ]),
    );
    for (const sku of skus)
      expect(await on(0).store.level(sku)).toMatchObject({
        onHand: 1_000 - 24 * 4,
        reserved: 24 * 3 + 24,
        sold: 24 * 4,
      });
    await Promise.all(
      ids.flatMap((id, i) => {
        const lines = [
          { sku: "A", quantity: 2, restock: true },
          { sku: "A", quantity: 1, restock: false },
          { sku: "NEW", quantity: 1, restock: true },
        ];
        return [
          takeBack(on(i), id, "r-1", lines),
          takeBack(on(i + 1), id, "r-1", lines),
          ...(i % 3 ? [] : [release(on(i + 2), id), release(on(i), id)]),
        ];
      }),
    );
    expect(await on(1).store.level("A")).toMatchObject({
      onHand: 1_000 - 24 * 4 + 24 * 2,
      reserved: 16 * 3 + 24,
      sold: 24 * 4,
      restocked: 24 * 2,
      writtenOff: 24,
    });
    // What came back of a product that never had a level is there, once.
    expect(await on(1).store.level("NEW")).toMatchObject({ onHand: 24, reserved: 0, restocked: 24 });
    const claims = await Promise.all(ids.map((id) => on(2).store.reservation(id)));
    for (const [i, claim] of claims.entries())
      expect(claim).toMatchObject({
        status: i % 3 ? "reserved" : "released",
        lines: i % 3 ? skus.map((sku) => ({ sku, quantity: 3 })) : [],
        shipments: expect.arrayContaining([`o-${i}-1`, `o-${i}-2`]),
        returns: ["r-1"],
      });
  });
});

// node on-node.ts: the package on Node's own SQLite. Run by node.test.ts.
import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq, sql } from "drizzle-orm";
import {
  Conflict,
  insert,
  migrate,
  openSqlite,
  outbox,
  type StoredEvent,
  update,
  upsert,
} from "../src/index.ts";
import { tables } from "./shop/store.ts";

const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-node-"));
const path = join(folder, "shop.db");
const migrations = join(import.meta.dirname, "shop", "migrations");
const { orders, stock, effects } = tables.for("sqlite");

const db = await openSqlite(path);
await migrate(db, migrations);
await migrate(db, migrations);
const taken: StoredEvent[] = [];
const send = async (events: StoredEvent[]) => void taken.push(...events);
const box = outbox(db, { send });

const order = {
  id: "o-1",
  version: 1,
  status: "open" as const,
  total: 2 ** 53 - 1,
  lines: [{ sku: "a", quantity: 2 }],
  gift: true,
  weight: 0.5,
};
await box.commit({
  writes: [insert(orders, order)],
  events: [{ topic: "t", type: "x", key: "o-1", data: 1 }],
});
assert.deepEqual(await db.find(orders, { id: "o-1", gift: true }), order);
assert.deepEqual(await db.select().from(orders).where(eq(orders.id, "o-1")), [order]);

// Two columns of one name stay apart.
await box.commit({ writes: [insert(stock, { sku: "o-1", onHand: 1 })] });
const joined = await db.select().from(orders).innerJoin(stock, eq(orders.id, stock.sku));
assert.deepEqual(joined, [{ orders: order, stock: { sku: "o-1", onHand: 1 } }]);

const save = {
  writes: [update(orders, { version: 2 }, { id: "o-1", version: 1 }, { rows: 1 })],
  events: [{ topic: "t", type: "x", key: "o-1", data: 2 }],
};
const results = await Promise.allSettled([
  box.commit(save),
  box.commit(save),
  box.commit({ writes: [insert(orders, order)] }),
]);
assert.deepEqual(
  results.map((result) =>
    result.status === "fulfilled"
      ? "saved"
      : result.reason instanceof Conflict && result.reason.condition !== "",
  ),
  ["saved", true, true],
);

const add = () => ({
  writes: [
    upsert(stock, { sku: "n", onHand: 1 }, { on: ["sku"], set: { onHand: sql`${stock.onHand} + 1` } }),
  ],
});
assert.equal(await box.once("e-1", "node", add), "applied");
assert.equal(await box.once("e-1", "node", add), "duplicate");

const work = box.work({ note: ({ key }) => ({ writes: [insert(effects, { event: key, by: "job" })] }) });
await box.commit({ jobs: [{ kind: "note", key: "j-1", at: Date.now() }] });
while ((await box.pending()).jobs > 0) await new Promise((resolve) => setTimeout(resolve, 2));
assert.equal((await db.findAll(effects, { event: "j-1" })).length, 1);

const relay = box.relay();
await box.drain();
assert.deepEqual(
  taken.map(({ data }) => data),
  [1, 2],
);

// A second connection stands by: the lock of the first is a lock on Node too.
const other = outbox(await openSqlite(path), { send });
await box.commit({ events: [{ topic: "t", type: "x", key: "o-1", data: 3 }] });
await assert.rejects(other.drain({ signal: AbortSignal.abort() }));
await box.drain();
assert.equal(taken.length, 3);

await Promise.all([relay.stop(), work.stop()]);
await db.close();
rmSync(folder, { recursive: true });
process.stdout.write("ok\n");
process.exit(0);

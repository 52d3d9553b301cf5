// bun packages/drizzle-outbox/examples/tour.ts
import { join } from "node:path";
import { type Conflict, insert, migrate, openSqlite, outbox, update } from "drizzle-outbox";
import { tables } from "./shop/store.ts";

const db = await openSqlite(":memory:"); // or: await openPostgres(process.env.DATABASE_URL)
await migrate(db, join(import.meta.dirname, "shop", "migrations"));
const { orders, reservations } = tables.for(db.dialect);

const box = outbox(db, {
  async send(events) {
    for (const { type, key } of events) console.log("sent", type, key);
  },
  onError: (error) => console.log("tried again later:", (error as Error).message),
});
const relay = box.relay();

// Rows and events in one transaction, on disk when it resolves.
await box.commit({
  writes: [insert(orders, { id: "o-1", version: 1, status: "open", total: 250 })],
  events: [{ topic: "orders", type: "order.placed", key: "o-1", data: { total: 250 } }],
});

// Two who pay at once: one of them is told, and nothing of it is written.
const pay = () =>
  box.commit({
    writes: [update(orders, { status: "paid", version: 2 }, { id: "o-1", version: 1 }, { rows: 1 })],
    events: [{ topic: "orders", type: "order.paid", key: "o-1", data: {} }],
  });
for (const result of await Promise.allSettled([pay(), pay()]))
  console.log(result.status === "fulfilled" ? "paid" : (result.reason as Conflict).message);

// An event that comes twice has its effect once.
const reserve = () =>
  box.once("event-7", "inventory", () => ({ writes: [insert(reservations, { orderId: "o-1" })] }));
console.log(await reserve(), await reserve());

// Work for later is a row too. What the handler returns is committed with the job's removal.
const work = box.work({
  async remind({ key, attempt }) {
    if (attempt === 1) throw new Error("not now");
    return { events: [{ topic: "orders", type: "order.reminded", key, data: {} }] };
  },
});
await box.commit({ jobs: [{ kind: "remind", key: "o-1", at: Date.now() + 100 }] });
while ((await box.pending()).jobs > 0) await new Promise((resolve) => setTimeout(resolve, 10));

await box.drain();
await Promise.all([relay.stop(), work.stop()]);
console.log(await db.select().from(orders));
await db.close();

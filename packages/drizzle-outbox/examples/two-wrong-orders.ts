// bun packages/drizzle-outbox/examples/two-wrong-orders.ts
// An order has to be saved and its event published. Something fails between the two.
import { join } from "node:path";
import { insert, migrate, openSqlite, outbox } from "drizzle-outbox";
import { tables } from "./shop/store.ts";

const { orders } = tables.for("sqlite");
const order = { id: "o-1", version: 1, status: "open" as const, total: 250 };
const placed = { topic: "orders", type: "order.placed", key: order.id, data: order };

class Crash extends Error {}

function crash(): void {
  throw new Crash();
}

async function attempt(name: string, run: (shop: Awaited<ReturnType<typeof open>>) => Promise<void>) {
  const shop = await open();
  await run(shop).catch((error: unknown) => {
    if (!(error instanceof Crash)) throw error;
  });
  await shop.recover();
  const saved = (await shop.db.find(orders, { id: order.id })) !== undefined;
  console.log(
    `${name.padEnd(18)} saved: ${saved ? "yes" : "no "}  published: ${shop.published.length > 0 ? "yes" : "no"}`,
  );
  await shop.db.close();
}

async function open() {
  const db = await openSqlite(":memory:");
  await migrate(db, join(import.meta.dirname, "shop", "migrations"));
  const published: string[] = [];
  const publish = async (types: string[]) => void published.push(...types);
  let working = false;
  const box = outbox(db, {
    async send(events) {
      if (!working) throw new Error("The broker is down");
      await publish(events.map(({ type }) => type));
    },
    onError: () => {}, // It says that the broker is down.
  });
  const relay = box.relay();
  const recover = async () => {
    working = true; // The broker is back, or the process has started again.
    await box.drain();
    await relay.stop();
  };
  return { db, box, published, publish, recover };
}

await attempt("save, publish", async ({ box, publish }) => {
  await box.commit({ writes: [insert(orders, order)] });
  crash(); // Nobody will ever hear of the order.
  await publish([placed.type]);
});

await attempt("publish, save", async ({ box, publish }) => {
  await publish([placed.type]);
  crash(); // Everybody has heard of an order that is not there.
  await box.commit({ writes: [insert(orders, order)] });
});

await attempt("commit both", async ({ box }) => {
  await box.commit({ writes: [insert(orders, order)], events: [placed] });
  crash(); // What is on disk is sent, now or later.
});

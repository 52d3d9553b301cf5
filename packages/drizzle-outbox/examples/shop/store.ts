import { outboxTables, schema } from "drizzle-outbox";

export const tables = schema((t) => ({
  orders: t.table("orders", {
    id: t.text().primaryKey(),
    version: t.integer().notNull(),
    status: t.text({ enum: ["open", "paid"] }).notNull(),
    total: t.integer().notNull(),
  }),
  reservations: t.table("reservations", { orderId: t.text().primaryKey() }),
  ...outboxTables(t),
}));

import { outboxTables, schema } from "../../src/index.ts";

/** A small schema for the tests, with every column type. */
export const tables = schema((t) => ({
  orders: t.table(
    "orders",
    {
      id: t.text().primaryKey(),
      version: t.integer().notNull(),
      status: t.text({ enum: ["open", "paid"] }).notNull(),
      total: t.integer().notNull(),
      lines: t.json<{ sku: string; quantity: number }[]>(),
      gift: t.boolean().notNull().default(false),
      weight: t.real(),
    },
    (own) => [t.index("orders_status").on(own.status)],
  ),
  stock: t.table("stock", { sku: t.text().primaryKey(), onHand: t.integer("on_hand").notNull() }),
  effects: t.table("effects", { n: t.sequence(), event: t.text().notNull(), by: t.text().notNull() }),
  ...outboxTables(t),
}));

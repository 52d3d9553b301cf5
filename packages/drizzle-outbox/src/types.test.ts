import { expect, test } from "bun:test";
import { eq, sql } from "drizzle-orm";
import { shop } from "../test/databases.ts";
import { type Db, insert, type StoredEvent, update, upsert } from "./index.ts";

// What the compiler lets pass, and what not; none of it is run.
const { orders, stock } = shop("sqlite");

export function rows() {
  insert(orders, {
    id: "1",
    version: 1,
    status: "open",
    total: 1,
    gift: undefined,
    lines: [{ sku: "a", quantity: 1 }],
  });
  insert(stock, { sku: "a", onHand: sql`1 + 1` });
  // @ts-expect-error: a column that must be given is not.
  insert(orders, { id: "1", version: 1, status: "open" });
  // @ts-expect-error: not one of the values of the column.
  insert(orders, { id: "1", version: 1, status: "lost", total: 1 });
  // @ts-expect-error: not what the JSON holds.
  insert(orders, { id: "1", version: 1, status: "open", total: 1, lines: [{ sku: 1 }] });
  update(orders, { status: "paid", total: sql`${orders.total} + 1` }, { id: "1", version: 1 }, { rows: 1 });
  update(orders, { status: "paid" }, eq(orders.id, "1"));
  // @ts-expect-error: no such column.
  update(orders, { status: "paid" }, { name: "1" });
  // @ts-expect-error: text compared with a number.
  update(orders, { status: "paid" }, { id: 1 });
  // @ts-expect-error: no such column to be unique.
  upsert(stock, { sku: "a", onHand: 1 }, { on: ["name"] });
}

export async function reads(
  db: Db,
): Promise<[string, boolean, { sku: string; quantity: number }[] | null | undefined, number]> {
  const [row] = await db.select().from(orders).where(eq(orders.id, "1"));
  const found = await db.find(orders, { id: "1" });
  const [part] = await db.select({ total: orders.total }).from(orders);
  // @ts-expect-error: it may not be there.
  found.id;
  return [row?.status ?? "open", found?.gift ?? false, found?.lines, part?.total ?? 0];
}

export const sent = (event: StoredEvent): [number, string, Record<string, string>] => [
  event.seq,
  event.id,
  event.headers,
];

test("the compiler has checked this file", () => {
  expect(typeof rows).toBe("function");
});

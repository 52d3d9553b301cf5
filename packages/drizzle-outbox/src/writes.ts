import type { SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";

type Row<T extends SQLiteTable> = { [K in keyof T["$inferInsert"]]: T["$inferInsert"][K] | SQL };
type Some<T extends SQLiteTable> = { [K in keyof T["$inferInsert"]]?: T["$inferInsert"][K] | SQL };

/** A Drizzle condition (`eq`, `and`, sql`…`), or columns and the values they must have. */
export type Where<T extends SQLiteTable = SQLiteTable> =
  | SQL
  | undefined
  | { [K in keyof T["$inferSelect"]]?: T["$inferSelect"][K] | null };

/** How many rows a write must touch; any other number is a `Conflict` and undoes the whole change. */
interface Expect {
  rows?: number;
}

/** One write of a change: a description, not yet run. Made by `insert`, `upsert`, `update` and `remove`. */
export type Write = { table: SQLiteTable; rows?: number } & (
  | { op: "insert"; values: Record<string, unknown>[] }
  | {
      op: "upsert";
      values: Record<string, unknown>[];
      on: string[];
      set?: Record<string, unknown>;
      where?: Where;
    }
  | { op: "update"; set: Record<string, unknown>; where: Where }
  | { op: "remove"; where: Where }
);

const columnKeys = new WeakMap<SQLiteTable, Map<unknown, string>>();

/** A column is named by its object or by its key in the table. */
function keyOf(table: SQLiteTable, column: unknown): string {
  if (typeof column === "string") return column;
  let keys = columnKeys.get(table);
  if (!keys) {
    keys = new Map(Object.entries(table).map(([key, value]) => [value, key]));
    columnKeys.set(table, keys);
  }
  const key = keys.get(column);
  if (key === undefined) throw new TypeError("The column is not of this table");
  return key;
}

/** Inserts a row or several. A key that is taken already is a `Conflict`. */
export const insert = <T extends SQLiteTable>(table: T, rows: Row<T> | Row<T>[]): Write => ({
  op: "insert",
  table,
  values: Array.isArray(rows) ? rows : [rows],
});

/**
 * Inserts, or changes the row that has the same key. Without `set`, it takes over every value given.
 * With `where`, a row that does not meet it is left as it is (`rows: 1` makes that a `Conflict`).
 */
export const upsert = <T extends SQLiteTable>(
  table: T,
  rows: Row<T> | Row<T>[],
  {
    on,
    set,
    where,
    rows: expected,
  }: { on: (keyof T["$inferInsert"] | T[keyof T])[]; set?: Some<T>; where?: SQL } & Expect,
): Write => ({
  op: "upsert",
  table,
  values: Array.isArray(rows) ? rows : [rows],
  on: on.map((column) => keyOf(table, column)),
  set,
  where,
  rows: expected,
});

/**
 * Changes the rows that meet `where`.
 * @example update(orders, { status: "paid", version: 4 }, { id, version: 3 }, { rows: 1 })
 */
export const update = <T extends SQLiteTable>(
  table: T,
  set: Some<T>,
  where: Where<T>,
  expect?: Expect,
): Write => ({
  op: "update",
  table,
  set,
  where: where as Where,
  rows: expect?.rows,
});

/** Deletes the rows that meet `where`. */
export const remove = <T extends SQLiteTable>(table: T, where: Where<T>, expect?: Expect): Write => ({
  op: "remove",
  table,
  where: where as Where,
  rows: expect?.rows,
});

/** A commit was refused because what it rests on has moved on: load, decide and commit again. Nothing of it was written. */
export class Conflict extends Error {
  override name = "Conflict";
  /** The table's name in the database. */
  readonly table: string;
  /** The condition that did not hold, as SQL with its values, or `unique` when a key was taken. */
  readonly condition: string;
  /** Rows that had to be touched, and rows that were; absent when a key was taken. */
  readonly rows?: { expected: number; actual: number };

  constructor(
    table: string,
    condition: string,
    rows?: { expected: number; actual: number },
    options?: ErrorOptions,
  ) {
    super(
      rows
        ? `${table}: ${rows.actual} rows instead of ${rows.expected} where ${condition}`
        : `${table}: the key is taken already`,
      options,
    );
    this.table = table;
    this.condition = condition;
    this.rows = rows;
  }
}

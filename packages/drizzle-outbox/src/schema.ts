import {
  bigint as pgBigint,
  boolean as pgBoolean,
  doublePrecision as pgDouble,
  index as pgIndex,
  jsonb as pgJsonb,
  primaryKey as pgPrimaryKey,
  pgTable,
  text as pgText,
  uniqueIndex as pgUniqueIndex,
} from "drizzle-orm/pg-core";
import {
  index,
  integer,
  primaryKey,
  real,
  type SQLiteTable,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";

export type DialectName = "sqlite" | "postgres";

/** Tables by the name a service calls them. */
export type Tables = Record<string, SQLiteTable>;

const sqlite = {
  name: "sqlite" as DialectName,
  table: sqliteTable,
  /** Text; `{ enum: [...] }` narrows its type. */
  text,
  /** A whole number within ±2^53. */
  integer: (name?: string) => integer(name ?? ""),
  /** A primary key that the database counts up. */
  sequence: (name?: string) => integer(name ?? "").primaryKey({ autoIncrement: true }),
  boolean: (name?: string) => integer(name ?? "", { mode: "boolean" }),
  /** Any JSON value; a number or string is kept as what it is. */
  json: <T = unknown>(name?: string) => text(name ?? "", { mode: "json" }).$type<T>(),
  real: (name?: string) => real(name ?? ""),
  index,
  uniqueIndex,
  primaryKey,
};

/** What a schema is written with: the column types that both databases have. */
export type Dialect = typeof sqlite;

const postgres = {
  name: "postgres",
  table: pgTable,
  text: pgText,
  integer: (name?: string) => pgBigint(name ?? "", { mode: "number" }),
  sequence: (name?: string) =>
    pgBigint(name ?? "", { mode: "number" })
      .primaryKey()
      .generatedByDefaultAsIdentity(),
  boolean: (name?: string) => pgBoolean(name ?? ""),
  json: (name?: string) => pgJsonb(name ?? ""),
  real: (name?: string) => pgDouble(name ?? ""),
  index: pgIndex,
  uniqueIndex: pgUniqueIndex,
  primaryKey: pgPrimaryKey,
} as unknown as Dialect; // One type for both: Drizzle writes the SQL from the table it is given, not from its type.

export interface Schema<T extends Tables> {
  /** The tables for one dialect; the same objects at each call. */
  for(dialect: DialectName): T;
}

/**
 * One schema for SQLite and PostgreSQL.
 * @example
 * const tables = schema((t) => ({
 *   orders: t.table("orders", { id: t.text().primaryKey(), version: t.integer().notNull() }),
 *   ...outboxTables(t),
 * }));
 * const { orders } = tables.for("sqlite");
 */
export function schema<T extends Tables>(build: (t: Dialect) => T): Schema<T> {
  const built: Partial<Record<DialectName, T>> = {};
  return {
    for(dialect) {
      built[dialect] ??= build(dialect === "sqlite" ? sqlite : postgres);
      return built[dialect];
    },
  };
}

/** On PostgreSQL a replica that sends locks keys by their slot: a hash, so that there are few locks. */
export const slots = 64;

export function slotOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % slots;
}

/** The outbox's own tables, to be spread into a schema so that one migration holds all. */
export function outboxTables(t: Dialect) {
  const slotted = t.name === "postgres";
  // A column of PostgreSQL alone, so the type, which is SQLite's, does not have it.
  const slot = (slotted ? { slot: t.integer().notNull() } : {}) as Record<never, never>;
  return {
    outboxEvents: t.table(
      "outbox_events",
      {
        seq: t.sequence(),
        id: t.text().notNull(),
        topic: t.text().notNull(),
        type: t.text().notNull(),
        key: t.text().notNull(),
        data: t.text().notNull(),
        time: t.text().notNull(),
        headers: t.text(),
        at: t.integer().notNull(),
        ...slot,
      },
      (own) =>
        slotted
          ? [t.index("outbox_events_slot").on((own as typeof own & { slot: typeof own.at }).slot, own.seq)]
          : [],
    ),
    /** Sent events, where they are retained. */
    outboxSent: t.table(
      "outbox_sent",
      {
        seq: t.integer().primaryKey(),
        id: t.text().notNull(),
        topic: t.text().notNull(),
        type: t.text().notNull(),
        key: t.text().notNull(),
        data: t.text().notNull(),
        time: t.text().notNull(),
        headers: t.text(),
        /** When it was found to be sent. */
        at: t.integer().notNull(),
      },
      (own) => [t.index("outbox_sent_at").on(own.at)],
    ),
    outboxInbox: t.table(
      "outbox_inbox",
      { consumer: t.text().notNull(), event: t.text().notNull(), at: t.integer().notNull() },
      (own) => [t.primaryKey({ columns: [own.consumer, own.event] }), t.index("outbox_inbox_at").on(own.at)],
    ),
    outboxJobs: t.table(
      "outbox_jobs",
      {
        kind: t.text().notNull(),
        key: t.text().notNull(),
        at: t.integer().notNull(),
        data: t.text(),
        attempt: t.integer().notNull(),
        next: t.integer().notNull(),
        token: t.text(),
        /** When `next` was set, by the clock of then; a version that did not know it yet leaves it out. */
        scheduled: t.integer(),
      },
      (own) => [t.primaryKey({ columns: [own.kind, own.key] }), t.index("outbox_jobs_next").on(own.next)],
    ),
    outboxDeadLetters: t.table(
      "outbox_dead_letters",
      {
        id: t.text().primaryKey(),
        topic: t.text().notNull(),
        type: t.text().notNull(),
        reason: t.text().notNull(),
        event: t.text().notNull(),
        at: t.integer().notNull(),
        status: t.text().notNull().default("dead"),
        version: t.integer().notNull().default(1),
        history: t.text().notNull().default("[]"),
      },
      (own) => [t.index("outbox_dead_letters_at").on(own.at, own.id)],
    ),
  };
}

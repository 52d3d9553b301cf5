import type { SQL } from "drizzle-orm";
import type { BaseSQLiteDatabase, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { OutboxOptions, StoredEvent } from "./outbox.ts";
import type { DialectName } from "./schema.ts";
import type { Storage } from "./storage.ts";
import type { Where } from "./writes.ts";

export type Value = string | number | boolean | null | Uint8Array;
export type Cells = Record<string, Value>;

export interface Result {
  /** Rows touched. */
  count: number;
  /** The number that SQLite gave the row inserted. */
  rowid: number;
  /** Rows returned, when `returning`. */
  rows: Cells[];
}

/** One statement of a transaction. */
export interface Op {
  text: string;
  params: Value[];
  /** The table it writes to, for a message. */
  table?: string;
  returning?: boolean;
  /** Called in order with what came of it; what it throws undoes the transaction. */
  after?(result: Result): void;
}

/** What commits, relays and jobs need of a database. */
export interface Engine {
  readonly dialect: DialectName;
  readonly closed: boolean;
  readonly storage: Storage;
  /**
   * Runs the operations in one transaction, sharing the disk sync with those that come at the same time.
   * `done` is called in the order of the commits, as soon as they are on disk.
   */
  transact(ops: Op[], done?: () => void): Promise<void>;
  all(text: string, params: Value[]): Promise<Cells[]>;
  /** The unsent events, for the relay. */
  source(context: Context): Source;
  /**
   * Asks to be the one process that sends and works off this database, where there can be only one (a SQLite file).
   * @returns false while it is another
   */
  own(): Promise<boolean>;
  disown(): void;
  /** Applies, under a lock, what `pick` chooses when it is told what was applied before. */
  migrate(pick: (applied: Applied[]) => Migration[]): Promise<void>;
}

export interface Applied {
  name: string;
  hash: string;
}

export interface Migration extends Applied {
  statements: string[];
}

/** What an outbox's parts share. */
export interface Context {
  engine: Engine;
  now(): number;
  /** Sent events are moved to `outbox_sent` instead of removed. */
  retainSent: boolean;
  onError: NonNullable<OutboxOptions["onError"]>;
}

/** Where the relay takes unsent events from. */
export interface Source {
  /** Told of events in the order of their commits, as soon as they are on disk. */
  committed(events: StoredEvent[]): void;
  /**
   * Hands out the first unsent events: at most `limit`, one of a key, and none of the keys held. `deliver` answers
   * with the numbers of those that were sent.
   * @returns how many it handed out, and whether to look again shortly because another replica was at some of them
   */
  round(
    limit: number,
    held: string[],
    deliver: (events: StoredEvent[]) => Promise<number[]>,
  ): Promise<{ tried: number; busy: boolean }>;
  /** The highest number given to a committed event. */
  last(): Promise<number>;
  /** Whether all events up to a number are sent. */
  settled(upTo: number): Promise<boolean>;
  /** Sent events that are still in the table. */
  sentNotRemoved(): number;
  /** Writes down what was sent. */
  close(): void;
}

const engines = new WeakMap<Db, Engine>();

export function engineOf(db: Db): Engine {
  const engine = engines.get(db);
  if (!engine) throw new TypeError("The database must come from openSqlite or openPostgres");
  return engine;
}

export function setEngine(db: Db, engine: Engine): void {
  engines.set(db, engine);
}

/**
 * An open database. The builders are Drizzle's, typed as for SQLite: await them
 * (`await db.select().from(orders)`), since PostgreSQL has no `.get()` or `.all()`. Writing is what `commit` is for.
 */
export interface Db
  extends Pick<
    BaseSQLiteDatabase<"async", unknown>,
    "select" | "selectDistinct" | "with" | "$with" | "$count"
  > {
  readonly dialect: DialectName;
  /** The first row that meets `where`: the quick way to load by key, without building a query. */
  find<T extends SQLiteTable>(table: T, where: Where<T>): Promise<T["$inferSelect"] | undefined>;
  /** All rows that meet `where`, in no order. */
  findAll<T extends SQLiteTable>(table: T, where: Where<T>): Promise<T["$inferSelect"][]>;
  /** Runs SQL of your own; rows come as the driver gives them. */
  query<T = Record<string, unknown>>(query: SQL): Promise<T[]>;
  close(): Promise<void>;
}

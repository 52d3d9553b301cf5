import type { SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import { selection, Text } from "./compile.ts";
import { type Driver, openDriver, type Prepared } from "./driver.ts";
import {
  type Applied,
  type Cells,
  type Context,
  type Db,
  type Engine,
  type Migration,
  type Op,
  type Source,
  setEngine,
  type Value,
} from "./engine.ts";
import { fault } from "./faults.ts";
import { checkContent, checkFile, damaged, ownerOf } from "./sqlite-check.ts";
import { SqliteSource } from "./sqlite-source.ts";
import { Storage, StorageUnavailable } from "./storage.ts";
import { Conflict, type Where } from "./writes.ts";

interface Unit {
  ops: Op[];
  done?: () => void;
  resolve(): void;
  reject(error: unknown): void;
}

/** More than this in one transaction would keep the process from its other work. */
const largestGroup = 512;
/** Texts differ by the length of an `in (…)` list, say, so their number has to be bounded. */
const mostStatements = 500;

export class SqliteEngine implements Engine {
  readonly dialect = "sqlite";
  readonly storage: Storage;
  readonly #driver: Driver;
  readonly #path: string;
  readonly #statements = new Map<string, Prepared>();
  #queue: Unit[] = [];
  /** Operations that wait for a ride on the next transaction. */
  riders: Op[] = [];
  #scheduled = false;
  closed = false;
  #owners = 0;
  #lock: Driver | undefined;

  constructor(driver: Driver, path: string) {
    this.#driver = driver;
    this.#path = path;
    this.storage = new Storage(path);
  }

  statement(text: string): Prepared {
    let statement = this.#statements.get(text);
    if (statement) return statement;
    statement = this.#driver.prepare(text);
    if (this.#statements.size >= mostStatements) {
      const [oldest, unused] = this.#statements.entries().next().value as [string, Prepared];
      this.#statements.delete(oldest);
      unused.finalize();
    }
    this.#statements.set(text, statement);
    return statement;
  }

  exec(text: string): void {
    this.#driver.exec(text);
  }

  transact(ops: Op[], done?: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error("The database is closed"));
      this.storage.mayWrite();
      this.#queue.push({ ops, done, resolve, reject });
      this.#schedule();
    });
  }

  // What is committed in one turn of the event loop becomes one transaction and one disk sync. The turn after
  // the sync finds the requests that came in meanwhile, so groups grow by themselves when there is much to do.
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  /** Runs what waits, now. */
  flush(): void {
    if (this.#queue.length === 0) return;
    const group = this.#queue.splice(0, largestGroup);
    const riders = this.riders;
    this.riders = [];
    const refused = new Map<Unit, unknown>();
    try {
      this.statement("begin immediate").run([]);
      for (const op of riders) this.#run(op);
      const alone = group.length + riders.length === 1;
      for (const unit of group) {
        if (!alone) this.statement("savepoint one").run([]);
        try {
          for (const op of unit.ops) this.#run(op);
        } catch (error) {
          // Some errors, such as a full disk, undo the whole transaction.
          if (alone || !this.#driver.inTransaction()) throw error;
          this.statement("rollback to one").run([]);
          refused.set(unit, this.storage.failed(error));
        }
        if (!alone) this.statement("release one").run([]);
      }
      fault("before commit");
      if (riders.length > 0) fault("relay: before mark");
      this.statement("commit").run([]);
      if (riders.length > 0) fault("relay: after mark");
      fault("after commit");
    } catch (error) {
      this.riders = riders.concat(this.riders);
      this.#rollBack();
      const failed = this.storage.failed(error);
      for (const unit of group) unit.reject(refused.get(unit) ?? failed);
      return;
    }
    this.storage.stored();
    for (const unit of group) {
      if (refused.has(unit)) unit.reject(refused.get(unit));
      else {
        unit.done?.();
        unit.resolve();
      }
    }
  }

  /** A disk that fails may refuse even this; the next transaction then finds that one is open, and rolls it back. */
  #rollBack(): void {
    try {
      if (this.#driver.inTransaction()) this.statement("rollback").run([]);
    } catch (error) {
      this.storage.failed(error);
    }
  }

  #run(op: Op): void {
    const statement = this.statement(op.text);
    if (op.returning) {
      const rows = statement.all(op.params);
      op.after?.({ count: rows.length, rowid: 0, rows });
      return;
    }
    let changed: ReturnType<Prepared["run"]>;
    try {
      changed = statement.run(op.params);
    } catch (error) {
      if (isUnique(error)) throw new Conflict(op.table ?? "", "unique", undefined, { cause: error });
      throw error;
    }
    op.after?.({ count: Number(changed.changes), rowid: Number(changed.lastInsertRowid), rows: none });
  }

  /** Leaves operations to the next transaction. To lose them in a crash must do no harm. */
  ride(op: Op): void {
    this.riders.push(op);
  }

  /**
   * Writes what waits for a ride, without a disk sync: the next commit's covers it. When it throws, they wait on.
   */
  flushRiders(): void {
    if (this.riders.length === 0 || this.closed) return;
    const riders = this.riders;
    this.riders = [];
    this.exec("pragma synchronous = normal");
    try {
      this.storage.mayWrite();
      this.statement("begin immediate").run([]);
      for (const op of riders) this.#run(op);
      fault("relay: before mark");
      this.statement("commit").run([]);
      fault("relay: after mark");
    } catch (error) {
      this.riders = riders.concat(this.riders);
      this.#rollBack();
      throw this.storage.failed(error);
    } finally {
      this.exec("pragma synchronous = full");
    }
  }

  async all(text: string, params: Value[]): Promise<Cells[]> {
    return this.#read(() => this.statement(text).all(params));
  }

  values(text: string, params: Value[]): Value[][] {
    return this.#read(() => this.statement(text).values(params));
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.storage.failed(error);
    }
  }

  source(context: Context): Source {
    return new SqliteSource(this, context);
  }

  /**
   * Only one process may send and work off a file: order and leases rest on it. It holds a lock that the
   * operating system drops when the process ends, however it ends.
   * @returns false while another process has it
   */
  async own(): Promise<boolean> {
    if (this.#path === ":memory:" || this.#owners > 0) {
      this.#owners++;
      return true;
    }
    const lock = await openDriver(ownerOf(this.#path));
    try {
      lock.exec("pragma busy_timeout = 0");
      lock.exec("begin exclusive");
    } catch (error) {
      lock.close();
      if (isBusy(error)) return false;
      throw this.storage.failed(error);
    }
    this.#lock = lock;
    this.#owners++;
    return true;
  }

  disown(): void {
    if (--this.#owners > 0) return;
    this.#lock?.close();
    this.#lock = undefined;
  }

  async migrate(pick: (applied: Applied[]) => Migration[]): Promise<void> {
    this.exec(
      "create table if not exists outbox_migrations (name text primary key, hash text not null, at integer not null)",
    );
    const todo = () =>
      pick(this.statement("select name, hash from outbox_migrations").all([]) as unknown as Applied[]);
    if (todo().length === 0) return;
    fault("migrate: before lock");
    // Drizzle rebuilds a table by copying and dropping it, which must not cascade to the rows that refer to it.
    this.exec("pragma foreign_keys = off");
    try {
      this.exec("begin immediate");
      for (const { name, hash, statements } of todo()) {
        for (const statement of statements) this.exec(statement);
        this.statement("insert into outbox_migrations (name, hash, at) values (?, ?, ?)").run([
          name,
          hash,
          Date.now(),
        ]);
      }
      const [dangling] = this.statement("pragma foreign_key_check").all([]);
      if (dangling) throw new Error(`A migration leaves a row of ${dangling.table} that refers to nothing`);
      this.exec("commit");
    } finally {
      if (this.#driver.inTransaction()) this.exec("rollback");
      this.exec("pragma foreign_keys = on");
    }
  }

  close(): void {
    if (this.closed) return;
    while (this.#queue.length > 0) this.flush();
    this.flushRiders();
    this.closed = true;
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
    this.#driver.close();
    this.#lock?.close();
  }
}

const none: Cells[] = [];

function isUnique(error: unknown): boolean {
  const { code, errcode } = error as { code?: string; errcode?: number };
  return (
    code === "SQLITE_CONSTRAINT_PRIMARYKEY" ||
    code === "SQLITE_CONSTRAINT_UNIQUE" ||
    errcode === 1555 || // node:sqlite gives SQLite's number: primary key,
    errcode === 2067 // and unique.
  );
}

function isBusy(error: unknown): boolean {
  const { code, errcode } = error as { code?: string; errcode?: number };
  return code === "SQLITE_BUSY" || errcode === 5;
}

/**
 * Opens a SQLite file (or `:memory:`), made when it is not there. A commit is on disk when it resolves, as with
 * WAL and full synchronisation; so after a power cut too.
 * @throws {StorageUnavailable} when the file cannot be written, is damaged, or is gone although it was in use
 */
export async function openSqlite(path: string): Promise<Db> {
  if (path !== ":memory:") checkFile(path);
  let driver: Driver | undefined;
  try {
    driver = await openDriver(path);
    const db = sqliteOn(driver, path);
    checkContent(driver, path);
    return db;
  } catch (error) {
    driver?.close();
    const failed = new Storage(path).failed(error);
    if (failed !== error && failed instanceof StorageUnavailable && failed.reason === "corrupt")
      throw damaged(path, error instanceof Error ? error.message : String(error));
    throw failed;
  }
}

/** The database that a driver has open. */
export function sqliteOn(driver: Driver, path: string): Db {
  for (const pragma of [
    "busy_timeout = 5000",
    "journal_mode = wal",
    "synchronous = full",
    "fullfsync = on", // macOS: its plain fsync leaves data in the drive's cache.
    "foreign_keys = on",
    "temp_store = memory",
    "cache_size = -4000", // KiB. Ids rise with time, so what is in use is little; the system caches the rest.
  ])
    driver.exec(`pragma ${pragma}`);
  const engine = new SqliteEngine(driver, path);
  const orm = drizzle(async (text, params, method) => {
    if (method === "run") {
      engine.statement(text).run(params);
      return { rows: [] };
    }
    const rows = engine.values(text, params);
    // Drizzle wants the row itself here, or nothing.
    return { rows: method === "get" ? (rows[0] as Value[]) : rows };
  });
  const select = async <T extends SQLiteTable>(table: T, where: Where<T>, limit: string) => {
    const { text, params, map } = selection(table, where as Where, "sqlite", limit);
    return engine.values(text, params).map(map) as T["$inferSelect"][];
  };
  const db: Db = {
    dialect: "sqlite",
    select: orm.select.bind(orm),
    selectDistinct: orm.selectDistinct.bind(orm),
    with: orm.with.bind(orm),
    $with: orm.$with.bind(orm),
    $count: orm.$count.bind(orm),
    find: async (table, where) => (await select(table, where, " limit 1"))[0],
    findAll: (table, where) => select(table, where, ""),
    async query<T>(query: SQL) {
      const out = new Text("sqlite");
      out.sql(query);
      return (await engine.all(out.text, out.params)) as T[];
    },
    close: async () => engine.close(),
  };
  setEngine(db, engine);
  return db;
}

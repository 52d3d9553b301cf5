import type { SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { ReservedSql, Sql } from "postgres";
import { selection, Text } from "./compile.ts";
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
import { PostgresSource } from "./postgres-source.ts";
import { backoff } from "./waiting.ts";
import { Conflict, type Where } from "./writes.ts";

/** A deadlock, or a snapshot that others overtook: the same transaction may well succeed the next time. */
const again = new Set(["40001", "40P01"]);
const mostTries = 10;

export class PostgresEngine implements Engine {
  readonly dialect = "postgres";
  readonly sql: Sql;
  closed = false;
  readonly #connect: (options: { max: number; onclose?(): void }) => Sql;
  readonly #others: Sql[] = [];

  constructor(connect: (options: { max: number; onclose?(): void }) => Sql, max: number) {
    this.#connect = connect;
    this.sql = connect({ max });
  }

  // PostgreSQL syncs for all connections at once by itself, so each change is a transaction of its own here.
  async transact(ops: Op[], done?: () => void): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const [only] = ops;
        if (only && ops.length === 1 && (!only.after || only.returning)) await runAll(this.sql, ops);
        else
          await transaction(this.sql, async (tx) => {
            await runAll(tx, ops);
            fault("before commit");
          });
        break;
      } catch (error) {
        if (!again.has((error as { code?: string }).code ?? "") || tries === mostTries) throw error;
        await new Promise((resolve) => setTimeout(resolve, backoff(tries, 5, 200)));
      }
    }
    fault("after commit");
    done?.();
  }

  async all(text: string, params: Value[]): Promise<Cells[]> {
    return this.sql.unsafe(text, params, { prepare: true });
  }

  source(_context: Context): Source {
    return new PostgresSource(this);
  }

  /** A connection beside the others, for one who holds on to it. */
  alone(onclose: () => void): Sql {
    const sql = this.#connect({ max: 1, onclose });
    this.#others.push(sql);
    return sql;
  }

  async own(): Promise<boolean> {
    return true; // Replicas share the work by locks in the database.
  }

  disown(): void {}

  async migrate(pick: (applied: Applied[]) => Migration[]): Promise<void> {
    const applied = (sql: Sql | ReservedSql) =>
      sql.unsafe<Applied[]>("select name, hash from outbox_migrations");
    const [known] = await this.sql.unsafe("select to_regclass('outbox_migrations') as name");
    if (known?.name && pick(await applied(this.sql)).length === 0) return;
    fault("migrate: before lock");
    await transaction(this.sql, async (tx) => {
      await tx.unsafe("select pg_advisory_xact_lock(hashtext('outbox_migrations'))");
      await tx.unsafe(
        "create table if not exists outbox_migrations (name text primary key, hash text not null, at bigint not null)",
      );
      for (const { name, hash, statements } of pick(await applied(tx))) {
        for (const statement of statements) await tx.unsafe(statement);
        await tx.unsafe("insert into outbox_migrations (name, hash, at) values ($1, $2, $3)", [
          name,
          hash,
          Date.now(),
        ]);
      }
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([this.sql, ...this.#others].map((sql) => sql.end({ timeout: 5 })));
  }
}

/**
 * Runs a transaction. Not `sql.begin`: that one writes its rollback to a connection that is gone, which ends the whole
 * process (porsager/postgres#1208, in 3.4.9). So nothing is written here but right after an answer, or by a caller who
 * knows that the connection lives; when it does not, the server has rolled back already.
 */
export async function transaction<T>(sql: Sql, run: (tx: ReservedSql) => Promise<T>): Promise<T> {
  const tx = await sql.reserve();
  const begin = Promise.allSettled([tx.unsafe("begin isolation level read committed")]); // Sent along with what follows.
  try {
    const result = await run(tx);
    const [begun] = await begin;
    if (begun.status === "rejected") throw begun.reason;
    await tx.unsafe("commit");
    tx.release();
    return result;
  } catch (error) {
    if (!isGone(error)) {
      const [undone] = await Promise.allSettled([tx.unsafe("rollback")]);
      if (undone.status === "fulfilled") tx.release();
    }
    throw error;
  }
}

/** The connection broke, rather than a statement. */
function isGone(error: unknown): boolean {
  const { code = "", severity, syscall } = error as { code?: string; severity?: string; syscall?: string };
  return code.startsWith("CONNECT") || severity === "FATAL" || severity === "PANIC" || syscall !== undefined;
}

/** Sends all statements before the first answer: one round trip. What went wrong first is what is reported. */
async function runAll(sql: Sql | ReservedSql, ops: Op[]): Promise<void> {
  const results = await Promise.allSettled(
    ops.map((op) => sql.unsafe(op.text, op.params, { prepare: true })),
  );
  results.forEach((result, i) => {
    const op = ops[i] as Op;
    if (result.status === "fulfilled") {
      const rows = result.value as unknown as Cells[] & { count: number };
      op.after?.({ count: rows.count, rowid: 0, rows });
    } else if ((result.reason as { code?: string }).code === "23505")
      throw new Conflict(op.table ?? "", "unique", undefined, { cause: result.reason });
    else throw result.reason;
  });
}

/** Opens a PostgreSQL database by its URL. `max` connections (10) are opened as they are needed. */
export async function openPostgres(url: string, { max = 10 }: { max?: number } = {}): Promise<Db> {
  const [{ default: postgres }, { drizzle }] = await Promise.all([
    import("postgres"),
    import("drizzle-orm/postgres-js"),
  ]);
  const connect = (options: { max: number; onclose?(): void }) => {
    const sql = postgres(url, {
      ...options,
      onnotice: () => {},
      // Whole numbers are kept within ±2^53, so a count is a number, as on SQLite.
      types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
    });
    // JSON is written and read by Drizzle; twice would turn the string "1" into a number.
    for (const json of [114, 3802]) {
      sql.options.parsers[json] = (value: string) => value;
      sql.options.serializers[json] = (value: string) => value;
    }
    return sql as unknown as Sql;
  };
  const engine = new PostgresEngine(connect, max);
  const { sql } = engine;
  const orm = drizzle(sql);
  const select = async <T extends SQLiteTable>(table: T, where: Where<T>, limit: string) => {
    const { text, params, map } = selection(table, where as Where, "postgres", limit);
    const rows = await sql.unsafe(text, params, { prepare: true }).values();
    return (rows as unknown as Value[][]).map(map) as T["$inferSelect"][];
  };
  const builders = orm as unknown as Db; // Drizzle's builders of both dialects have these methods in common.
  const db: Db = {
    dialect: "postgres",
    select: builders.select.bind(orm),
    selectDistinct: builders.selectDistinct.bind(orm),
    with: builders.with.bind(orm),
    $with: builders.$with.bind(orm),
    $count: builders.$count.bind(orm),
    find: async (table, where) => (await select(table, where, " limit 1"))[0],
    findAll: (table, where) => select(table, where, ""),
    async query<T>(query: SQL) {
      const out = new Text("postgres");
      out.sql(query);
      return [...(await sql.unsafe(out.text, out.params, { prepare: true }))] as unknown as T[];
    },
    close: () => engine.close(),
  };
  setEngine(db, engine);
  return db;
}

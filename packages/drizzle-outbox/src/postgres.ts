import type { SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/pg-proxy";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { ClientBase, Pool, QueryResult } from "pg";
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
import { Storage } from "./storage.ts";
import { backoff } from "./waiting.ts";
import { Conflict, type Where } from "./writes.ts";

/** A deadlock, or a snapshot that others overtook: the same transaction may well succeed the next time. */
const again = new Set(["40001", "40P01"]);
const mostTries = 10;
/** Texts that get a prepared statement; beyond it, rarer ones are planned each time. */
const mostStatements = 500;

export class PostgresEngine implements Engine {
  readonly dialect = "postgres";
  closed = false;
  readonly storage = new Storage("on the server");
  readonly #pool: Pool;
  readonly #names = new Map<string, string>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  // PostgreSQL syncs for all connections at once by itself, so each change is a transaction of its own here.
  async transact(ops: Op[], done?: () => void): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const [only] = ops;
        if (only && ops.length === 1 && (!only.after || only.returning)) await this.#runAll(this.#pool, ops);
        else
          await this.transaction(async (client) => {
            await this.#runAll(client, ops);
            fault("before commit");
          });
        break;
      } catch (error) {
        if (!again.has((error as { code?: string }).code ?? "") || tries === mostTries)
          throw this.storage.failed(error);
        await new Promise((resolve) => setTimeout(resolve, backoff(tries, 5, 200)));
      }
    }
    this.storage.stored();
    fault("after commit");
    done?.();
  }

  /** `run` may ask for several things at once: they are sent without waiting for the answers before. */
  async transaction<T>(run: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#reach(this.#pool.connect());
    try {
      const [begun, ran] = await Promise.allSettled([
        client.query("begin isolation level read committed"),
        run(client),
      ]);
      for (const each of [begun, ran]) if (each.status === "rejected") throw each.reason;
      await client.query("commit");
      client.release();
      return (ran as PromiseFulfilledResult<T>).value;
    } catch (error) {
      const [undone] = await Promise.allSettled([client.query("rollback")]);
      client.release(undone.status === "rejected"); // A connection that cannot do even that is closed.
      throw this.storage.failed(error);
    }
  }

  /** Sends all statements before the first answer: one round trip. What went wrong first is what is reported. */
  async #runAll(on: Pool | ClientBase, ops: Op[]): Promise<void> {
    const results = await Promise.allSettled(ops.map((op) => this.run(on, op.text, op.params)));
    results.forEach((result, i) => {
      const op = ops[i] as Op;
      if (result.status === "fulfilled") {
        const { rows, rowCount } = result.value;
        op.after?.({ count: rowCount ?? 0, rowid: 0, rows });
      } else if ((result.reason as { code?: string }).code === "23505")
        throw new Conflict(op.table ?? "", "unique", undefined, { cause: result.reason });
      else throw result.reason;
    });
  }

  run(on: Pool | ClientBase, text: string, params: Value[]): Promise<QueryResult<Cells>> {
    return on.query<Cells>({ name: this.#name(text), text, values: params });
  }

  #name(text: string): string | undefined {
    let name = this.#names.get(text);
    if (name === undefined && this.#names.size < mostStatements) {
      name = `s${this.#names.size}`;
      this.#names.set(text, name);
    }
    return name;
  }

  async all(text: string, params: Value[]): Promise<Cells[]> {
    return (await this.#reach(this.run(this.#pool, text, params))).rows;
  }

  async values(text: string, params: Value[]): Promise<Value[][]> {
    const query = { name: this.#name(text), text, values: params, rowMode: "array" as const };
    return (await this.#reach(this.#pool.query<Value[]>(query))).rows;
  }

  async #reach<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      throw this.storage.failed(error);
    }
  }

  source(context: Context): Source {
    return new PostgresSource(this, context);
  }

  async own(): Promise<boolean> {
    return true; // Replicas share the work by locks in the database.
  }

  disown(): void {}

  async migrate(pick: (applied: Applied[]) => Migration[]): Promise<void> {
    const applied = async (on: Pool | ClientBase) =>
      (await on.query<Applied>("select name, hash from outbox_migrations")).rows;
    const [known] = await this.all("select to_regclass('outbox_migrations')::text as name", []);
    if (known?.name && pick(await applied(this.#pool)).length === 0) return;
    fault("migrate: before lock");
    await this.transaction(async (client) => {
      await client.query("select pg_advisory_xact_lock(hashtext('outbox_migrations'))");
      await client.query(
        "create table if not exists outbox_migrations (name text primary key, hash text not null, at bigint not null)",
      );
      for (const { name, hash, statements } of pick(await applied(client))) {
        for (const statement of statements) await client.query(statement);
        await client.query("insert into outbox_migrations (name, hash, at) values ($1, $2, $3)", [
          name,
          hash,
          Date.now(),
        ]);
      }
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.#pool.end();
  }
}

const numbers = new Set([20, 21, 23, 26, 700, 701]);

/** Numbers and booleans are made what they are; the rest stays text. Drizzle parses JSON: twice would turn "1" into 1. */
function parser(type: number): (text: string) => unknown {
  if (numbers.has(type)) return Number;
  if (type === 16) return (text) => text === "t";
  return (text) => text;
}

/** Opens a PostgreSQL database by its URL. `max` connections (10) are opened as they are needed. */
export async function openPostgres(url: string, { max = 10 }: { max?: number } = {}): Promise<Db> {
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({
    connectionString: url,
    max,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: 30_000,
    idleTimeoutMillis: 60_000,
    types: { getTypeParser: parser as never },
  });
  // A connection that breaks fails what runs on it, and the pool replaces it: nothing is left to be done here.
  const ignore = (): undefined => undefined;
  pool.on("error", ignore);
  pool.on("connect", (client) => void client.on("error", ignore));
  const engine = new PostgresEngine(pool);
  const orm = drizzle(async (text, params, method) => ({
    rows: method === "all" ? await engine.values(text, params) : await engine.all(text, params),
  }));
  const select = async <T extends SQLiteTable>(table: T, where: Where<T>, limit: string) => {
    const { text, params, map } = selection(table, where as Where, "postgres", limit);
    return (await engine.values(text, params)).map(map) as T["$inferSelect"][];
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
      return (await engine.all(out.text, out.params)) as T[];
    },
    close: () => engine.close(),
  };
  setEngine(db, engine);
  return db;
}

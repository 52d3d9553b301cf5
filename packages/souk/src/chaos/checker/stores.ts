import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { Place } from "./types.ts";

export type Row = Record<string, unknown>;

/** A service's database, as it is at one moment; read, never written. */
export interface Store {
  dialect: "sqlite" | "postgres";
  all(query: string): Promise<Row[]>;
  close(): Promise<void>;
}

/** The store of a service. @throws {Error} when its SQLite file is not there */
export function openStore({ home, stores = {} }: Place, service: string): Promise<Store> {
  const url = stores[service];
  return url === undefined ? openFile(join(home, "data", `${service}.db`)) : openServer(url);
}

/** The test provider's own book. It stands for somebody else's system, and is always a file. */
export function openBook({ home }: Place): Promise<Store> | undefined {
  const path = join(home, "data", "test-provider.db");
  return existsSync(path) ? openFile(path) : undefined;
}

async function openFile(path: string): Promise<Store> {
  if (!existsSync(path)) throw new Error(`There is no ${path}: is this the folder of a shop that has run?`);
  // Not read-only: what a killed process has left in the write-ahead log has to be taken in first.
  const db = new Database(path, { readwrite: true });
  db.exec("pragma busy_timeout = 5000");
  db.exec("begin");
  return {
    dialect: "sqlite",
    all: async (query) => db.query(query).all() as Row[],
    close: async () => {
      db.exec("rollback");
      db.close();
    },
  };
}

async function openServer(connectionString: string): Promise<Store> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query("begin isolation level repeatable read read only");
  return {
    dialect: "postgres",
    all: async (query) => (await client.query(query)).rows as Row[],
    close: async () => {
      await client.query("rollback");
      await client.end();
    },
  };
}

/** A JSON column: text in SQLite, a value from PostgreSQL. */
export const json = <T>(value: unknown): T => (typeof value === "string" ? JSON.parse(value) : value) as T;

/** A number column: PostgreSQL gives its big ones as text. */
export const number = (value: unknown): number => Number(value);

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Db, type DialectName, migrate, openPostgres, openSqlite } from "../src/index.ts";
import { server } from "./postgres.ts";
import { tables } from "./shop/store.ts";

export const dialects: DialectName[] = ["sqlite", "postgres"];

/** A database with the shop's tables, to be opened as often as a test needs. */
export interface Place {
  dialect: DialectName;
  /** A path or a URL. */
  address: string;
  open(): Promise<Db>;
  /** Closes what was opened, and removes it. */
  remove(): Promise<void>;
}

export const migrations = join(import.meta.dir, "shop", "migrations");

export const openAt = (dialect: DialectName, address: string): Promise<Db> =>
  dialect === "sqlite" ? openSqlite(address) : openPostgres(address);

export async function empty(dialect: DialectName): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-"));
  const address = dialect === "sqlite" ? join(folder, "shop.db") : await (await server()).database();
  const opened: Db[] = [];
  return {
    dialect,
    address,
    async open() {
      const db = await openAt(dialect, address);
      opened.push(db);
      return db;
    },
    async remove() {
      await Promise.all(opened.map((db) => db.close()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function place(dialect: DialectName): Promise<Place> {
  const made = await empty(dialect);
  await migrate(await made.open(), migrations);
  return made;
}

export const shop = (dialect: DialectName) => tables.for(dialect);

/** Resolves when the condition holds; looks after every turn of the event loop. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Not within ${ms} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

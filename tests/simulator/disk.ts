import { Database, type Statement } from "bun:sqlite";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Driver } from "../../packages/drizzle-outbox/src/driver.ts";

type Row = Record<string, string | number | null>;

/** What stands between a process and its disk. */
export interface Controller {
  /** Called before and after each statement. It throws when the process is dead, or dies by it. */
  step(when: string, text: string): void;
  /** An error of the disk for this statement, if there is to be one. */
  error(text: string): Error | undefined;
}

/** Another text for a statement: how a bug is planted. `undefined` has it answered without being run. */
export type Rewrite = (text: string) => string | undefined;

export interface DiskOptions {
  rewrite?: Rewrite;
  /** There will be power cuts: what is safe from them has to be known. */
  powerCuts?: boolean;
  /** Every crash takes the last commit with it: a bug. */
  forgetful?: boolean;
}

/** A database, with the statements that were prepared on it. */
interface File {
  db: Database;
  statements: Map<string, Statement<Row, (string | number)[]>>;
}

/** A new database with a service's tables, as the migrations of its folder make them. */
interface Image {
  bytes: Uint8Array;
  tables: string[];
  /** Files that were made of it and are empty again: to prepare statements takes longer than to delete a few rows. */
  idle: File[];
}

const images = new Map<string, Image>();

function imageOf(folder: string): Image {
  const known = images.get(folder);
  if (known !== undefined) return known;
  const db = new Database(":memory:");
  const migrations = join(folder, "migrations/sqlite");
  for (const file of readdirSync(migrations).sort())
    if (file.endsWith(".sql"))
      for (const part of readFileSync(join(migrations, file), "utf8").split("--> statement-breakpoint"))
        if (part.trim() !== "") db.run(part);
  const named = db.prepare<{ name: string }, []>("select name from sqlite_master where type = 'table'").all();
  const tables = named.map(({ name }) => name);
  for (const table of tables)
    if (db.prepare(`select 1 from "${table}"`).get())
      throw new Error(
        `${folder}: a migration fills ${table}, and the simulator would take that for a run's own`,
      );
  const image = { bytes: db.serialize(), tables, idle: [] };
  db.close();
  images.set(folder, image);
  return image;
}

const open = (bytes: Uint8Array): File => ({ db: Database.deserialize(bytes), statements: new Map() });

/**
 * The disk of one service: SQLite, in memory. It outlives the processes that use it. A transaction that was open when
 * one died is undone, as SQLite does when it opens such a file; a power cut also takes what was committed without
 * waiting for the disk.
 */
export class Disk {
  readonly #image: Image;
  #kept: File | undefined;
  readonly #rewrite: Rewrite | undefined;
  readonly #powerCuts: boolean;
  readonly #forgetful: boolean;
  #synchronous = true;
  /** What is safe while something later is not. */
  #safe: Uint8Array | undefined;
  /** The file as it was before the transaction that does not wait for the disk. */
  #snapshot: Uint8Array | undefined;
  /** Commits so far. */
  commits = 0;

  constructor(folder: string, { rewrite, powerCuts = false, forgetful = false }: DiskOptions) {
    this.#image = imageOf(folder);
    this.#kept = this.#image.idle.pop() ?? open(this.#image.bytes);
    this.#rewrite = rewrite;
    this.#powerCuts = powerCuts;
    this.#forgetful = forgetful;
  }

  /** What the simulation itself reads. */
  rows<T = Row>(text: string, ...params: (string | number)[]): T[] {
    return this.#statement(text).all(...params) as T[];
  }

  crash(power: "on" | "cut"): void {
    this.#rollBack();
    this.#synchronous = true;
    const kept = this.#forgetful ? this.#snapshot : power === "cut" ? this.#safe : undefined;
    if (kept === undefined) return;
    this.#file.db.close();
    this.#kept = open(kept);
    this.#safe = undefined;
    this.#snapshot = undefined;
  }

  /** Nobody uses it any more. */
  close(): void {
    this.#rollBack();
    const file = this.#file;
    this.#kept = undefined;
    file.db.run("begin");
    for (const table of this.#image.tables) file.db.run(`delete from "${table}"`);
    file.db.run("commit");
    this.#image.idle.push(file);
  }

  get #file(): File {
    if (this.#kept === undefined) throw new Error("The simulation is over, its disk is gone");
    return this.#kept;
  }

  #rollBack(): void {
    const { db } = this.#file;
    if (db.inTransaction) db.run("rollback");
  }

  #statement(text: string): Statement<Row, (string | number)[]> {
    const { db, statements } = this.#file;
    let statement = statements.get(text);
    if (statement === undefined) {
      statement = db.prepare(text);
      statements.set(text, statement);
    }
    return statement;
  }

  /** The disk as a process has it open. */
  driver(controller: Controller): Driver {
    const run = <T>(text: string, rewritten: string, what: () => T): T => {
      controller.step("before", text);
      const error = controller.error(text);
      if (error) throw error;
      const committing = rewritten === "commit";
      if (this.#forgetful && text === "begin immediate") this.#snapshot = this.#file.db.serialize();
      if (committing && !this.#synchronous && this.#powerCuts) this.#safe ??= this.#snapshot;
      const result = what();
      if (committing) {
        this.commits++;
        if (this.#synchronous) this.#safe = undefined;
      }
      controller.step("after", text);
      return result;
    };
    return {
      prepare: (text) => {
        const rewritten = this.#rewrite ? this.#rewrite(text) : text;
        if (rewritten === undefined) {
          return {
            run: () => ({ changes: 1, lastInsertRowid: 0 }),
            all: () => [],
            values: () => [],
            finalize() {},
          };
        }
        return {
          run: (params) =>
            run(text, rewritten, () => this.#statement(rewritten).run(...(params as string[]))),
          all: (params) =>
            run(text, rewritten, () => this.#statement(rewritten).all(...(params as string[])) as Row[]),
          values: (params) =>
            run(text, rewritten, () =>
              this.#statement(rewritten).values(...(params as string[])),
            ) as Row[string][][],
          // Another process uses it again.
          finalize() {},
        };
      },
      exec: (text) => {
        controller.step("before", text);
        if (text === "pragma synchronous = normal") this.#synchronous = false;
        else if (text === "pragma synchronous = full") this.#synchronous = true;
        else if (!text.startsWith("pragma ")) this.#file.db.run(text);
        if (!this.#synchronous && this.#powerCuts && this.#safe === undefined)
          this.#snapshot = this.#file.db.serialize();
      },
      inTransaction: () => {
        controller.step("before", "rollback");
        return this.#file.db.inTransaction;
      },
      close() {},
    };
  }
}

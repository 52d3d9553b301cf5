import type { Cells, Value } from "./engine.ts";

/** What is used of a SQLite driver; both that there are run in this process and answer at once. */
export interface Driver {
  prepare(text: string): Prepared;
  /** Runs SQL without values, several statements too. */
  exec(text: string): void;
  inTransaction(): boolean;
  close(): void;
}

/** Booleans have become numbers before they come here. */
type Bound = Exclude<Value, boolean>;

export interface Prepared {
  run(params: Value[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  all(params: Value[]): Cells[];
  values(params: Value[]): Value[][];
  finalize(): void;
}

/** `bun:sqlite` on Bun, `node:sqlite` on Node from 22.16. */
export async function openDriver(path: string): Promise<Driver> {
  return "Bun" in globalThis ? bun(path) : node(path);
}

async function bun(path: string): Promise<Driver> {
  const { Database } = await import("bun:sqlite");
  const db = new Database(path);
  return {
    prepare(text) {
      const statement = db.prepare<Cells, Value[]>(text);
      return {
        run: (params) => statement.run(...params),
        all: (params) => statement.all(...params),
        values: (params) => statement.values(...params) as Value[][],
        finalize: () => statement.finalize(),
      };
    },
    exec: (text) => {
      db.run(text);
    },
    inTransaction: () => db.inTransaction,
    close: () => db.close(),
  };
}

async function node(path: string): Promise<Driver> {
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(path);
  return {
    prepare(text) {
      const statement = db.prepare(text);
      // Rows as arrays keep two columns of one name apart; a statement is used in one way or the other.
      let arrays = false;
      const shape = (wanted: boolean) => {
        if (arrays !== wanted) statement.setReturnArrays(wanted);
        arrays = wanted;
      };
      return {
        run: (params) => statement.run(...(params as Bound[])),
        all(params) {
          shape(false);
          return statement.all(...(params as Bound[])) as Cells[];
        },
        values(params) {
          shape(true);
          return statement.all(...(params as Bound[])) as unknown as Value[][];
        },
        finalize() {}, // Node frees it with the object.
      };
    },
    exec: (text) => db.exec(text),
    inTransaction: () => db.isTransaction,
    close: () => db.close(),
  };
}

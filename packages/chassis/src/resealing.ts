import { and, asc, eq, gt, isNull, type SQL } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { type Change, Conflict, type Db, type Write } from "drizzle-outbox";
import type { Log } from "./log.ts";
import type { Sealed } from "./sealed.ts";

/** The job that seals anew what is sealed with an old key, or not at all. */
export const resealJob = "reseal";

/** Rows with sealed columns, and a column that says with which key; it has an index together with the id. */
export interface SealedRows {
  /** How many rows are sealed with this key; null: not at all. */
  count(key: string | null): Promise<number>;
  /** The first of them whose id is beyond `after`, each with what seals it with the current key. */
  next(
    key: string | null,
    after: string,
    limit: number,
  ): Promise<{ id: string; reseal(): Write | Write[] }[]>;
}

/**
 * The sealed rows of a table.
 * @param id its key, a text
 * @param sealedWith the id of the key, null for a row that is not sealed; a row with nothing to seal has ""
 * @param reseal seals a row with the current key, on the condition that it has not changed meanwhile; and what else has
 *   to go over to that key with it
 */
export function sealedRows<T extends SQLiteTable>(
  db: Db,
  table: T,
  {
    id,
    sealedWith,
    reseal,
  }: { id: SQLiteColumn; sealedWith: SQLiteColumn; reseal(row: T["$inferSelect"]): Write | Write[] },
): SealedRows {
  const withKey = (key: string | null): SQL => (key === null ? isNull(sealedWith) : eq(sealedWith, key));
  return {
    count: (key) => db.$count(table, withKey(key)),
    async next(key, after, limit) {
      const found = (await db
        .select({ id, row: table as never })
        .from(table)
        .where(and(withKey(key), gt(id, after)))
        .orderBy(asc(id))
        .limit(limit)) as unknown as { id: string; row: T["$inferSelect"] }[];
      return found.map((one) => ({ id: one.id, reseal: () => reseal(one.row) }));
    },
  };
}

export interface ResealerOptions {
  rows: SealedRows[];
  sealed: Sealed;
  commit(change: Change): Promise<void>;
  log: Pick<Log, "warn" | "info">;
  /** Rows at a time: 100. Between two chunks the service's requests have their turn. */
  chunk?: number;
}

/** Brings all rows over to the current key, in the background and in chunks. */
export interface Resealer {
  /** How many rows are sealed with each key but the current one; "" for those not sealed at all. */
  stale(): Promise<Record<string, number>>;
  /** Goes once through all that is stale. What does not open is said, and left. */
  run(): Promise<void>;
}

export function resealer({ rows, sealed, commit, log, chunk = 100 }: ResealerOptions): Resealer {
  const others = (): (string | null)[] => [null, ...sealed.keys.filter((key) => key !== sealed.current)];

  async function once(of: SealedRows, key: string | null): Promise<void> {
    for (let after = ""; ; ) {
      const found = await of.next(key, after, chunk);
      // Each by itself: who is at one of them just now keeps no other waiting. They share a disk sync all the same.
      await Promise.all(found.map((row) => one(row)));
      const last = found.at(-1);
      if (last === undefined || found.length < chunk) return;
      after = last.id;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async function one({ id, reseal }: { id: string; reseal(): Write | Write[] }): Promise<void> {
    let writes: Write[];
    try {
      writes = [reseal()].flat();
    } catch (error) {
      log.warn({ row: id, err: String(error) }, "a row cannot be sealed anew");
      return;
    }
    // Who has changed it meanwhile has sealed it, or it is found the next time.
    await commit({ writes }).catch((error: unknown) => {
      if (!(error instanceof Conflict)) throw error;
    });
  }

  return {
    async stale() {
      const counts: Record<string, number> = {};
      for (const key of others())
        for (const of of rows) counts[key ?? ""] = (counts[key ?? ""] ?? 0) + (await of.count(key));
      return counts;
    },
    async run() {
      for (const key of others()) for (const of of rows) await once(of, key);
      log.info({ key: sealed.current }, "everything that opens is sealed with the current key");
    },
  };
}

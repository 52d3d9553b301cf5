/** One runner a folder: an SQLite lock, which the system itself gives up when its holder dies. */
import { Database } from "bun:sqlite";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import type { Home } from "./home.ts";

export interface Lock {
  release(): void;
}

/** Takes the lock of a shop's folder, or returns null when another process holds it. */
export function lock(home: Home): Lock | null {
  const path = join(home.dir, "lock.db");
  const db = new Database(path, { create: true });
  chmodSync(path, 0o600);
  try {
    db.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) return null;
    throw error;
  }
  return {
    release() {
      db.exec("ROLLBACK");
      db.close();
    },
  };
}

import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Reporter } from "./types.ts";

/**
 * Runs `body` while no other process on this machine holds the same lock file; waits for its turn and says so.
 *
 * The lock is SQLite's on an empty file, which the system gives back when its holder dies, however it dies:
 * there is no stale lock to recognise and no race in taking one over.
 */
export async function withLock<T>(
  file: string,
  options: { report: Reporter; signal?: AbortSignal; what: string },
  body: () => Promise<T>,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const db = new Database(file, { create: true });
  try {
    db.run("PRAGMA busy_timeout = 0");
    for (let waiting = false; !tryLock(db); ) {
      options.signal?.throwIfAborted();
      if (!waiting) {
        const holder = await readFile(`${file}.holder`, "utf8").catch(() => "another process");
        options.report.step(`${options.what}: ${holder} is at it already; waiting for it`);
        waiting = true;
      }
      await pause(200);
    }
    await writeFile(`${file}.holder`, `process ${process.pid}`);
    return await body();
  } finally {
    db.close();
  }
}

function tryLock(db: Database): boolean {
  try {
    db.run("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY"))
      return false;
    throw error;
  }
}

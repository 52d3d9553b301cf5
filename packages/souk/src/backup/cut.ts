/** Copies of several SQLite files as they were at one and the same moment, while their owners go on writing. */
import { chmodSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { type Applied, BackupError } from "./manifest.ts";

/** Files that stand still, for one reader, while everybody else goes on. */
export interface Cut {
  /** Milliseconds since the epoch. */
  takenAt: number;
  /** For so long nobody could write, in milliseconds. */
  heldMs: number;
  /** Copies one of the files to `target`, and reports pages done and in all. */
  copy(path: string, target: string, progress?: (done: number, total: number) => void): Promise<void>;
  close(): void;
}

const patience = 500;
const attempts = 40;

/**
 * Takes the write locks of all files, and begins to read each while it has them: so there is no commit that one of
 * the readers sees and that came after another reader's moment. Then lets them go; a writer waits for milliseconds.
 * @throws {BackupError} when the locks cannot be had together
 */
export async function cut(paths: string[]): Promise<Cut> {
  for (let attempt = 1; ; attempt++) {
    const taken = take(paths);
    if (taken) return taken;
    if (attempt === attempts)
      throw new BackupError(
        `The databases could not be held at the same moment, in ${attempts} attempts: somebody writes without a pause. Try again`,
      );
    // Whoever waited for us is let in before the next attempt.
    await pause(20 + Math.random() * 200);
  }
}

function take(paths: string[]): Cut | undefined {
  const readers = new Map<string, DatabaseSync>();
  const writers: DatabaseSync[] = [];
  const close = () => {
    for (const reader of readers.values()) reader.close();
  };
  let done = false;
  try {
    for (const path of paths) {
      readers.set(path, new DatabaseSync(path, { readOnly: true }));
      const writer = new DatabaseSync(path);
      writers.push(writer);
      writer.exec("pragma busy_timeout = 0");
      // What is read for the first time is read before anybody has to wait.
      writer.prepare("select count(*) from sqlite_schema").get();
    }
    const began = performance.now();
    for (const writer of writers) if (!locked(writer, began + patience)) return undefined;
    for (const reader of readers.values()) {
      reader.exec("begin");
      // A transaction begins with its first look.
      reader.prepare("select count(*) from sqlite_schema").get();
    }
    const takenAt = Date.now();
    for (const writer of writers) writer.exec("rollback");
    const heldMs = performance.now() - began;
    done = true;
    return {
      takenAt,
      heldMs,
      async copy(path, target, progress) {
        const reader = readers.get(path);
        if (!reader) throw new Error(`${path} was not in the cut`);
        // The reader is in its transaction: what it copies is of that moment.
        await backup(reader, target, {
          rate: 2_000,
          progress: ({ totalPages, remainingPages }) => progress?.(totalPages - remainingPages, totalPages),
        });
        chmodSync(target, 0o600);
      },
      close,
    };
  } finally {
    for (const writer of writers) writer.close();
    if (!done) close();
  }
}

/** SQLite's own waiting sleeps for milliseconds and is not fair: a writer without a pause would never let us in. */
function locked(writer: DatabaseSync, deadline: number): boolean {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      writer.exec("begin immediate");
      return true;
    } catch (error) {
      if (!/locked|busy/i.test(String(error))) throw error;
      if (performance.now() > deadline) return false;
      Atomics.wait(clock, 0, 0, 0.2);
    }
  }
}

/** Copies one SQLite file as it is now. */
export async function copyNow(path: string, target: string): Promise<void> {
  const source = new DatabaseSync(path, { readOnly: true });
  try {
    await backup(source, target, { rate: 2_000 });
    chmodSync(target, 0o600);
  } finally {
    source.close();
  }
}

/**
 * Makes a copy a single file, checks it, and says what migrations it has had; none where it is not a service's.
 * @throws {BackupError} when it is damaged
 */
export function inspect(path: string, name: string): { migrations: Applied[] } {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    db.exec("pragma journal_mode = delete");
    const [first] = db.prepare("pragma quick_check(1)").all() as { quick_check: string }[];
    if (first?.quick_check !== "ok") throw new BackupError(`${name} is damaged: ${first?.quick_check}`);
    const service = db.prepare("select 1 from sqlite_schema where name = 'outbox_migrations'").get();
    const rows = service ? db.prepare("select name, hash from outbox_migrations order by name").all() : [];
    return { migrations: rows.map(({ name, hash }) => ({ name: String(name), hash: String(hash) })) };
  } catch (error) {
    if (error instanceof BackupError) throw error;
    throw new BackupError(`${name} is damaged: ${error instanceof Error ? error.message : error}`);
  } finally {
    db?.close();
  }
}

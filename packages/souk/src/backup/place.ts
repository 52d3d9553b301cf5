/** Puts a restored shop in the place of what was there: wholly, or not at all, whatever dies in between. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Home, readJson, writeLasting } from "../home.ts";

/** The folder in a shop's own in which what is to be put in place is made. */
export const PARTIAL = "restore.partial";
const JOURNAL = "restore.json";
/** Written when all is ready, removed when all is in its place. */
interface Journal {
  /** Where to move what is there. */
  aside: string;
  /** The parts that come out of the backup. */
  fresh: string[];
}

/** What is put in the place of what was there. */
const parts = ["dev-client.json", "secrets", "redis", "data"];

/** Begins, and finishes where nothing comes in between. What was there before is in the folder `aside` then. */
export function putInPlace(home: Home, aside: string): void {
  const fresh = parts.filter((part) => existsSync(join(home.dir, PARTIAL, part)));
  writeLasting(join(home.dir, JOURNAL), JSON.stringify({ aside, fresh } satisfies Journal));
  finishRestore(home);
}

export const isUnderWay = (home: Home): boolean => existsSync(join(home.dir, JOURNAL));

/**
 * Finishes a restore that was cut off after it had begun to put things in their places; does nothing otherwise.
 * Whoever calls it has the lock of the folder.
 */
export function finishRestore(home: Home): void {
  const journal = join(home.dir, JOURNAL);
  const todo = readJson<Journal>(journal);
  if (!todo) return;
  const partial = join(home.dir, PARTIAL);
  mkdirSync(todo.aside, { recursive: true, mode: 0o700 });
  for (const part of parts) {
    const [fresh, place, old] = [join(partial, part), join(home.dir, part), join(todo.aside, part)];
    // One that is in its place already stays there.
    if (todo.fresh.includes(part) && !existsSync(fresh)) continue;
    if (existsSync(place) && !existsSync(old)) renameSync(place, old);
    if (existsSync(fresh)) renameSync(fresh, place);
  }
  rmSync(partial, { recursive: true, force: true });
  removeEmpty(todo.aside);
  rmSync(journal);
}

/** Removes the empty folders of a tree. */
export function removeEmpty(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name));
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}

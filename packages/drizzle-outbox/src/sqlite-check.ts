import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Driver } from "./driver.ts";
import { StorageUnavailable } from "./storage.ts";

/** Files up to this are read through at every start (bytes): 30 ms. Larger ones as they are used. */
const checked = 64 * 1024 * 1024;

/** The lock of the process that sends and works off a file; it stays beside the file. */
export const ownerOf = (path: string): string => `${path}-owner`;

/**
 * Looks at a file before it is opened. SQLite takes an empty or missing file for a new database, so one that was
 * there before would silently begin anew.
 * @throws {StorageUnavailable} when the file is gone or empty although it was in use, or cannot be written
 */
export function checkFile(path: string): void {
  const there = existsSync(path);
  if (existsSync(ownerOf(path)) && (!there || statSync(path).size === 0))
    throw new StorageUnavailable(
      "missing",
      `The database ${path} is ${there ? "empty" : "gone"}, although it was in use: put back a backup of it. (To begin with an empty one, remove ${ownerOf(path)} too.)`,
    );
  for (const each of there ? [dirname(path), path] : [dirname(path)]) {
    try {
      accessSync(each, constants.W_OK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EROFS" && code !== "EACCES" && code !== "EPERM") throw error;
      const why = code === "EROFS" ? "its file system is mounted read-only" : "this user may not write it";
      throw new StorageUnavailable(
        "read-only",
        `The database ${path} cannot be written: ${why} (${each}, ${code})`,
        {
          cause: error,
        },
      );
    }
  }
}

/** @throws {StorageUnavailable} when the open database is not whole; nothing is said of a large one */
export function checkContent(driver: Driver, path: string): void {
  if (path === ":memory:" || !existsSync(path) || statSync(path).size > checked) return;
  const check = driver.prepare("pragma quick_check(1)");
  const [[found] = []] = check.values([]);
  check.finalize();
  if (found !== "ok") throw damaged(path, String(found));
}

export const damaged = (path: string, detail: string): StorageUnavailable =>
  new StorageUnavailable(
    "corrupt",
    `The database ${path} is damaged (${detail.replace(/\s+/g, " ").trim()}): put back a backup of it. Nothing in it was changed.`,
  );

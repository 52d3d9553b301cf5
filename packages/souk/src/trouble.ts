/** What stands behind the failures of a disk, in words that say what to do. */
import type { Home } from "./home.ts";

const codes: Record<string, "full" | "read-only"> = {
  ENOSPC: "full",
  EDQUOT: "full",
  SQLITE_FULL: "full",
  EROFS: "read-only",
  EACCES: "read-only",
  EPERM: "read-only",
  SQLITE_READONLY: "read-only",
  SQLITE_CANTOPEN: "read-only",
};

/** Why the shop's folder takes nothing, and what to do; undefined when an error is of another kind. */
export function diskTrouble(error: unknown, home: Home): string | undefined {
  const { code, message, path = home.dir } = error as { code?: unknown; message?: unknown; path?: unknown };
  const kind = typeof code === "string" ? codes[code] : undefined;
  if (kind === undefined || !String(path).startsWith(home.dir)) return undefined;
  return kind === "full"
    ? `The disk of ${home.dir} is full (${message}). ${makeRoom(home)}`
    : `${home.dir} cannot be written (${message}). Mount it for writing, give it to this user, or choose another folder: SOUK_HOME=<folder> npm start`;
}

const makeRoom = (home: Home): string =>
  `Make room, and it goes on by itself; what takes the most here: du -sh ${home.dir}/*`;

const restore =
  "Put back a backup: npx souk restore <file> (docs/backup.md). Or forget all data and begin anew: npm start -- --fresh";

/** What the last words of a process mean, and what to do; undefined when they say nothing of a disk. */
export function explain(tail: readonly string[], home: Home): string | undefined {
  const words = tail.join("\n");
  if (
    /Bad file format reading the append only file|Unexpected end of file reading the append only file|AOF loading failed|appendonly\S* .*(doesn't exist|is missing)/i.test(
      words,
    )
  )
    return `Redis refuses its own log, which is damaged: nothing of it was changed. Copy ${home.redis} first; then redis-check-aof --fix ${home.redis}/appendonlydir/*.manifest cuts off what follows the damage. ${restore}`;
  if (/AOF write error|No space left on device|its disk is full|database or disk is full/i.test(words))
    return `The disk is full. ${makeRoom(home)}`;
  if (/is damaged|although it was in use/.test(words)) return restore;
  if (/cannot be written: |Read-only file system/.test(words))
    return `Mount ${home.dir} for writing, or give it to this user: then it goes on by itself`;
  return undefined;
}

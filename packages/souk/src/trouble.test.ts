import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { smallDisk } from "../../drizzle-outbox/test/disk.ts";
import { homeOf } from "./home.ts";
import { type Line, LogFile } from "./logs.ts";
import { StartFailed, startShop } from "./shop.ts";
import { diskTrouble, explain } from "./trouble.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(() => {
  for (const each of cleanUp.splice(0).reverse()) each();
});

const home = homeOf("/shop", "/shop/.souk");

test("a full disk costs lines of the log, and says how many; nothing else", async () => {
  const disk = smallDisk(1);
  if (!disk) {
    process.stdout.write("not run: the log on a full disk (this user may not mount one)\n");
    return;
  }
  cleanUp.push(disk.remove);
  const told: (string | undefined)[] = [];
  const log = new LogFile(disk.path, "orders", undefined, (error) =>
    told.push(error && (error as NodeJS.ErrnoException).code),
  );
  const line = (msg: string): Line => ({
    time: new Date(0).toISOString(),
    level: "info",
    process: "orders",
    msg,
  });
  const long = "x".repeat(10_000);
  let written = 0;
  while (told.length === 0) {
    log.write(line(long));
    written++;
  }
  for (let i = 0; i < 50; i++) log.write(line("lost"));
  expect(told).toEqual(["ENOSPC"]);
  disk.resize(8);
  for (let i = 0; told.length < 2 && i < 3_000; i++) {
    log.write(line("again"));
    await pause(10);
  }
  log.write(line("after"));
  log.close();
  expect(told).toEqual(["ENOSPC", undefined]);
  const texts = readFileSync(log.path, "utf8").trimEnd().split("\n");
  const whole = texts.flatMap((text) => {
    try {
      return [JSON.parse(text) as Line];
    } catch {
      return []; // The one that was cut off by the full disk.
    }
  });
  expect(whole.length).toBeGreaterThanOrEqual(texts.length - 1);
  expect(whole.filter(({ msg }) => msg === long)).toHaveLength(written - 1);
  const gap = whole.findIndex(({ msg }) => msg.endsWith("lines are missing here: they could not be written"));
  const missing = Number.parseInt(whole[gap]?.msg ?? "", 10);
  const again = whole.filter(({ msg }) => msg === "again").length;
  expect(missing).toBeGreaterThanOrEqual(51);
  expect(whole.slice(gap + 1).map(({ msg }) => msg)).toEqual([
    ...Array<string>(again).fill("again"),
    "after",
  ]);
});

test("a shop whose folder cannot be written says so, and what to do", async () => {
  const disk = smallDisk(1);
  if (!disk) {
    process.stdout.write("not run: a start on a read-only disk (this user may not mount one)\n");
    return;
  }
  cleanUp.push(disk.remove);
  disk.readOnly(true);
  const error = await startShop({ home: join(disk.path, "shop"), port: 0, quiet: true }).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(StartFailed);
  expect((error as Error).message).toMatch(/cannot be written .*EROFS.*SOUK_HOME=/);
});

test("an error of another kind, or of another folder, is no trouble with the disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "souk-trouble-"));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  expect(diskTrouble(new Error("no"), home)).toBeUndefined();
  expect(
    diskTrouble(Object.assign(new Error("no"), { code: "EACCES", path: "/elsewhere" }), home),
  ).toBeUndefined();
  expect(diskTrouble(Object.assign(new Error("ENOSPC: no space"), { code: "ENOSPC" }), home)).toContain(
    "Make room",
  );
});

test.each([
  [
    "# Bad file format reading the append only file appendonly.aof.1.incr.aof: make a backup",
    "redis-check-aof --fix",
  ],
  [
    "# Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
    "The disk is full",
  ],
  [
    "The database /d/orders.db does not store: its disk is full (database or disk is full)",
    "The disk is full",
  ],
  ["The database /d/orders.db is damaged (Tree 4 page 75): put back a backup of it.", "npx souk restore"],
  ["The database /d/orders.db is gone, although it was in use: put back a backup of it.", "--fresh"],
  ["The database /d/orders.db cannot be written: its file system is mounted read-only", "for writing"],
])("last words: %s", (words, advice) => {
  expect(explain(["before", words, "after"], home)).toContain(advice);
});

test("last words that say nothing of a disk", () => {
  expect(explain(["TypeError: x is not a function"], home)).toBeUndefined();
});

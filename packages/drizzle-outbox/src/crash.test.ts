import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { sql } from "drizzle-orm";
import { dialects, type Place, place, shop } from "../test/databases.ts";
import { outbox } from "./index.ts";

const steps = [
  "before commit",
  "after commit",
  "relay: before send",
  "relay: after send",
  "relay: before mark",
  "relay: after mark",
  "once: before commit",
  "once: after commit",
  "job: before run",
  "job: before commit",
  "job: after commit",
];

const victim = join(import.meta.dir, "..", "test", "victim.ts");

function start(at: Place, log: string, ...args: string[]) {
  const child = spawn(process.execPath, [victim, at.dialect, at.address, log, ...args], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<{ code: number | null; signal: string | null; said: string }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal, said }));
  });
  return { child, ended };
}

const linesOf = (log: string) =>
  (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []).map((line) => line.split(" "));

/** Nothing lost, every effect once, each key in order, nothing left over. */
async function balance(at: Place, log: string): Promise<void> {
  const { orders, effects } = shop(at.dialect);
  const db = await at.open();
  const lines = linesOf(log);
  const placed = lines.filter(([what]) => what === "placed").map(([, name]) => name as string);
  const kept = (await db.findAll(orders, sql`true`)).map(({ id }) => id);
  expect(kept).toEqual(expect.arrayContaining(placed));

  const sent = new Map<string, string[]>();
  for (const [what, key = "", name = ""] of lines) {
    if (what !== "sent") continue;
    const names = sent.get(key) ?? [];
    if (!names.includes(name)) names.push(name); // A repeat is allowed; consumers know it by its id.
    sent.set(key, names);
  }
  expect([...sent.values()].flat().toSorted()).toEqual(kept.toSorted());
  for (const names of sent.values()) expect(names).toEqual(names.toSorted());

  const done = await db.findAll(effects, sql`true`);
  const by = (who: string) =>
    done
      .filter((each) => each.by === who)
      .map(({ event }) => event)
      .toSorted();
  expect(by("job")).toEqual(kept.toSorted());
  expect(new Set(by("once")).size).toBe(by("once").length);
  expect(await outbox(db, { send: async () => {} }).pending()).toEqual({
    outbox: 0,
    jobs: 0,
    oldestOutboxAgeMs: 0,
  });
}

for (const dialect of dialects)
  describe(`kill -9 on ${dialect}`, () => {
    for (const step of steps)
      test(step, async () => {
        const events = Array.from({ length: 6 }, (_, i) => `e-${i}`);
        await Promise.all(
          [1, 3].map(async (nth) => {
            const at = await place(dialect);
            const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-log-"));
            const log = join(folder, "log");
            const died = await start(at, log, "run", step, String(nth)).ended;
            expect(died).toMatchObject({ signal: "SIGKILL", said: "" });
            const recovered = await start(at, log, "recover", ...events).ended;
            expect(recovered).toEqual({ code: 0, signal: null, said: "" });
            await balance(at, log);
            const db = await at.open();
            const once = await db.findAll(shop(dialect).effects, { by: "once" });
            expect(once.map(({ event }) => event).toSorted()).toEqual(events);
            rmSync(folder, { recursive: true });
            await at.remove();
          }),
        );
      }, 60_000);

    test("at any moment, again and again", async () => {
      const at = await place(dialect);
      const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-log-"));
      const log = join(folder, "log");
      for (let round = 0; round < 5; round++) {
        const before = linesOf(log).length;
        const { child, ended } = start(at, log, "storm", String(round));
        while (linesOf(log).length < before + 2) await pause(5);
        setTimeout(() => child.kill("SIGKILL"), Math.random() * 300);
        expect(await ended).toMatchObject({ signal: "SIGKILL", said: "" });
      }
      const tried = linesOf(log)
        .filter(([what]) => what === "try")
        .map(([, name]) => `e-${name}`);
      expect(tried.length).toBeGreaterThan(5);
      expect(await start(at, log, "recover", ...tried).ended).toEqual({ code: 0, signal: null, said: "" });
      await balance(at, log);
      rmSync(folder, { recursive: true });
      await at.remove();
    }, 60_000);
  });

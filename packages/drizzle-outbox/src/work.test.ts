import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { dialects, type Place, place, shop, until } from "../test/databases.ts";
import {
  Conflict,
  type Db,
  type DueJob,
  insert,
  type OutboxOptions,
  outbox,
  type Running,
  upsert,
} from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`work on ${dialect}`, () => {
    const { stock } = shop(dialect);
    let at: Place;
    let db: Db;
    let made = 0;
    const running: Running[] = [];

    beforeAll(async () => {
      at = await place(dialect);
      db = await at.open();
    });
    afterEach(async () => {
      await Promise.all(running.splice(0).map((each) => each.stop()));
    });
    afterAll(() => at.remove());

    const open = (on = db, options: Partial<OutboxOptions> = {}) =>
      outbox(on, { send: async () => {}, ...options });
    const fresh = () => `k-${++made}`;
    const count = (sku: string) =>
      upsert(stock, { sku, onHand: 1 }, { on: ["sku"], set: { onHand: sql`${stock.onHand} + 1` } });
    const counted = async (sku: string) => (await db.find(stock, { sku }))?.onHand ?? 0;
    const work = (box: ReturnType<typeof open>, ...args: Parameters<typeof box.work>) => {
      const each = box.work(...args);
      running.push(each);
      return each;
    };

    test("runs what is due, with its data, and its change with it", async () => {
      const box = open();
      const seen: DueJob[] = [];
      work(box, {
        greet(job) {
          seen.push(job);
          return { writes: [count(job.key)] };
        },
      });
      const [now, later] = [fresh(), fresh()];
      const due = Date.now();
      await box.commit({ jobs: [{ kind: "greet", key: now, at: due, data: { name: "Ada" } }] });
      await box.commit({ jobs: [{ kind: "greet", key: later, at: due + 60 }] });
      await until(async () => (await counted(later)) === 1);
      expect(Date.now()).toBeGreaterThanOrEqual(due + 60);
      expect(seen).toEqual([
        { kind: "greet", key: now, at: due, data: { name: "Ada" }, attempt: 1 },
        { kind: "greet", key: later, at: due + 60, data: undefined, attempt: 1 },
      ]);
      await until(async () => (await box.pending()).jobs === 0);
      expect(await counted(now)).toBe(1);
    });

    test("runs what was left before it began", async () => {
      const key = fresh();
      await open().commit({ jobs: [{ kind: "left", key, at: Date.now() - 1000 }] });
      work(open(), { left: (job) => ({ writes: [count(job.key)] }) });
      await until(async () => (await counted(key)) === 1);
    });

    test("a job that throws comes again, later each time", async () => {
      const box = open(db, { onError: (error) => expect(String(error)).toContain("not yet") });
      const key = fresh();
      const attempts: number[] = [];
      const times: number[] = [];
      work(box, {
        shaky(job) {
          attempts.push(job.attempt);
          times.push(performance.now());
          if (job.attempt < 3) throw new Error("not yet");
          return { writes: [count(job.key)] };
        },
      });
      await box.commit({ jobs: [{ kind: "shaky", key, at: Date.now() }] });
      await until(async () => (await counted(key)) === 1);
      expect(attempts).toEqual([1, 2, 3]);
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(90);
      expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(190);
      expect(await box.pending()).toMatchObject({ jobs: 0 });
    });

    test("a change that fails is a failure of the job: nothing of it stays", async () => {
      const box = open(db, { onError: (error) => expect(error).toBeInstanceOf(Conflict) });
      const key = fresh();
      await box.commit({ writes: [insert(stock, { sku: `${key}-taken`, onHand: 0 })] });
      work(box, {
        taken: (job) => ({
          writes: [
            count(job.key),
            ...(job.attempt === 1 ? [insert(stock, { sku: `${key}-taken`, onHand: 0 })] : []),
          ],
        }),
      });
      await box.commit({ jobs: [{ kind: "taken", key, at: Date.now() }] });
      await until(async () => (await box.pending()).jobs === 0);
      expect(await counted(key)).toBe(1);
    });

    test("scheduling again replaces", async () => {
      const box = open();
      const key = fresh();
      await box.commit({ jobs: [{ kind: "again", key, at: Date.now() + 60_000, data: 1 }] });
      await box.commit({ jobs: [{ kind: "again", key, at: Date.now(), data: 2 }] });
      const seen: unknown[] = [];
      work(box, {
        again: (job) => {
          seen.push(job.data);
          return { writes: [count(job.key)] };
        },
      });
      await until(async () => (await counted(key)) === 1);
      expect(seen).toEqual([2]);
    });

    test("a job scheduled again by its own change is kept", async () => {
      const box = open();
      const key = fresh();
      work(box, {
        tick: (job) => ({
          writes: [count(job.key)],
          jobs:
            (job.data as number) < 3
              ? [{ kind: "tick", key, at: Date.now() + 5, data: (job.data as number) + 1 }]
              : [],
        }),
      });
      await box.commit({ jobs: [{ kind: "tick", key, at: Date.now(), data: 1 }] });
      await until(async () => (await box.pending()).jobs === 0 && (await counted(key)) === 3);
    });

    test("a job can be cancelled", async () => {
      const box = open();
      const key = fresh();
      await box.commit({ jobs: [{ kind: "never", key, at: Date.now() + 30 }] });
      await box.commit({ jobs: [{ kind: "never", key, cancel: true }] });
      expect((await box.pending()).jobs).toBe(0);
    });

    test("one that is cancelled or scheduled again while it runs changes nothing", async () => {
      const told: unknown[] = [];
      const box = open(db, { onError: (error) => told.push(error) });
      const [cancelled, replaced] = [fresh(), fresh()];
      const gate = Promise.withResolvers<void>();
      let began = 0;
      let parallel = 0;
      work(box, {
        async slow(job) {
          began++;
          expect(++parallel).toBeLessThanOrEqual(2);
          if (began <= 2) await gate.promise;
          parallel--;
          return { writes: [count(job.key)] };
        },
      });
      await until(async () => (await box.pending()).jobs === 0);
      await box.commit({
        jobs: [cancelled, replaced].map((key) => ({ kind: "slow", key, at: Date.now(), data: 1 })),
      });
      await until(() => began === 2);
      await box.commit({
        jobs: [
          { kind: "slow", key: cancelled, cancel: true },
          { kind: "slow", key: replaced, at: Date.now(), data: 2 },
        ],
      });
      gate.resolve();
      await until(async () => (await counted(replaced)) === 1 && (await box.pending()).jobs === 0);
      expect(began).toBe(3);
      expect(await counted(cancelled)).toBe(0);
      expect(told.map(String).every((each) => each.includes("its change is dropped"))).toBe(true);
      expect(told).toHaveLength(2);
    });

    test("no more at a time than asked, and all of them", async () => {
      const box = open();
      let now = 0;
      let most = 0;
      work(
        box,
        {
          many: async () => {
            most = Math.max(most, ++now);
            await new Promise((resolve) => setTimeout(resolve, 1));
            now--;
          },
        },
        { concurrency: 5 },
      );
      await box.commit({
        jobs: Array.from({ length: 60 }, () => ({ kind: "many", key: fresh(), at: Date.now() })),
      });
      await until(async () => (await box.pending()).jobs === 0);
      expect(most).toBe(5);
    });

    test("stop waits for what runs, and leaves the rest", async () => {
      const box = open();
      const gate = Promise.withResolvers<void>();
      let began = 0;
      const each = work(
        box,
        {
          wait: async (job) => {
            began++;
            await gate.promise;
            return { writes: [count(job.key)] };
          },
        },
        { concurrency: 1 },
      );
      const keys = [fresh(), fresh()];
      await box.commit({ jobs: keys.map((key) => ({ kind: "wait", key, at: Date.now() })) });
      await until(() => began === 1);
      const stopping = each.stop();
      gate.resolve();
      await stopping;
      expect(began).toBe(1);
      expect((await Promise.all(keys.map(counted))).toSorted()).toEqual([0, 1]);
      await box.commit({ jobs: keys.map((key) => ({ kind: "wait", key, cancel: true })) });
    });

    test("kinds that nobody works on wait", async () => {
      const box = open();
      const key = fresh();
      await box.commit({ jobs: [{ kind: "unknown", key, at: Date.now() }] });
      let ran = false;
      work(box, {
        known: () => {
          ran = true;
        },
      });
      await box.commit({ jobs: [{ kind: "known", key, at: Date.now() }] });
      await until(async () => ran && (await box.pending()).jobs === 1);
      await box.commit({ jobs: [{ kind: "unknown", key, cancel: true }] });
    });

    test("a handler may take longer than its lease", async () => {
      const box = open();
      const other = open(await at.open());
      const key = fresh();
      let began = 0;
      const handlers = {
        long: async (job: DueJob) => {
          began++;
          await new Promise((resolve) => setTimeout(resolve, 500));
          return { writes: [count(job.key)] };
        },
      };
      work(box, handlers, { lease: 120 });
      work(other, handlers, { lease: 120 });
      await box.commit({ jobs: [{ kind: "long", key, at: Date.now() }] });
      await until(async () => (await counted(key)) === 1);
      expect(began).toBe(1);
    });

    test("replicas share the jobs, each is run once", async () => {
      const boxes = await Promise.all([0, 1, 2].map(async () => open(await at.open())));
      const keys = Array.from({ length: 60 }, fresh);
      const soon = Date.now() + 100;
      await boxes[0]?.commit({ jobs: keys.map((key) => ({ kind: "shared", key, at: soon })) });
      const ran: string[] = [];
      for (const box of boxes)
        work(
          box,
          {
            shared: async (job) => {
              ran.push(job.key);
              await new Promise((resolve) => setTimeout(resolve, 5));
              return { writes: [count(job.key)] };
            },
          },
          { concurrency: 10 },
        );
      await until(async () => (await boxes[0]?.pending())?.jobs === 0);
      expect(ran.toSorted()).toEqual(keys.toSorted());
      expect(await Promise.all(keys.map(counted))).toEqual(keys.map(() => 1));
    });
  });

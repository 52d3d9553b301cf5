import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { dialects, place, shop, until } from "../test/databases.ts";
import { type Db, insert, outbox, type Running, steady } from "./index.ts";

setDefaultTimeout(30_000);

const hour = 3_600_000;
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

/** A clock of a replica's own, which can be set. */
function clock() {
  let set = 0;
  return { now: () => Date.now() + set, set: (ms: number) => (set += ms) };
}

for (const dialect of dialects)
  describe(`a clock that is set, on ${dialect}`, () => {
    const { stock } = shop(dialect);

    async function replica() {
      const at = await place(dialect);
      cleanUp.push(() => at.remove());
      const time = clock();
      const open = async (db: Db) => {
        const box = outbox(db, { send: async () => {}, clock: time.now, onError: () => {} });
        const keep = (running: Running) => {
          cleanUp.push(() => running.stop());
          return running;
        };
        return { box, keep };
      };
      const db = await at.open();
      return { at, db, time, open, ...(await open(db)) };
    }

    test("back by hours: a job waits no longer than it had to", async () => {
      const { box, keep, time } = await replica();
      const ran: string[] = [];
      const handlers = {
        remind: ({ key }: { key: string }) => {
          ran.push(key);
        },
      };
      keep(box.work(handlers));
      const soon = time.now() + 1_000;
      await box.commit({
        jobs: [
          { kind: "remind", key: "soon", at: soon },
          { kind: "remind", key: "tomorrow", at: time.now() + 24 * hour },
        ],
      });
      time.set(-3 * hour);
      await until(() => ran.length > 0);
      expect(ran).toEqual(["soon"]);
      // What is scheduled by the new clock goes by it.
      await box.commit({ jobs: [{ kind: "remind", key: "now", at: time.now() }] });
      await until(() => ran.length > 1);
      expect(ran).toEqual(["soon", "now"]);
    });

    test("back by hours while nothing ran: the next start sees it", async () => {
      const { at, box, keep, time, open } = await replica();
      await box.commit({ jobs: [{ kind: "remind", key: "k", at: time.now() + 300 }] });
      time.set(-3 * hour);
      const ran: string[] = [];
      const other = await open(await at.open());
      keep(other.box.work({ remind: ({ key }) => void ran.push(key) }));
      await until(() => ran.length > 0);
    });

    test("back by hours: a job that failed is tried again soon, one whose replica died is taken over", async () => {
      const { at, box, time, open, keep } = await replica();
      let tries = 0;
      const first = box.work({
        fails() {
          tries++;
          if (tries === 1) time.set(-3 * hour);
          if (tries < 3) throw new Error("not yet");
        },
      });
      await box.commit({ jobs: [{ kind: "fails", key: "k", at: time.now() }] });
      await until(() => tries === 3);
      await first.stop();
      // A lease of a replica that is no more, by the clock of before.
      await box.commit({ jobs: [{ kind: "left", key: "k", at: time.now() + hour }] });
      const lapses = time.now() + 500;
      const db = await at.open();
      await db.query(
        sql`update outbox_jobs set token = 'gone', next = ${lapses}, scheduled = ${time.now()} where kind = 'left'`,
      );
      time.set(-3 * hour);
      let taken = 0;
      const other = await open(await at.open());
      keep(
        other.box.work({
          left() {
            taken++;
          },
        }),
      );
      await until(() => taken === 1);
    });

    test("forward by hours: what is due fires once, also what is running", async () => {
      const { box, db, keep, time } = await replica();
      const ends = Promise.withResolvers<void>();
      let began = 0;
      keep(
        box.work({
          async slow({ key }) {
            began++;
            await ends.promise;
            return { writes: [insert(stock, { sku: key, onHand: 1 })] };
          },
          remind: ({ key }) => ({ writes: [insert(stock, { sku: key, onHand: 1 })] }),
        }),
      );
      await box.commit({
        jobs: [
          { kind: "slow", key: "slow", at: time.now() },
          { kind: "remind", key: "later", at: time.now() + hour },
        ],
      });
      await until(() => began === 1);
      time.set(3 * hour);
      await until(async () => (await db.find(stock, { sku: "later" })) !== undefined);
      ends.resolve();
      await until(async () => (await box.pending()).jobs === 0);
      expect(began).toBe(1);
      expect(await db.find(stock, { sku: "slow" })).toEqual({ sku: "slow", onHand: 1 });
    });

    test("forward by weeks: an event that comes again is still known", async () => {
      const at = await place(dialect);
      cleanUp.push(() => at.remove());
      const db = await at.open();
      const time = clock();
      const retain = { inbox: 100, deadLetters: 100 };
      const box = outbox(db, { send: async () => {}, clock: time.now, retain });
      time.set(-hour);
      await box.once("old", "c", {});
      time.set(hour);
      const relay = box.relay();
      cleanUp.push(() => relay.stop());
      time.set(30 * 24 * hour);
      await box.once("new", "c", {});
      // It is trimmed once it is old enough: by the time that has passed.
      await until(
        async () => (await db.query(sql`select event from outbox_inbox where event = 'old'`)).length === 0,
      );
      expect(await box.once("new", "c", {})).toBe("duplicate");
    });

    test("either way: events are sent, and those that could not be are sent again soon", async () => {
      const at = await place(dialect);
      cleanUp.push(() => at.remove());
      const time = clock();
      const sent: string[] = [];
      let down = true;
      const box = outbox(await at.open(), {
        async send(events) {
          if (down) throw new Error("the broker is down");
          sent.push(...events.map(({ key }) => key));
        },
        clock: time.now,
        onError: () => {},
      });
      const relay = box.relay();
      cleanUp.push(() => relay.stop());
      const event = (key: string) => box.commit({ events: [{ topic: "t", type: "x", key, data: null }] });
      await event("before");
      time.set(-3 * hour);
      await event("back");
      expect((await box.pending()).oldestOutboxAgeMs).toBe(0);
      time.set(6 * hour);
      await event("forward");
      down = false;
      await box.drain();
      expect(sent.toSorted()).toEqual(["back", "before", "forward"]);
    });
  });

test("a steady clock goes back with its clock, but never ahead of the time that passes", () => {
  const time = clock();
  const now = steady(time.now);
  const began = now();
  time.set(hour);
  expect(now() - began).toBeLessThan(1_000);
  time.set(-3 * hour);
  expect(now() - began).toBeLessThan(-hour);
});

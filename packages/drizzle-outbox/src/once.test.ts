import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { dialects, type Place, place, shop } from "../test/databases.ts";
import { Conflict, type Db, insert, type Outbox, outbox, update, upsert } from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`once on ${dialect}`, () => {
    const { orders, stock } = shop(dialect);
    let at: Place;
    let db: Db;
    let box: Outbox;
    let replica: Outbox;
    let made = 0;

    beforeAll(async () => {
      at = await place(dialect);
      db = await at.open();
      const send = async () => {};
      box = outbox(db, { send });
      replica = outbox(await at.open(), { send });
    });
    afterAll(() => at.remove());

    const count = (sku: string) => ({
      writes: [upsert(stock, { sku, onHand: 1 }, { on: ["sku"], set: { onHand: sql`${stock.onHand} + 1` } })],
    });
    const fresh = () => `e-${++made}`;

    test("the effect of an event delivered three times happens once, and runs once", async () => {
      const event = fresh();
      let runs = 0;
      const deliver = () =>
        box.once(event, "tests", async () => {
          runs++;
          return count(event);
        });
      expect([await deliver(), await deliver(), await deliver()]).toEqual([
        "applied",
        "duplicate",
        "duplicate",
      ]);
      expect(runs).toBe(1);
      expect((await db.find(stock, { sku: event }))?.onHand).toBe(1);
    });

    test("at the same time too", async () => {
      const event = fresh();
      let runs = 0;
      const results = await Promise.all(
        Array.from({ length: 5 }, () =>
          box.once(event, "tests", async () => {
            runs++;
            await Promise.resolve();
            return count(event);
          }),
        ),
      );
      expect(results.toSorted()).toEqual(["applied", "duplicate", "duplicate", "duplicate", "duplicate"]);
      expect(runs).toBe(1);
      expect((await db.find(stock, { sku: event }))?.onHand).toBe(1);
    });

    test("and on two replicas", async () => {
      const events = Array.from({ length: 20 }, fresh);
      const results = await Promise.all(
        events.flatMap((event) =>
          [box, replica].map((each) => each.once(event, "tests", () => count(event))),
        ),
      );
      expect(results.filter((result) => result === "applied").length).toBe(20);
      for (const event of events) expect((await db.find(stock, { sku: event }))?.onHand).toBe(1);
    });

    test("each consumer for itself", async () => {
      const event = fresh();
      expect(await box.once(event, "a", count(event))).toBe("applied");
      expect(await box.once(event, "b", count(event))).toBe("applied");
      expect((await db.find(stock, { sku: event }))?.onHand).toBe(2);
    });

    test("an effect that fails leaves no trace, and is tried by the next delivery", async () => {
      const event = fresh();
      let fails = true;
      const deliver = () =>
        box.once(event, "tests", () => {
          if (fails) throw new Error("not today");
          return count(event);
        });
      await expect(deliver()).rejects.toThrow("not today");
      fails = false;
      expect(await deliver()).toBe("applied");
    });

    test("of two at once, the second takes over when the first fails", async () => {
      const event = fresh();
      const first = box.once(event, "tests", () => Promise.reject(new Error("not today")));
      const second = box.once(event, "tests", count(event));
      await expect(first).rejects.toThrow("not today");
      expect(await second).toBe("applied");
    });

    test("a conflict is the caller's to decide again", async () => {
      const event = fresh();
      const row = { id: event, version: 1, status: "open" as const, total: 1 };
      await box.commit({ writes: [insert(orders, row)] });
      const save = (version: number) => () => ({
        writes: [update(orders, { version: version + 1 }, { id: event, version }, { rows: 1 })],
      });
      await expect(box.once(event, "tests", save(0))).rejects.toBeInstanceOf(Conflict);
      expect(await box.once(event, "tests", save(1))).toBe("applied");
    });

    test("nothing to do is remembered as well", async () => {
      const event = fresh();
      expect(await box.once(event, "tests", () => undefined)).toBe("applied");
      expect(await box.once(event, "tests", count(event))).toBe("duplicate");
    });
  });

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { dialects, place, until } from "../test/databases.ts";
import { outbox } from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`trimming on ${dialect}`, () => {
    test("forgets old handled events and dead letters, and keeps the others", async () => {
      const at = await place(dialect);
      const db = await at.open();
      let now = 1_000_000;
      const options = { send: async () => {}, clock: () => now, retain: { inbox: 1000, deadLetters: 2000 } };
      const box = outbox(db, options);
      const letter = { topic: "t", type: "x", reason: "", event: null };
      await Promise.all(Array.from({ length: 1200 }, (_, i) => box.once(`old-${i}`, "c", {})));
      const discard = async (id: string) => {
        await box.deadLetters.put({ ...letter, id });
        const kept = await box.deadLetters.get(id);
        if (kept) await box.commit(box.deadLetters.step(kept, { status: "discarded" }));
      };
      await box.deadLetters.put({ ...letter, id: "undecided" });
      await discard("old");
      now += 1500;
      await box.once("new", "c", {});
      await discard("new");
      now += 600;
      const relay = box.relay();
      const rows = async () =>
        (await db.query<{ event: string }>(sql`select event from outbox_inbox`)).map(({ event }) => event);
      await until(
        async () => (await box.deadLetters.get("old")) === undefined && (await rows()).length === 1,
      );
      expect(await rows()).toEqual(["new"]);
      expect(await box.once("new", "c", {})).toBe("duplicate");
      expect((await box.deadLetters.list()).map(({ id }) => id)).toEqual(["new", "undecided"]);
      await relay.stop();
      await at.remove();
    });
  });

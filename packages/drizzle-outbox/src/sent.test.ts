import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { dialects, place, until } from "../test/databases.ts";
import { outbox, type StoredEvent } from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`sent events on ${dialect}`, () => {
    async function setUp(sent: number) {
      const at = await place(dialect);
      const db = await at.open();
      const clock = { now: 1_000_000 };
      const refused = new Set<unknown>();
      const box = outbox(db, {
        send: async (events: StoredEvent[]) => ({
          failed: events.filter(({ data }) => refused.has(data)).map(({ id }) => ({ id, error: "no" })),
        }),
        clock: () => clock.now,
        onError: () => {},
        // The first trim waits as long as the inbox is kept, a minute at most.
        retain: { sent, inbox: 10 },
      });
      const kept = () => db.query<{ id: string }>(sql`select * from outbox_sent order by seq`);
      const unsent = async () => (await box.pending()).outbox;
      return { at, box, clock, refused, kept, unsent };
    }
    const event = (id: string, data: unknown = null) => ({
      topic: "t",
      type: "x",
      key: id,
      data,
      id,
      headers: { traceparent: "00-1-2-01" },
    });

    test("are kept as they were for as long as asked, and those that were not sent are not among them", async () => {
      const { at, box, clock, refused, kept, unsent } = await setUp(5_000);
      refused.add("later");
      const relay = box.relay();
      await box.commit({ events: [event("a", { n: 1 }), event("b", "later"), event("c")] });
      await until(async () => (await kept()).length === 2);
      expect(await unsent()).toBe(1);
      expect((await kept()).map(({ id }) => id)).toEqual(["a", "c"]);
      const [row] = await kept();
      expect(row).toMatchObject({ topic: "t", type: "x", key: "a", data: '{"n":1}' });
      expect(JSON.parse((row as unknown as { headers: string }).headers)).toEqual({
        traceparent: "00-1-2-01",
      });

      refused.clear();
      await until(async () => (await kept()).length === 3);
      expect(await unsent()).toBe(0);
      await relay.stop();

      // Trimming begins with the relay.
      clock.now += 6_000;
      const again = box.relay();
      await until(async () => (await kept()).length === 0);
      await again.stop();
      await at.remove();
    });

    test("are not kept where nobody asked", async () => {
      const { at, box, kept, unsent } = await setUp(0);
      const relay = box.relay();
      await box.commit({ events: [event("a")] });
      await box.drain();
      await relay.stop();
      expect(await unsent()).toBe(0);
      expect(await kept()).toEqual([]);
      await at.remove();
    });
  });

import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { dialects, place, shop, until } from "../test/databases.ts";
import { Conflict, insert, outbox, remove, type StoredEvent, update } from "./index.ts";

// Whatever is asked for, and whatever the broker refuses: the rows, the events and their order are those of a map.

const keys = ["a", "b", "c"];
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("save" as const),
      key: fc.constantFrom(...keys),
      stale: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("handle" as const),
      event: fc.integer({ min: 0, max: 4 }),
      key: fc.constantFrom(...keys),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), key: fc.constantFrom(...keys) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("schedule" as const), key: fc.constantFrom(...keys) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
);
/** Steps of one moment, which share a transaction on SQLite. */
const plan = fc.array(
  fc.uniqueArray(step, { maxLength: 4, selector: (each) => ("key" in each ? each.key : "restart") }),
  { maxLength: 8 },
);
const mood = fc.array(fc.constantFrom("take", "take", "refuse some", "fail"), { maxLength: 12 });

for (const dialect of dialects)
  test(`commits, inbox, jobs and relay do as a map would, on ${dialect}`, async () => {
    const at = await place(dialect);
    const { orders, stock, effects } = shop(dialect);
    await fc.assert(
      fc.asyncProperty(plan, mood, async (moments, moods) => {
        const db = await at.open();
        const clean = outbox(db, { send: async () => {} });
        await clean.drain();
        await clean.commit({
          writes: [remove(orders, sql`true`), remove(stock, sql`true`), remove(effects, sql`true`)],
        });
        await db.query(sql`delete from outbox_inbox`);

        const taken: StoredEvent[] = [];
        const broker = [...moods];
        const send = async (events: StoredEvent[]) => {
          const now = broker.shift() ?? "take";
          if (now === "fail") throw new Error("down");
          const failed = now === "refuse some" ? events.filter((_, i) => i % 2 === 0) : [];
          taken.push(...events.filter((event) => !failed.includes(event)));
          return { failed: failed.map(({ id }) => ({ id, error: "refused" })) };
        };
        const begin = () => {
          const box = outbox(db, { send, onError: () => {} }); // It says what the broker refuses.
          const work = box.work({
            note: async ({ key }) => ({
              writes: [insert(effects, { event: key, by: "job" })],
              events: [said(key, "job")],
            }),
          });
          return { box, work, relay: box.relay() };
        };
        const said = (key: string, data: string) => ({ topic: "t", type: "x", key, data });
        let now = begin();
        const versions = new Map<string, number>();
        const handled = new Set<number>();
        const events = new Map<string, string[]>(keys.map((key) => [key, []]));
        let jobs = 0;

        for (const moment of moments)
          await Promise.all(
            moment.map(async (each) => {
              const { box } = now;
              if (each.do === "save") {
                const version = versions.get(each.key) ?? 0;
                const seen = each.stale ? version + 1 : version;
                const data = `${each.key}-${seen + 1}`;
                const row = { id: each.key, version: seen + 1, status: "open" as const, total: 0 };
                const write =
                  seen === 0
                    ? insert(orders, row)
                    : update(orders, { version: seen + 1 }, { id: each.key, version: seen }, { rows: 1 });
                const result = await box
                  .commit({
                    writes: [insert(effects, { event: data, by: "save" }), write],
                    events: [said(each.key, data)],
                  })
                  .then(
                    () => "saved",
                    (error: unknown) => (error instanceof Conflict ? "conflict" : String(error)),
                  );
                expect(result).toBe(each.stale ? "conflict" : "saved");
                if (each.stale) return;
                versions.set(each.key, seen + 1);
                events.get(each.key)?.push(data);
              }
              if (each.do === "handle") {
                const data = `handled-${each.event}`;
                const result = await box.once(String(each.event), "model", () => ({
                  writes: [insert(effects, { event: data, by: "once" })],
                  events: [said(each.key, data)],
                }));
                // Two of one event in the same moment: one of them applies.
                if (result === "applied") {
                  expect(handled.has(each.event)).toBe(false);
                  handled.add(each.event);
                  events.get(each.key)?.push(data);
                } else
                  expect(
                    moment.some(
                      (other) => other.do === "handle" && other.event === each.event && other !== each,
                    ) || handled.has(each.event),
                  ).toBe(true);
              }
              if (each.do === "remove") {
                await box.commit({
                  writes: [remove(orders, { id: each.key }, { rows: versions.has(each.key) ? 1 : 0 })],
                });
                versions.delete(each.key);
              }
              if (each.do === "schedule") {
                await box.commit({ jobs: [{ kind: "note", key: each.key, at: Date.now() }] });
                await until(async () => (await box.pending()).jobs === 0);
                events.get(each.key)?.push("job");
                jobs++;
              }
              if (each.do === "restart") {
                await Promise.all([now.relay.stop(), now.work.stop()]);
                now = begin();
              }
            }),
          );

        await now.box.drain();
        const rows = await db.findAll(orders, sql`true`);
        expect(Object.fromEntries(rows.map(({ id, version }) => [id, version]))).toEqual(
          Object.fromEntries(versions),
        );
        for (const key of keys)
          expect(taken.filter((event) => event.key === key).map(({ data }) => data)).toEqual(
            events.get(key) ?? [],
          );
        const done = await db.findAll(effects, sql`true`);
        expect(done.filter(({ by }) => by === "job").length).toBe(jobs);
        expect(done.filter(({ by }) => by === "once").length).toBe(handled.size);
        await Promise.all([now.relay.stop(), now.work.stop()]);
        await db.close();
      }),
      { numRuns: dialect === "sqlite" ? 40 : 15 },
    );
    await at.remove();
  }, 120_000);

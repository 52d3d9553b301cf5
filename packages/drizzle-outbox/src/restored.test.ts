import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { dialects, place, until } from "../test/databases.ts";
import { type DueJob, outbox, restored, type StoredEvent } from "./index.ts";

setDefaultTimeout(30_000);

const day = 24 * 60 * 60 * 1000;
const event = (id: string, key = id) => ({ topic: "t", type: "x", key, data: { id }, id });

for (const dialect of dialects)
  describe(`a restored database on ${dialect}`, () => {
    test("sends again what it had sent, in order and before what it had not", async () => {
      const at = await place(dialect);
      const db = await at.open();
      const sent: StoredEvent[] = [];
      const open = (down = false) =>
        outbox(db, {
          async send(events) {
            if (down) throw new Error("the broker is down");
            sent.push(...events);
          },
          onError: () => {},
          retain: { sent: day },
        });
      const before = open();
      const relay = before.relay();
      const [first, second] = [event("a1", "a"), event("a2", "a")];
      await before.commit({ events: [{ ...first, headers: { traceparent: "00-1" } }] });
      await before.commit({ events: [second, event("b1", "b")] });
      await before.drain();
      await relay.stop();
      await before.commit({ events: [event("a3", "a")] });
      expect(sent.map(({ id }) => id).sort()).toEqual(["a1", "a2", "b1"]);
      sent.length = 0;

      expect(await restored(db, { takenAt: Date.now() - 1000 })).toEqual({ resent: 3 });
      const after = open();
      const again = after.relay();
      await after.drain();
      await again.stop();
      expect(sent.filter(({ key }) => key === "a").map(({ id }) => id)).toEqual(["a1", "a2", "a3"]);
      expect(sent.find(({ id }) => id === "a1")).toMatchObject({
        ...first,
        headers: { traceparent: "00-1" },
      });
      expect(sent).toHaveLength(4);
      // They are retained again, and new ones have numbers of their own.
      await after.commit({ events: [event("a4", "a")] });
      const relayed = after.relay();
      await after.drain();
      await relayed.stop();
      const kept = await db.query<{ id: string }>(sql`select id from outbox_sent order by seq`);
      expect(kept.map(({ id }) => id)).toEqual(["a1", "a2", "b1", "a3", "a4"]);
      await at.remove();
    });

    test("knows what it had handled, however old the backup is", async () => {
      const at = await place(dialect);
      const db = await at.open();
      const takenAt = 1_000 * day;
      const then = outbox(db, { send: async () => {}, clock: () => takenAt });
      await then.once("e-1", "consumer", {});
      await then.deadLetters.put({ id: "dead", topic: "t", type: "x", reason: "", event: null });

      const now = takenAt + 100 * day;
      await restored(db, { takenAt, now });
      let clock = now;
      const box = outbox(db, { send: async () => {}, clock: () => clock, retain: { inbox: 500 } });
      // Trimming begins with the relay; what is to be forgotten shows that it has been.
      await db.query(sql`insert into outbox_inbox (consumer, event, at) values ('consumer', 'old', 0)`);
      const relay = box.relay();
      const remembered = async (id: string) =>
        (await db.query(sql`select 1 as one from outbox_inbox where event = ${id}`)).length === 1;
      await until(async () => !(await remembered("old")));
      expect(await box.once("e-1", "consumer", {})).toBe("duplicate");
      expect(await box.deadLetters.get("dead")).toBeDefined();
      await relay.stop();

      clock += 1_000;
      const later = box.relay();
      await until(async () => !(await remembered("e-1")));
      await later.stop();
      await at.remove();
    });

    test("has its deadlines as far away as they were, and takes up at once what was under way", async () => {
      const at = await place(dialect);
      const db = await at.open();
      const takenAt = 1_000 * day;
      let clock = takenAt;
      const options = { send: async () => {}, clock: () => clock, onError: () => {} };
      const then = outbox(db, options);
      const neverDone = then.work({ call: () => new Promise(() => {}) });
      await then.commit({
        jobs: [
          { kind: "deadline", key: "o-1", at: takenAt + 5_000 },
          { kind: "call", key: "o-1", at: takenAt },
        ],
      });
      // The process ends here: whatever it had begun is never finished.
      void neverDone;
      const copy = await at.open();
      const rows = () =>
        copy.query<{ kind: string; token: string | null }>(sql`select * from outbox_jobs order by kind`);
      await until(async () => (await rows()).some(({ token }) => token !== null));

      clock = takenAt + 30 * day;
      await restored(copy, {
        takenAt,
        now: clock,
        jobs: [{ kind: "restored", key: "", at: clock, data: { takenAt } }],
      });
      expect((await rows()).map(({ kind, token }) => [kind, token])).toEqual([
        ["call", null],
        ["deadline", null],
        ["restored", null],
      ]);
      const due = await copy.query<{ kind: string; at: number; next: number; scheduled: number | null }>(
        sql`select kind, at, next, scheduled from outbox_jobs order by kind`,
      );
      // When it was scheduled is moved along: what remained to be waited is the same.
      expect(Number(due.find(({ kind }) => kind === "deadline")?.scheduled)).toBe(clock);
      expect(due.map((job) => [job.kind, Number(job.at) - clock, Number(job.next) - clock])).toEqual([
        ["call", 0, 0],
        ["deadline", 5_000, 5_000],
        ["restored", 0, 0],
      ]);
      if (dialect === "postgres") {
        const done: DueJob[] = [];
        const work = outbox(copy, options).work({ restored: (job) => void done.push(job) });
        await until(() => done.length === 1);
        expect(done[0]).toMatchObject({ data: { takenAt }, attempt: 1 });
        await work.stop();
      }
      await at.remove();
    });
  });

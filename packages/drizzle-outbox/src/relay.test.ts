import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import pg from "pg";
import { dialects, type Place, place, until } from "../test/databases.ts";
import {
  type Db,
  type NewEvent,
  type Outbox,
  type OutboxOptions,
  outbox,
  type Running,
  type StoredEvent,
} from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`relay on ${dialect}`, () => {
    let at: Place;
    let db: Db;
    const running: Running[] = [];

    beforeAll(async () => {
      at = await place(dialect);
      db = await at.open();
    });
    afterEach(async () => {
      await Promise.all(running.splice(0).map((each) => each.stop()));
      await outbox(db, { send: async () => {} }).drain();
    });
    afterAll(() => at.remove());

    const relay = (box: Outbox) => {
      const each = box.relay();
      running.push(each);
      return each;
    };
    const event = (key: string, data: unknown = null): NewEvent => ({ topic: "t", type: "x", key, data });
    const dataOf = (events: StoredEvent[], key: string) =>
      events.filter((each) => each.key === key).map(({ data }) => data);
    /** A broker that keeps what it takes. */
    const broker = (options: Partial<OutboxOptions> = {}) => {
      const taken: StoredEvent[] = [];
      const sizes: number[] = [];
      const box = outbox(db, {
        async send(events) {
          sizes.push(events.length);
          expect(new Set(events.map(({ key }) => key)).size).toBe(events.length);
          taken.push(...events);
        },
        ...options,
      });
      return { box, taken, sizes };
    };

    test("sends what is committed, as it was given", async () => {
      const { box, taken } = broker();
      relay(box);
      await box.drain();
      const headers = { traceparent: "00-1-2-01" };
      await box.commit({
        events: [
          { ...event("a", { n: 1 }), id: "id-1", time: "2026-01-02T03:04:05.678Z", headers },
          event("b"),
        ],
      });
      await until(() => taken.length === 2);
      expect(taken[0]).toMatchObject({
        id: "id-1",
        topic: "t",
        type: "x",
        key: "a",
        data: { n: 1 },
        time: "2026-01-02T03:04:05.678Z",
        headers,
      });
      // Version 7 and the variant of RFC 9562; its first 48 bits are the time in milliseconds.
      const made = taken[1]?.id ?? "";
      expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      const madeAt = Number.parseInt(made.slice(0, 8) + made.slice(9, 13), 16);
      expect(new Date(madeAt).toISOString()).toBe(taken[1]?.time ?? "");
      expect(Date.parse(taken[1]?.time ?? "")).toBeCloseTo(Date.now(), -4);
      expect(taken[1]?.headers).toEqual({});
    });

    test("is woken by a commit: ten in a row are sent while it would look for itself five times", async () => {
      const { box, taken } = broker();
      relay(box);
      await box.drain();
      const before = performance.now();
      for (let sent = 1; sent <= 10; sent++) {
        await box.commit({ events: [event("a")] });
        await until(() => taken.length === sent);
      }
      expect(performance.now() - before).toBeLessThan(5_000);
    });

    test("reads back what an earlier process left, in the same shape", async () => {
      const left = broker();
      await left.box.commit({
        events: [{ ...event("a", { text: "ü\u0000\"'", list: [1, null] }), headers: { a: "b" } }],
      });
      const { box, taken } = broker();
      await box.drain();
      expect(taken).toHaveLength(1);
      expect(taken[0]).toMatchObject({
        key: "a",
        data: { text: "ü\u0000\"'", list: [1, null] },
        headers: { a: "b" },
      });
    });

    test("sends in bulk, a batch at most", async () => {
      const { box, taken, sizes } = broker({ batch: 50 });
      await box.commit({ events: Array.from({ length: 120 }, (_, i) => event(`k${i}`)) });
      await box.drain();
      expect(taken.length).toBe(120);
      expect(sizes).toEqual([50, 50, 20]);
    });

    test("keeps the order of a key: one of it a call, since brokers take the events of a call in any order", async () => {
      const { box, taken, sizes } = broker();
      relay(box);
      for (let i = 0; i < 5; i++)
        await box.commit({ events: [event("a", i * 2), event("a", i * 2 + 1), event(`other${i}`)] });
      await box.drain();
      expect(dataOf(taken, "a")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(sizes.length).toBeGreaterThanOrEqual(10);
    });

    test("a long backlog goes out in pages, and new events behind it", async () => {
      const left = broker();
      for (let i = 0; i < 5; i++)
        await left.box.commit({
          events: Array.from({ length: 600 }, (_, n) => event(`k${n % 300}`, i * 2 + Math.floor(n / 300))),
        });
      const { box, taken, sizes } = broker();
      relay(box);
      await Promise.all(Array.from({ length: 20 }, (_, n) => box.commit({ events: [event(`k${n}`, 10)] })));
      await box.drain();
      expect(taken.length).toBe(3020);
      expect(Math.max(...sizes)).toBe(200);
      for (let n = 0; n < 300; n++)
        expect(dataOf(taken, `k${n}`)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...(n < 20 ? [10] : [])]);
    });

    test("a failed event holds back only the later ones of its key", async () => {
      let broken = true;
      const taken: StoredEvent[] = [];
      const told: unknown[] = [];
      const { box } = broker({
        async send(events) {
          const failed = events.filter(({ key }) => broken && key === "bad");
          taken.push(...events.filter((each) => !failed.includes(each)));
          return { failed: failed.map(({ id }) => ({ id, error: "refused" })) };
        },
        onError: (error, { event: about }) => told.push([error, about?.data]),
      });
      relay(box);
      await box.commit({ events: [event("bad", 1), event("bad", 2), event("good", 1), event("good", 2)] });
      await until(() => dataOf(taken, "good").length === 2);
      for (let i = 3; i < 10; i++) {
        await box.commit({ events: [event("good", i), event("bad", i)] });
        await until(() => dataOf(taken, "good").length === i);
      }
      expect(dataOf(taken, "bad")).toEqual([]);
      expect(told[0]).toEqual(["refused", 1]);
      broken = false;
      await box.drain();
      expect(dataOf(taken, "bad")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(dataOf(taken, "good")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    test("a broker that is down delays events, and refuses no commit", async () => {
      let down = true;
      let calls = 0;
      const taken: StoredEvent[] = [];
      const { box } = broker({
        async send(events) {
          calls++;
          if (down) throw new Error("down");
          taken.push(...events);
        },
        onError: (error) => expect(String(error)).toBe("Error: down"),
      });
      relay(box);
      for (let i = 0; i < 30; i++) await box.commit({ events: [event(`k${i % 3}`, i)] });
      await until(() => calls >= 3);
      expect((await box.pending()).outbox).toBe(30);
      down = false;
      await box.drain();
      expect(dataOf(taken, "k0")).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
      expect(taken.length).toBe(30);
      expect(calls).toBeLessThan(40);
    });

    test("a call that hangs is given up and made again", async () => {
      let calls = 0;
      const { box } = broker({
        async send() {
          if (++calls === 1) await new Promise(() => {});
        },
        sendTimeout: 30,
        onError: (error) => expect(String(error)).toContain("within 30 ms"),
      });
      await box.commit({ events: [event("a")] });
      await box.drain();
      expect(calls).toBe(2);
    });

    test("drain can be given up", async () => {
      const { box } = broker({
        send: () => Promise.reject(new Error("down")),
        onError: (error) => expect(String(error)).toBe("Error: down"),
      });
      await box.commit({ events: [event("a")] });
      await expect(box.drain({ signal: AbortSignal.timeout(100) })).rejects.toThrow();
      expect((await box.pending()).outbox).toBe(1);
    });

    test("several replicas send each event, in order, once as long as none dies", async () => {
      const taken: StoredEvent[] = [];
      const send = async (events: StoredEvent[]) => {
        taken.push(...events);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      };
      const boxes = await Promise.all([0, 1, 2].map(async () => outbox(await at.open(), { send })));
      boxes.forEach(relay);
      const keys = Array.from({ length: 10 }, (_, i) => `replicas-${i}`);
      await Promise.all(
        keys.map(async (key) => {
          for (let i = 0; i < 20; i++)
            await boxes[Math.floor(Math.random() * 3)]?.commit({ events: [event(key, i)] });
        }),
      );
      await Promise.all(boxes.map((box) => box.drain()));
      for (const key of keys) expect(dataOf(taken, key)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    });

    test("what another process writes is found as well", async () => {
      const { box, taken } = broker();
      relay(box);
      await box.commit({ events: [event("own")] });
      await until(() => taken.length === 1);
      const other = outbox(await at.open(), { send: async () => {} });
      await other.commit({ events: [event("other", 1)] });
      await box.commit({ events: [event("other", 2)] });
      await until(() => dataOf(taken, "other").length === 2);
      expect(dataOf(taken, "other")).toEqual([1, 2]);
      await other.commit({ events: [event("other", 3)] });
      await until(() => dataOf(taken, "other").length === 3);
    });

    test("stop waits for the call under way, and what is left is sent after a start", async () => {
      const gate = Promise.withResolvers<void>();
      const taken: StoredEvent[] = [];
      let calls = 0;
      const { box } = broker({
        async send(events) {
          calls++;
          await gate.promise;
          taken.push(...events);
        },
      });
      const each = box.relay();
      await box.commit({ events: [event("a", 1), event("a", 2)] });
      await until(() => calls === 1);
      const stopping = each.stop();
      gate.resolve();
      await stopping;
      expect(dataOf(taken, "a")).toEqual([1]);
      expect((await box.pending()).outbox).toBe(1);
    });
  });

describe("PostgreSQL alone", () => {
  test("an event that commits late, with a lower number than one already sent, is not passed over", async () => {
    const at = await place("postgres");
    const db = await at.open();
    const taken: StoredEvent[] = [];
    const box = outbox(db, {
      async send(events) {
        taken.push(...events);
      },
    });
    const slow = new pg.Client(at.address);
    await slow.connect();
    const each = box.relay();
    await slow.query("begin");
    await slow.query(
      "insert into outbox_events (id, topic, type, key, data, time, at, slot) values ('late', 't', 'x', 'a', '1', '', 0, 0)",
    );
    await box.commit({ events: [{ topic: "t", type: "x", key: "a", id: "early", data: 2 }] });
    await until(() => taken.length === 1);
    await slow.query("commit");
    await box.drain();
    expect(taken.map(({ id }) => id)).toEqual(["early", "late"]);
    expect((taken[0]?.seq ?? 0) > (taken[1]?.seq ?? 0)).toBe(true);
    await each.stop();
    await slow.end();
    await at.remove();
  });

  test("connections that break delay events and jobs, and lose none", async () => {
    const at = await place("postgres");
    const taken: StoredEvent[] = [];
    const done = new Set<string>();
    const box = outbox(await at.open(), {
      async send(events) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        taken.push(...events);
      },
      onError: () => {}, // It says which connections broke.
    });
    const admin = new pg.Client(at.address);
    await admin.connect();
    const each = box.relay();
    const work = box.work({ note: ({ key }) => void done.add(key) }, { lease: 300 });
    const committed: string[] = [];
    for (let i = 0; i < 60; i++) {
      if (i % 10 === 5)
        await admin.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        );
      const id = `n-${String(i).padStart(2, "0")}`;
      const change = {
        events: [{ topic: "t", type: "x", key: `k-${i % 3}`, id, data: i }],
        jobs: [{ kind: "note", key: id, at: Date.now() }],
      };
      // One that was refused, or of which nobody knows, is not made again here.
      if (
        await box.commit(change).then(
          () => true,
          () => false,
        )
      )
        committed.push(id);
    }
    expect(committed.length).toBeGreaterThan(40);
    await until(async () => (await box.pending()).jobs === 0, 20_000);
    await box.drain();
    const sent = new Set(taken.map(({ id }) => id));
    expect(committed.filter((id) => !sent.has(id) || !done.has(id))).toEqual([]);
    for (const key of ["k-0", "k-1", "k-2"]) {
      const first = [...new Set(taken.filter((event) => event.key === key).map(({ id }) => id))];
      expect(first).toEqual(first.toSorted());
    }
    await Promise.all([each.stop(), work.stop()]);
    await admin.end();
    await at.remove();
  });
});

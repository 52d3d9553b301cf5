import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Db, migrate, openPostgres, openSqlite, outbox } from "drizzle-outbox";
import { server } from "../../drizzle-outbox/test/postgres.ts";
import { counter } from "../test/counter/service.ts";
import { type Store, tables } from "../test/counter/store.ts";
import { idempotencyStore } from "./idempotency.ts";
import type { Problem } from "./problem.ts";
import { createSealed, sealedWith } from "./sealed.ts";
import { type RequestOptions, type TestService, testService } from "./testing/index.ts";

setDefaultTimeout(60_000);

const folder = join(import.meta.dir, "../test/counter");

/** One service on SQLite, or two replicas of it on one PostgreSQL. */
for (const place of ["one process on SQLite", "two replicas on PostgreSQL"]) {
  describe(`Idempotency-Key, ${place}`, () => {
    const broken = new Set<string>();
    let replicas: TestService<Store>[];
    let databases: Db[];

    beforeEach(async () => {
      databases = [];
      if (place.includes("SQLite")) {
        replicas = [await testService(counter(broken), { folder })];
        return;
      }
      const url = await (await server()).database();
      databases = [await openPostgres(url), await openPostgres(url)];
      replicas = [];
      for (const db of databases) replicas.push(await testService(counter(broken), { folder, db }));
    });
    afterEach(async () => {
      broken.clear();
      await Promise.all(replicas.map((replica) => replica.stop()));
      await Promise.all(databases.map((db) => db.close()));
    });

    let turn = 0;
    const on = () => replicas[turn++ % replicas.length] as TestService<Store>;
    const post = async (path: string, key: string | undefined, options: RequestOptions = {}) => {
      const { headers, ...more } = options;
      const all = { ...(key === undefined ? {} : { "idempotency-key": key }), ...headers };
      const response = await on().request(path, { method: "POST", body: {}, headers: all, ...more });
      const body = (await response.json()) as { id?: string; code?: string };
      return { status: response.status, body, again: response.headers.get("idempotent-replayed") };
    };
    const ann = { caller: "ann", scopes: [] };
    const bob = { caller: "bob", scopes: [] };
    const heard = async () => (await on().store.all()).sort();

    test("the same key and body: the same answer, once; a new key is a new request", async () => {
      const first = await post("/heard", "k", ann);
      expect(first).toMatchObject({ status: 201, again: null });
      expect(await post("/heard", "k", ann)).toEqual({ ...first, again: "true" });
      expect((await post("/heard", "k-2", ann)).body).not.toEqual(first.body);
      expect((await post("/heard", undefined, ann)).body).not.toEqual(first.body);
      expect(await heard()).toHaveLength(3);
    });

    test("the same key and another body is refused", async () => {
      await post("/heard", "k", ann);
      const other = await post("/heard", "k", { ...ann, body: { text: "other" } });
      expect(other).toMatchObject({ status: 409, body: { code: "idempotency-key-reused" } });
      expect(await heard()).toEqual(["by http"]);
    });

    test("each caller and each path has keys of its own", async () => {
      const answers = [
        await post("/heard", "k", ann),
        await post("/heard", "k", bob),
        await post("/named/x", "k", ann),
      ];
      expect(answers.map(({ status, again }) => [status, again])).toEqual(Array(3).fill([201, null]));
      expect(await heard()).toHaveLength(3);
    });

    test("of twenty at once one has its effect, and all get its answer", async () => {
      for (const path of ["/heard", "/whispered"]) {
        const answers = await Promise.all(Array.from({ length: 20 }, () => post(path, "k", ann)));
        expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
      }
      expect(await heard()).toEqual(["a whisper", "by http"]);
    });

    test("what the first made is no reason to refuse the others", async () => {
      for (let round = 0; round < 10; round++) {
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => post(`/named/n-${round}`, "k", ann)),
        );
        expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
      }
      expect(await post("/named/n-0", "other", ann)).toMatchObject({ status: 409, body: { code: "taken" } });
      expect(await heard()).toHaveLength(10);
    });

    test("of many at once with two bodies, one has its effect; the others get its answer or are refused", async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          post("/heard", "k", { ...ann, body: { text: i % 2 ? "odd" : "even" } }),
        ),
      );
      expect(await heard()).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
      for (const { status, body } of answers)
        if (status !== 201) expect(body.code).toBe("idempotency-key-reused");
    });

    test("what was refused is not kept: it may be tried again with the same key", async () => {
      broken.add("later");
      const later = { ...ann, body: { text: "later" } };
      expect((await post("/heard", "k", later)).status).toBe(422);
      expect((await post("/heard", "k", { ...ann, body: { text: 7 } })).status).toBe(400);
      broken.clear();
      expect((await post("/heard", "k", later)).status).toBe(201);
      expect((await post("/heard", "k", later)).again).toBe("true");
      expect(await heard()).toEqual(["later"]);
    });

    test("guests do not share keys: neither effects nor answers", async () => {
      const visitor = (name: string, text = "by http"): RequestOptions => ({
        headers: { visitor: name },
        body: { text },
      });
      const first = await post("/heard", "1", visitor("a"));
      expect((await post("/heard", "1", visitor("a"))).body).toEqual(first.body);
      expect((await post("/heard", "1", visitor("a", "other"))).body.code).toBe("idempotency-key-reused");
      // Whoever guesses the key of another guest gets nothing of theirs, not even with the same body.
      const second = await post("/heard", "1", visitor("b"));
      expect([second.status, second.again]).toEqual([201, null]);
      expect(second.body).not.toEqual(first.body);
      // A caller who happens to be called like the guests is none.
      expect((await post("/heard", "1", { caller: "guest", scopes: [], ...visitor("a") })).again).toBeNull();
      expect(await heard()).toHaveLength(3);
    });

    test("where nothing tells guests apart, only the whole request does", async () => {
      const first = await post("/whispered", "1", { body: { a: 1 } });
      expect((await post("/whispered", "1", { body: { a: 1 } })).body).toEqual(first.body);
      expect((await post("/whispered", "1", { body: { a: 2 } })).again).toBeNull();
      expect(await heard()).toHaveLength(2);
    });

    test("a key has 1 to 255 characters", async () => {
      for (const key of ["", "k".repeat(256)])
        expect(await post("/heard", key, ann)).toMatchObject({
          status: 400,
          body: { code: "invalid-idempotency-key" },
        });
      expect((await post("/heard", "k".repeat(255), ann)).status).toBe(201);
    });
  });
}

describe("what is kept", () => {
  let dir: string;
  let db: Db;
  let now = 0;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "idempotency-"));
    db = await openSqlite(join(dir, "kept.db"));
    await migrate(db, join(folder, "migrations"));
  });
  afterEach(async () => {
    await db.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const open = (waitAtMost?: number) => {
    const table = tables.for("sqlite").idempotency as unknown as Parameters<typeof idempotencyStore>[0];
    return idempotencyStore(table, (id) => db.find(table, { id }), { now: () => now, waitAtMost });
  };
  const answer = { status: 201, headers: { a: "b" }, body: "{}" };

  test("an answer is sealed where the service seals, and one from before is read as it is", async () => {
    const keys = JSON.stringify({ current: "k1", keys: { k1: Buffer.alloc(32, 7).toString("base64url") } });
    const sealed = createSealed({ name: "test", load: async () => keys, log: { error() {}, info() {} } });
    await sealed.ready();
    const table = tables.for("sqlite").idempotency as unknown as Parameters<typeof idempotencyStore>[0];
    const kept = idempotencyStore(table, (id) => db.find(table, { id }), { now: () => now, sealed });
    const box = outbox(db, { send: async () => {} });
    await box.commit({ writes: [open().keep("before", "r", answer), kept.keep("after", "r", answer)] });
    expect(await kept.find("before", "r")).toEqual(answer);
    expect(await kept.find("after", "r")).toEqual(answer);
    expect(sealedWith((await db.find(table, { id: "after" }))?.body ?? "")).toBe("k1");
  });

  test("is forgotten after 24 hours", async () => {
    const kept = open();
    const box = outbox(db, { send: async () => {} });
    await box.commit({ writes: [kept.keep("id", "request", answer)] });
    now += 24 * 60 * 60_000;
    await box.commit({ writes: [kept.forget()] });
    expect(await kept.find("id", "request")).toEqual(answer);
    now += 1;
    await box.commit({ writes: [kept.forget()] });
    expect(await kept.find("id", "request")).toBeUndefined();
  });

  test("while the first request takes too long, the second is told so", async () => {
    const { alone } = open(20);
    const first = Promise.withResolvers<void>();
    const running = alone("id", () => first.promise);
    const refused = (await alone("id", async () => {}).catch((error: unknown) => error)) as Problem;
    expect([refused.status, refused.code, refused.headers]).toEqual([
      409,
      "in-progress",
      { "retry-after": "1" },
    ]);
    first.resolve();
    await running;
    expect(await alone("id", async () => "mine")).toBe("mine");
  });
});

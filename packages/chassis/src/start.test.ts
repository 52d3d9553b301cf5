import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { insert, migrate, openSqlite } from "drizzle-outbox";
import { event } from "hono-dapr";
import * as v from "valibot";
import { emit } from "./emit.ts";
import { idempotent } from "./idempotency.ts";
import { type Received, react } from "./reactions.ts";
import { defineStore, router, type StoreOf, service } from "./service.ts";
import { testService } from "./testing/index.ts";
import { transact } from "./transact.ts";

// The smallest service there can be: it counts what comes in, and says so.
const Asked = event("questions", "question.asked", v.object({ text: v.string() }));
const Heard = event("counter", "counter.heard", v.object({ text: v.string() }));
const store = defineStore(
  (t) => ({ heard: t.table("heard", { id: t.text("id").primaryKey(), text: t.text("text").notNull() }) }),
  (db, t) => ({
    heard: (id: string, text: string) => ({
      writes: [insert(t.heard, { id, text })],
      events: [emit(Heard, id, { text })],
    }),
    all: async () => (await db.select().from(t.heard)).map((row) => row.text),
  }),
);
type Store = StoreOf<typeof store>;

const broken = new Set<string>();
const counter = service<Store>({
  name: "counter",
  store,
  routes: router<Store>().post("/heard", idempotent(), (c) =>
    transact(c, async () => {
      const id = c.var.kit.id();
      return { change: c.var.kit.store.heard(id, "by http"), status: 201, body: { id } };
    }),
  ),
  reactions: [
    react(Asked, ({ text }, got: Received<Store>) => {
      if (broken.has(text)) throw new Error("not today");
      return got.store.heard(got.id(), text);
    }),
  ],
});

const folders: string[] = [];
afterEach(() => {
  broken.clear();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function start() {
  const folder = mkdtempSync(join(tmpdir(), "chassis-"));
  folders.push(folder);
  const db = await openSqlite(join(folder, "counter.db"));
  await Bun.write(join(folder, "migrations/sqlite/0000_init.sql"), ddl);
  await migrate(db, join(folder, "migrations"));
  return testService(counter, { folder, db });
}

const ddl = [
  "CREATE TABLE heard (id text PRIMARY KEY NOT NULL, text text NOT NULL);",
  "CREATE TABLE outbox_events (seq integer PRIMARY KEY AUTOINCREMENT NOT NULL, id text NOT NULL, topic text NOT NULL, type text NOT NULL, key text NOT NULL, data text NOT NULL, time text NOT NULL, headers text, at integer NOT NULL);",
  "CREATE TABLE outbox_inbox (consumer text NOT NULL, event text NOT NULL, at integer NOT NULL, PRIMARY KEY (consumer, event));",
  "CREATE TABLE outbox_jobs (kind text NOT NULL, key text NOT NULL, at integer NOT NULL, data text, attempt integer NOT NULL, next integer NOT NULL, token text, PRIMARY KEY (kind, key));",
  "CREATE TABLE outbox_dead_letters (id text PRIMARY KEY NOT NULL, topic text NOT NULL, type text NOT NULL, reason text NOT NULL, event text NOT NULL, at integer NOT NULL);",
  "CREATE TABLE idempotency (id text PRIMARY KEY NOT NULL, request text NOT NULL, status integer NOT NULL, headers text NOT NULL, body text, at integer NOT NULL);",
].join("\n--> statement-breakpoint\n");

test("an event has its effect once, and what follows from it is published", async () => {
  const app = await start();
  for (let time = 0; time < 3; time++)
    expect(await app.deliver(Asked, { text: "why" }, { id: "e-1" })).toBe("SUCCESS");
  expect(await app.store.all()).toEqual(["why"]);
  expect((await app.published()).map(({ type }) => type)).toEqual(["counter.heard"]);
  await app.stop();
});

test("a handler that throws leaves nothing behind, and in a batch it waits in a topic of its own", async () => {
  const app = await start();
  broken.add("why");
  expect(await app.deliver(Asked, { text: "why" }, { id: "e-1" })).toBe("RETRY");
  await app.deliverAll(Asked, [{ text: "why" }, { text: "when" }]);
  expect(await app.store.all()).toEqual(["when"]);
  const waiting = (await app.published()).find(({ type }) => type === "question.asked");
  expect(waiting).toMatchObject({ data: { text: "why" } });
  broken.clear();
  expect(await app.deliver(Asked, { text: "why" }, { id: "e-1" })).toBe("SUCCESS");
  expect((await app.store.all()).sort()).toEqual(["when", "why"]);
  await app.stop();
});

test("two requests with one Idempotency-Key are one, and a new key is a new one", async () => {
  const app = await start();
  const post = (key: string) =>
    app.request("/heard", { method: "POST", body: {}, headers: { "idempotency-key": key } });
  const [a, b] = await Promise.all([post("k-1"), post("k-1")]);
  expect(await a.json()).toEqual(await b.json());
  expect((await post("k-2")).status).toBe(201);
  expect(await app.store.all()).toHaveLength(2);
  await app.stop();
});

test("an unknown path is a problem, and an error says nothing of the inside", async () => {
  const app = await start();
  const missing = await app.request("/nothing");
  expect([missing.status, missing.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
  await app.stop();
});

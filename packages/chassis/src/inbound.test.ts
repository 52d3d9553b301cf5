import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openPostgres } from "drizzle-outbox";
import { event } from "hono-dapr";
import * as v from "valibot";
import { server } from "../../drizzle-outbox/test/postgres.ts";
import { counter } from "../test/counter/service.ts";
import { Asked, type Store } from "../test/counter/store.ts";
import { until } from "../test/until.ts";
import { react } from "./reactions.ts";
import { router, service } from "./service.ts";
import { type TestService, testService } from "./testing/index.ts";

setDefaultTimeout(30_000);

const broken = new Set<string>();
const folder = join(import.meta.dir, "../test/counter");
let app: TestService<Store>;
beforeEach(async () => {
  app = await testService(counter(broken), { folder, env: { EVENT_RETRIES: "3" } });
});
afterEach(async () => {
  broken.clear();
  await app.stop();
});

interface Letter {
  id: string;
  status: string;
  reason: string;
  replays: number;
  event: { data: unknown };
  history: { status: string; by?: string; note?: string }[];
}
const ops = { scopes: ["ops"], caller: "ann" };
const letters = async (query = "") =>
  ((await (await app.request(`/dead-letters${query}`, ops)).json()) as { items: Letter[] }).items;
const letter = async (id: string) =>
  (await (await app.request(`/dead-letters/${encodeURIComponent(id)}`, ops)).json()) as Letter;
const isDead = (id: string) => until(`${id} is dead`, async () => (await letter(id)).status === "dead");

test("an event whose handler throws is acknowledged, and tried again by the service itself", async () => {
  broken.add("why");
  expect(await app.deliver(Asked, { text: "why" }, { id: "e-1" })).toBe("SUCCESS");
  expect(await app.deliverAll(Asked, [{ text: "why" }, { text: "when" }])).toEqual(["SUCCESS", "SUCCESS"]);
  expect(await app.store.all()).toEqual(["when"]);
  broken.clear();
  await until("it is handled", async () => (await app.store.all()).length === 3);
  expect(await letters()).toEqual([]);
});

test("an event that fails at every try is a dead letter, with what its handler threw", async () => {
  broken.add("why");
  await app.deliver(Asked, { text: "why" }, { id: "e-1" });
  await isDead("e-1");
  expect(await letter("e-1")).toMatchObject({
    service: "counter",
    topic: "questions",
    type: "question.asked",
    reason: "not today",
    replays: 0,
    event: { id: "e-1", data: { text: "why" } },
    history: [{ status: "dead", reason: "not today" }],
  });
});

test("a malformed event, and what is no event at all, is a dead letter at once", async () => {
  const Malformed = event("questions", "question.asked", v.object({ text: v.number() }));
  expect(await app.deliver(Malformed, { text: 1 }, { id: "e-1" })).toBe("SUCCESS");
  expect((await letter("e-1")).reason).toStartWith("The data does not fit: text");
  // As daprd forwards to the dead letters what it cannot deliver.
  const raw = { specversion: "1.0", id: "x", source: "s", type: "t", data_base64: btoa("no json") };
  const sent = { method: "POST", body: raw };
  expect(await (await app.request("/_events/counter-dead", sent)).json()).toEqual({ status: "SUCCESS" });
  expect(await letter("x")).toMatchObject({ event: { data: "no json" }, status: "dead" });
});

test("a batch larger than any request of a client may be is taken: it would only come again", async () => {
  const body = JSON.stringify({ specversion: "1.0", padding: "x".repeat(2 * 1024 * 1024) });
  const headers = { "content-type": "application/json", "content-length": String(body.length) };
  const sent = (path: string) => app.request(path, { method: "POST", body, headers });
  expect((await sent("/_events/questions")).status).toBe(200);
  expect((await sent("/elsewhere")).status).toBe(413);
});

test("three hundred poison events hold up none of those that come after them", async () => {
  broken.add("poison");
  const poison = Array.from({ length: 300 }, () => ({ text: "poison" }));
  for (let from = 0; from < 300; from += 100) await app.deliverAll(Asked, poison.slice(from, from + 100));
  // Acknowledged means through: the sidecar is free, and nobody waits for a retry.
  const good = Array.from({ length: 100 }, (_, i) => ({ text: `good ${i}` }));
  await app.deliverAll(Asked, good);
  expect((await app.store.all()).length).toBe(100);
  await until("all are dead", async () => (await letters("?limit=100")).length === 100, 20_000);
  expect(await (await app.request("/metrics")).text()).toContain(
    'souk_reactions_total{type="question.asked",result="dead"',
  );
});

describe("what a database does not take", () => {
  test.each(["sqlite", "postgres"])("is a dead letter all the same (%s)", async (dialect) => {
    const db = dialect === "postgres" ? await openPostgres(await (await server()).database()) : undefined;
    const other = await testService(counter(), {
      folder,
      ...(db ? { db } : {}),
      env: { EVENT_RETRIES: "1" },
    });
    const ids = ["nul \0 inside", "long ".repeat(5_000), "lone \ud800"];
    for (const id of ids) expect(await other.deliver(Asked, { text: "fine" }, { id })).toBe("SUCCESS");
    const Malformed = event("questions", "question.asked", v.object({ text: v.array(v.string()) }));
    expect(await other.deliver(Malformed, { text: ["\0"] }, { id: "malformed" })).toBe("SUCCESS");
    expect(await other.deliver(Asked, { text: "a \0 of its own" }, { id: "data" })).toBe("SUCCESS");
    const kept = async () => {
      const { items } = (await (await other.request("/dead-letters", ops)).json()) as { items: Letter[] };
      return items.map(({ id }) => id.slice(0, 14)).sort();
    };
    // SQLite takes any text.
    const there = dialect === "sqlite" ? ["malformed"] : ["data", "malformed", "nul \ufffd inside"];
    await until("they are dead", async () => (await kept()).length >= there.length);
    expect(await kept()).toEqual(there);
    const place = (at: unknown) => Buffer.from(JSON.stringify({ at, id: "a" })).toString("base64url");
    for (const at of [1.5, 1e300, "1"])
      expect((await other.request(`/dead-letters?cursor=${place(at)}`, ops)).status).toBe(400);
    await other.stop();
    await db?.close();
  });
});

test("a service without a store has no retries: it says what it gave up, and counts it", async () => {
  const edge = service<undefined>({
    name: "edge",
    routes: router<undefined>(),
    reactions: [
      react(Asked, () => {
        throw new Error("not today");
      }),
    ],
  });
  const other = await testService(edge, { folder });
  expect(await other.deliver(Asked, { text: "why" })).toBe("SUCCESS");
  const metrics = await (await other.request("/metrics")).text();
  expect(metrics).toContain('souk_reactions_total{type="question.asked",result="given-up",service="edge"} 1');
  expect((await other.request("/dead-letters", ops)).status).toBe(404);
  await other.stop();
});

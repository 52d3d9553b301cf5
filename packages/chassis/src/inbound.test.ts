import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openPostgres } from "drizzle-outbox";
import { event } from "hono-dapr";
import * as v from "valibot";
import { server } from "../../drizzle-outbox/test/postgres.ts";
import { counter } from "../test/counter/service.ts";
import { Asked, type Store, store } from "../test/counter/store.ts";
import { until } from "../test/until.ts";
import { drop, type Received, react, TooEarly } from "./reactions.ts";
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

describe("an event that", () => {
  /** Hears a second word only after the first, and no third one. */
  const inTurn = service<Store>({
    name: "counter",
    store,
    routes: router<Store>(),
    reactions: [
      react(Asked, async ({ text }, { store }: Received<Store>) => {
        if (text === "third") return drop("two words are enough");
        if (text === "second" && !(await store.has("first"))) throw new TooEarly("no first word yet");
        return store.heard(text, text);
      }),
    ],
  });
  const results = async () => {
    const metrics = await (await app.request("/metrics")).text();
    const counts = metrics.matchAll(/^souk_reactions_total\{.*result="([\w-]+)".*\} (\d+)$/gm);
    return Object.fromEntries([...counts].map(([, result, count]) => [result, Number(count)]));
  };
  beforeEach(async () => {
    await app.stop();
    app = await testService(inTurn, { folder, env: { EVENT_RETRIES: "3" } });
  });

  test("comes before what it follows from waits for it, and is counted as early, not as failed", async () => {
    expect(await app.deliver(Asked, { text: "second" })).toBe("SUCCESS");
    expect(await results()).toEqual({ early: 1 });
    await app.deliver(Asked, { text: "first" });
    await until("both are heard", async () => (await app.store.all()).length === 2);
    expect(await results()).toEqual({ early: 1, applied: 2 });
    expect(await letters()).toEqual([]);
  });

  test("stays too early is a dead letter in the end, with what it waited for", async () => {
    await app.deliver(Asked, { text: "second" }, { id: "e-1" });
    await isDead("e-1");
    expect((await letter("e-1")).reason).toBe("no first word yet");
    expect(await results()).toEqual({ early: 4, dead: 1 });
  });

  test("its handler drops is a dead letter at once, and is dropped again when it is replayed", async () => {
    expect(await app.deliver(Asked, { text: "third" }, { id: "e-1" })).toBe("SUCCESS");
    expect(await letter("e-1")).toMatchObject({ status: "dead", reason: "two words are enough" });
    expect(await results()).toEqual({ dead: 1 });
    await app.request("/dead-letters/e-1/replay", { ...ops, method: "POST" });
    await until("it is dead again", async () => (await letter("e-1")).history.length === 3);
    expect(await letter("e-1")).toMatchObject({ status: "dead", reason: "two words are enough" });
  });
});

test("an event with a trace that is no text has its effect, and what follows from it is sent", async () => {
  const event = { ...Asked.of({ text: "why" }, { source: "test" }), topic: "questions", traceparent: [1] };
  broken.add("why");
  await app.request("/_events/questions", { method: "POST", body: event });
  broken.clear();
  await until("the retry is through", async () => (await app.store.all()).length === 1);
  await app.request("/_events/questions", { method: "POST", body: { ...event, id: "e-2" } });
  expect((await app.published()).map(({ type }) => type)).toEqual(["counter.heard", "counter.heard"]);
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

test("types that nothing here handles are counted as one", async () => {
  for (const type of ["made.up", "made.up-too"])
    await app.request("/_events/counter-dead", {
      method: "POST",
      body: { specversion: "1.0", id: type, source: "elsewhere", type, topic: "questions", data: {} },
    });
  const metrics = await (await app.request("/metrics")).text();
  expect(metrics).toContain('souk_reactions_total{type="other",result="dead",service="counter"} 2');
  expect(metrics).not.toContain("made.up");
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

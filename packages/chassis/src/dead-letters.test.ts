import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { counter } from "../test/counter/service.ts";
import { Asked, type Store } from "../test/counter/store.ts";
import { until } from "../test/until.ts";
import { type RequestOptions, type TestService, testService } from "./testing/index.ts";

setDefaultTimeout(30_000);

const broken = new Set<string>();
let app: TestService<Store>;
beforeEach(async () => {
  const folder = join(import.meta.dir, "../test/counter");
  app = await testService(counter(broken), { folder, env: { EVENT_RETRIES: "1" } });
});
afterEach(async () => {
  broken.clear();
  await app.stop();
});

const ops = { scopes: ["ops"], caller: "ann" };
const call = async (path: string, options: RequestOptions = {}) => {
  const response = await app.request(path, { ...ops, ...options });
  // biome-ignore lint/suspicious/noExplicitAny: answers of several shapes.
  return { status: response.status, body: (await response.json()) as any };
};
const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
  call(path, { method: "POST", body, headers });
const show = async (id: string) => (await call(`/dead-letters/${id}`)).body;
const becomes = (id: string, status: string) =>
  until(`${id} is ${status}`, async () => (await show(id)).status === status);

/** Makes dead letters of these events. */
async function die(...ids: string[]): Promise<void> {
  for (const id of ids) {
    broken.add(id);
    await app.deliver(Asked, { text: id }, { id });
    await becomes(id, "dead");
  }
}

describe("dead letters", () => {
  test("are for operators only", async () => {
    await die("a");
    const paths = [
      ["GET", "/dead-letters"],
      ["GET", "/dead-letters/a"],
      ["POST", "/dead-letters/a/replay"],
      ["POST", "/dead-letters/a/discard"],
      ["POST", "/dead-letters/replay"],
    ] as const;
    for (const [method, path] of paths) {
      expect((await app.request(path, { method })).status).toBe(401);
      expect((await app.request(path, { method, scopes: ["orders:manage"] })).status).toBe(403);
    }
    expect((await show("a")).status).toBe("dead");
  });

  test("are listed page by page, the latest first, filtered and counted", async () => {
    await die("a", "b", "c");
    expect(await (await app.request("/metrics")).text()).toContain('souk_dead_letters{service="counter"} 3');
    const first = (await call("/dead-letters?limit=2")).body;
    expect(first.items.map(({ id }: { id: string }) => id)).toEqual(["c", "b"]);
    expect(first.items[0]).toMatchObject({
      service: "counter",
      topic: "questions",
      reason: "not today",
      status: "dead",
    });
    expect(first.items[0].event).toBeUndefined();
    const second = (await call(`/dead-letters?limit=2&cursor=${first.nextCursor}`)).body;
    expect(second).toMatchObject({ items: [{ id: "a" }], nextCursor: null });
    expect((await call("/dead-letters?type=other")).body.items).toEqual([]);
    expect((await call("/dead-letters?cursor=nonsense")).status).toBe(400);
    expect((await call("/dead-letters?status=gone")).status).toBe(400);
    expect((await call("/dead-letters/nothing")).status).toBe(404);
  });

  test("replayed once mended are resolved, with one effect however often", async () => {
    await die("a");
    broken.clear();
    expect(await post("/dead-letters/a/replay")).toMatchObject({
      status: 202,
      body: { status: "replaying", replays: 1 },
    });
    await becomes("a", "resolved");
    expect(await app.store.all()).toEqual(["a"]);
    await post("/dead-letters/a/replay");
    await becomes("a", "resolved");
    expect(await app.store.all()).toEqual(["a"]);
    expect((await call("/dead-letters")).body.items).toEqual([]);
    expect((await call("/dead-letters?status=resolved")).body.items).toMatchObject([{ id: "a", replays: 2 }]);
    expect(
      (await show("a")).history.map(({ status, by }: { status: string; by?: string }) => [status, by]),
    ).toEqual([
      ["dead", undefined],
      ["replaying", "ann"],
      ["resolved", undefined],
      ["replaying", "ann"],
      ["resolved", undefined],
    ]);
  });

  test("replayed while still broken are dead again, with the new reason and the count", async () => {
    await die("a");
    await Promise.all([post("/dead-letters/a/replay"), post("/dead-letters/a/replay")]);
    await becomes("a", "dead");
    expect(await show("a")).toMatchObject({ status: "dead", reason: "not today", replays: 1 });
    expect(await app.store.all()).toEqual([]);
  });

  test("are discarded with a note, which stays with who and when", async () => {
    await die("a");
    expect((await post("/dead-letters/a/discard", {})).status).toBe(400);
    const discarded = await post("/dead-letters/a/discard", { note: "a test order" });
    expect(discarded).toMatchObject({ status: 200, body: { status: "discarded" } });
    expect((await call("/dead-letters")).body.items).toEqual([]);
    expect((await call("/dead-letters?status=discarded")).body.items).toMatchObject([{ id: "a" }]);
    expect((await show("a")).history.at(-1)).toEqual({
      status: "discarded",
      at: expect.any(String),
      by: "ann",
      note: "a test order",
    });
    expect(await post("/dead-letters/a/discard", { note: "again" })).toMatchObject({
      status: 409,
      body: { code: "not-dead" },
    });
    // Whoever changes their mind may replay it all the same.
    broken.clear();
    await post("/dead-letters/a/replay");
    await becomes("a", "resolved");
  });

  test("are replayed all at once, or those of a type, or from before a time", async () => {
    await die("a", "b", "c");
    expect((await post("/dead-letters/replay", { type: "other" })).body).toEqual({ replayed: 0 });
    const { since } = await show("b");
    broken.clear();
    const key = { "idempotency-key": "once" };
    expect((await post("/dead-letters/replay", { before: since }, key)).body).toEqual({ replayed: 1 });
    await becomes("a", "resolved");
    expect((await post("/dead-letters/replay", { before: since }, key)).body).toEqual({ replayed: 1 });
    expect((await post("/dead-letters/replay", {})).body).toEqual({ replayed: 2 });
    await becomes("c", "resolved");
    await becomes("b", "resolved");
    expect((await app.store.all()).sort()).toEqual(["a", "b", "c"]);
  });

  test("are replayed however many there are, each once, also when two ask at once", async () => {
    const ids = Array.from({ length: 450 }, (_, i) => `many-${i}`);
    broken.add("many");
    for (let from = 0; from < ids.length; from += 50)
      await Promise.all(ids.slice(from, from + 50).map((id) => app.deliver(Asked, { text: "many" }, { id })));
    const dead = async () =>
      /souk_dead_letters\{.*\} (\d+)/.exec(await (await app.request("/metrics")).text())?.[1];
    await until("all are dead", async () => (await dead()) === "450", 20_000);
    broken.clear();
    const answers = await Promise.all([post("/dead-letters/replay", {}), post("/dead-letters/replay", {})]);
    expect(answers.reduce((sum, { body }) => sum + body.replayed, 0)).toBe(450);
    await until("all are handled", async () => (await app.store.all()).length === 450, 20_000);
    expect(await dead()).toBe("0");
  });

  test("whose event was handled meanwhile have no second effect", async () => {
    await die("a");
    broken.clear();
    await app.deliver(Asked, { text: "a" }, { id: "a" });
    expect(await app.store.all()).toEqual(["a"]);
    await post("/dead-letters/a/replay");
    await becomes("a", "resolved");
    expect(await app.store.all()).toEqual(["a"]);
  });
});

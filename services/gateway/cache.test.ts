import { beforeEach, describe, expect, test } from "bun:test";
import { type Answer, type Ask, EdgeCache, sharedFor } from "./cache.ts";

const text = (found: { body: ArrayBuffer }): string => new TextDecoder().decode(found.body);
const answer = (body: string, headers: Record<string, string> = {}): Answer => ({
  status: 200,
  headers: new Headers({ etag: `"${body}"`, "cache-control": "public, s-maxage=10", ...headers }),
  body: new TextEncoder().encode(body).buffer as ArrayBuffer,
});

let now = 0;
let cache: EdgeCache;
let asked: (string | undefined)[] = [];
const says =
  (body: string, headers?: Record<string, string>): Ask =>
  async (tag) => {
    asked.push(tag);
    return answer(body, headers);
  };
/** A question whose answer the test gives. */
function open(): { ask: Ask; give: (given: Answer) => void; fail: (error: Error) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  return { ask: () => promise, give: resolve, fail: reject };
}

beforeEach(() => {
  now = 1_000_000;
  cache = new EdgeCache(() => now);
  asked = [];
});

test("asks once, as long as the answer holds", async () => {
  expect((await cache.get("/a", ["a"], says("1"))).how).toBe("fwd=uri-miss");
  now += 9_000;
  expect(await cache.get("/a", ["a"], says("2"))).toMatchObject({ how: "hit", age: 9 });
  expect(asked).toHaveLength(1);
  expect(text(await cache.get("/b", ["b"], says("3")))).toBe("3");
});

describe("when the answer no longer holds by itself", () => {
  beforeEach(async () => {
    await cache.get("/a", ["a"], says("1"));
    now += 10_000;
  });

  test("asks whether the copy still does, and keeps it at 304", async () => {
    const still: Ask = async (tag) => {
      asked.push(tag);
      return {
        status: 304,
        headers: new Headers({ "cache-control": "public, s-maxage=10" }),
        body: new ArrayBuffer(0),
      };
    };
    const found = await cache.get("/a", ["a"], still);
    expect(asked).toEqual([undefined, '"1"']);
    expect([text(found), found.status, found.how]).toEqual(["1", 200, "fwd=stale"]);
    expect(cache.fresh("/a")?.age).toBe(0);
  });

  test("takes the new one", async () => {
    expect(text(await cache.get("/a", ["a"], says("2")))).toBe("2");
    expect(text(cache.fresh("/a") ?? answer(""))).toBe("2");
  });

  test("gives the copy when nobody answers, and asks again after a second", async () => {
    const down: Ask = async () => {
      asked.push("down");
      throw new Error("down");
    };
    expect(await cache.get("/a", ["a"], down)).toMatchObject({ how: "hit; detail=outage", age: 10 });
    await cache.get("/a", ["a"], down);
    expect(asked.filter((one) => one === "down")).toHaveLength(1);
    now += 1_000;
    await cache.get("/a", ["a"], down);
    expect(asked.filter((one) => one === "down")).toHaveLength(2);
    cache.forget("a");
    expect(cache.get("/a", ["a"], down)).rejects.toThrow("down");
  });
});

describe("after a change", () => {
  test("nothing about it is given any more, the rest is", async () => {
    await cache.get("/a", ["a", "all"], says("1"));
    await cache.get("/b", ["b", "all"], says("1"));
    cache.forget("a");
    expect(cache.fresh("/a")).toBeUndefined();
    expect(cache.fresh("/b")).toBeDefined();
    cache.forget("all");
    expect(cache.size).toBe(0);
  });

  test("an answer that was asked for before it is not kept, nor given to who asks after it", async () => {
    const first = open();
    const before = cache.get("/a", ["a"], first.ask);
    cache.forget("a");
    const after = cache.get("/a", ["a"], says("new"));
    expect(text(await after)).toBe("new");
    first.give(answer("old"));
    expect(text(await before)).toBe("old");
    expect(text(cache.fresh("/a") ?? answer(""))).toBe("new");
  });

  test("an old answer that comes last does not replace the new one", async () => {
    const first = open();
    const before = cache.get("/a", ["a"], first.ask);
    cache.forget("a");
    first.give(answer("old"));
    await before;
    expect(cache.fresh("/a")).toBeUndefined();
  });

  test("a copy that is being renewed is not kept", async () => {
    await cache.get("/a", ["a"], says("1"));
    now += 10_000;
    const renewal = open();
    const waiting = cache.get("/a", ["a"], renewal.ask);
    cache.forget("a");
    renewal.give({
      status: 304,
      headers: new Headers({ "cache-control": "public, s-maxage=10" }),
      body: new ArrayBuffer(0),
    });
    expect(text(await waiting)).toBe("1");
    expect(cache.fresh("/a")).toBeUndefined();
  });
});

test("who asks the same at the same time shares one answer, failures too", async () => {
  const one = open();
  const all = Array.from({ length: 5 }, () => cache.get("/a", ["a"], one.ask));
  one.give(answer("1"));
  expect((await Promise.all(all)).map(text)).toEqual(Array(5).fill("1"));

  const none = open();
  const failed = Array.from({ length: 3 }, () => cache.get("/b", ["b"], none.ask));
  none.fail(new Error("down"));
  expect((await Promise.allSettled(failed)).every(({ status }) => status === "rejected")).toBe(true);
  expect(text(await cache.get("/b", ["b"], says("up")))).toBe("up");
});

test("keeps nothing that is no public success with a tag", async () => {
  await cache.get("/a", ["a"], says("1", { "cache-control": "private, max-age=10" }));
  await cache.get("/b", ["b"], async () => ({ ...answer("1"), status: 404 }));
  await cache.get("/c", ["c"], async () => {
    const given = answer("1");
    given.headers.delete("etag");
    return given;
  });
  expect(cache.size).toBe(0);
});

test("gives up what has not been asked for in a long time, and knows no more of it", async () => {
  const large = "x".repeat(1_000_000);
  for (let i = 0; i < 100; i++) await cache.get(`/${i}`, ["all"], says(large));
  expect(cache.size).toBeLessThan(70);
  expect(cache.fresh("/99")).toBeDefined();
  expect(cache.fresh("/0")).toBeUndefined();
  cache.forget("all");
  expect(cache.size).toBe(0);
});

test.each([
  ["public, max-age=0, s-maxage=10", {}, 10_000],
  ["public, max-age=1", {}, 1_000],
  ["public, max-age=99999999", {}, 3_600_000],
  ["max-age=10", {}, 0],
  ["public", {}, 0],
  ["private, s-maxage=10", {}, 0],
  ["public, no-cache, s-maxage=10", {}, 0],
  ["public, no-store, max-age=10", {}, 0],
  ["public, max-age=10", { vary: "authorization" }, 0],
  ["public, max-age=10", { vary: "Accept-Encoding" }, 10_000],
  ["public, max-age=10", { "set-cookie": "a=b" }, 0],
])("%s with %j may be shared for %d ms", (control, headers, ms) => {
  expect(sharedFor(new Headers({ "cache-control": control, ...(headers as Record<string, string>) }))).toBe(
    ms,
  );
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { RedisClient } from "bun";
import { trimStreams } from "../src/streams.ts";
import { type Infra, startInfra } from "../src/testing.ts";

let infra: Infra;
let redis: RedisClient;
beforeAll(async () => {
  infra = await startInfra();
  const { host, port, password } = infra.redis;
  redis = new RedisClient(`redis://:${password}@${host}:${port}`);
}, 600_000);
afterAll(async () => {
  redis?.close();
  await infra?.stop();
}, 60_000);

const send = (command: string, ...args: (string | number)[]) => redis.send(command, args.map(String));
const length = (key: string): Promise<number> => redis.send("XLEN", [key]);
/** What a group has not acknowledged yet, and what it has not been given: all of it must be there. */
async function left(key: string, group: string): Promise<string[]> {
  const pending = (await send("XPENDING", key, group, "-", "+", 10_000, "one")) as [string][];
  const fresh = (await send(
    "XREADGROUP",
    "GROUP",
    group,
    "one",
    "COUNT",
    10_000,
    "STREAMS",
    key,
    ">",
  )) as Record<string, [string, string[]][]> | null;
  const ids = [...pending.map(([id]) => id), ...(fresh?.[key] ?? []).map(([id]) => id)];
  for (const id of ids) expect(await send("XRANGE", key, id, id), id).toHaveLength(1);
  return ids;
}

async function filled(key: string, groups: string[], count: number): Promise<void> {
  for (const group of groups) await send("XGROUP", "CREATE", key, group, "0", "MKSTREAM");
  for (let i = 1; i <= count; i++) await send("XADD", key, `${i}-0`, "data", i);
}

/** Reads so many, and acknowledges those that `done` says. */
async function read(key: string, group: string, count: number, done: (n: number) => boolean): Promise<void> {
  await send("XREADGROUP", "GROUP", group, "one", "COUNT", count, "STREAMS", key, ">");
  for (let i = 1; i <= count; i++) if (done(i)) await send("XACK", key, group, `${i}-0`);
}

test("what every group has acknowledged goes, and nothing else", async () => {
  await filled("orders", ["inventory", "payments"], 2_000);
  await read("orders", "inventory", 2_000, () => true);
  await read("orders", "payments", 1_500, (n) => n !== 1_234);
  expect(await trimStreams(redis)).toBeGreaterThan(1_000);
  // By whole nodes, of a hundred entries.
  expect(await length("orders")).toBeGreaterThanOrEqual(2_000 - 1_233);
  expect(await length("orders")).toBeLessThan(2_000 - 1_233 + 101);
  const ids = await left("orders", "payments");
  expect(ids).toHaveLength(1 + 500);
  expect(ids[0]).toBe("1234-0");
});

test("a stream of which a group has read nothing, or which nobody reads, stays", async () => {
  await filled("catalog", ["orders", "late"], 300);
  await read("catalog", "orders", 300, () => true);
  for (let i = 1; i <= 300; i++) await send("XADD", "identity", `${i}-0`, "data", i);
  await trimStreams(redis);
  expect([await length("catalog"), await length("identity")]).toEqual([300, 300]);
  expect(await left("catalog", "late")).toHaveLength(300);
});

test("what is not a stream is left alone", async () => {
  await redis.set("identity||key", "value");
  await trimStreams(redis);
  expect(await redis.get("identity||key")).toBe("value");
});

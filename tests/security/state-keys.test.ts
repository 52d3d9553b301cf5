import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RedisClient } from "bun";
import { dapr, EtagMismatch, type State } from "hono-dapr";
import * as v from "valibot";
import { type Infra, startInfra, startSidecar } from "../../packages/souk/src/testing.ts";
import { eventually } from "../e2e/shop.ts";

const component = readFileSync(join(import.meta.dir, "../../components/state.yaml"), "utf8");
/** The shop's own file, with the two keys in each other's place. */
const exchanged = component.replaceAll(/state-([12])/g, (_, n) => (n === "1" ? "state-2" : "state-1"));
const canary = `canary-${randomBytes(8).toString("hex")}`;
const hex = () => randomBytes(32).toString("hex");
const keys = { "state-1": hex(), "state-2": hex() };

let infra: Infra;
let redis: RedisClient;

beforeAll(async () => {
  infra = await startInfra();
  redis = new RedisClient(`redis://:${infra.redis.password}@127.0.0.1:${infra.redis.port}`);
}, 120_000);
afterAll(async () => {
  redis?.close();
  await infra?.stop();
}, 60_000);

const Kept = v.object({ n: v.number(), mail: v.string() });
type Kept = v.InferOutput<typeof Kept>;

/** Runs with a sidecar of identity's on the given component file. */
async function beside(
  state: string,
  secrets: typeof keys,
  run: (state: State<Kept>) => Promise<void>,
): Promise<void> {
  const all = { ...secrets, "redis-password": infra.redis.password };
  const components = { "state.yaml": state, "secrets.yaml": infra.secrets(all) };
  const sidecar = await startSidecar(infra, { appId: "identity", components });
  const options = { endpoint: sidecar.url, apiToken: sidecar.daprApiToken };
  try {
    await run(dapr(options).state("state", Kept, { encrypted: true }));
  } finally {
    await sidecar.stop();
  }
}

const raw = async (key: string): Promise<string> =>
  JSON.stringify(await redis.send("HGETALL", [`identity||${key}`]));
const value = (n: number) => ({ n, mail: canary });

test("values are encrypted at rest; ETags, conflicts and expiry are as they were", async () => {
  await beside(component, keys, async (state) => {
    await state.set("a", value(1), { ifAbsent: true });
    expect(await raw("a")).not.toContain(canary);
    expect(await raw("a")).toContain("||state-1");
    const first = await state.get("a");
    expect(first?.value).toEqual(value(1));
    await state.set("a", value(2), { etag: first?.etag });
    await expect(state.set("a", value(3), { etag: first?.etag })).rejects.toBeInstanceOf(EtagMismatch);
    await expect(state.set("a", value(3), { ifAbsent: true })).rejects.toBeInstanceOf(EtagMismatch);
    expect((await state.getMany(["a"])).get("a")?.value).toEqual(value(2));
    const add = () => state.update("a", (now) => ({ ...value(0), n: (now?.n ?? 0) + 1 }));
    await Promise.all(Array.from({ length: 10 }, add));
    expect((await state.get("a"))?.value.n).toBe(12);
    await state.set("b", value(1), { ttl: 2 });
    expect((await state.get("b"))?.value).toEqual(value(1));
    await eventually("it expires", async () => (await state.get("b")) === null);
    expect(await state.get("missing")).toBeNull();
  });
}, 60_000);

test("a key becomes the second one, and can be replaced when nothing needs it", async () => {
  let etag: string | undefined;
  await beside(component, keys, async (state) => {
    for (const key of ["kept", "left"]) await state.set(key, value(1));
    etag = (await state.get("kept"))?.etag;
  });
  await beside(exchanged, keys, async (state) => {
    // What was written before is read, and changed under the condition of then.
    expect((await state.get("kept"))?.value).toEqual(value(1));
    await state.set("kept", value(2), { etag });
    expect(await raw("kept")).toContain("||state-2");
    expect(await raw("kept")).not.toContain(canary);
    expect(await raw("left")).toContain("||state-1");
  });
  await beside(exchanged, { ...keys, "state-1": hex() }, async (state) => {
    expect((await state.get("kept"))?.value).toEqual(value(2));
    // What was not written anew cannot be read any more: that is why the old key is replaced last.
    await expect(state.get("left")).rejects.toMatchObject({ status: 500 });
  });
}, 60_000);

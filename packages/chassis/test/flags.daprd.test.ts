import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RedisClient } from "bun";
import { dapr } from "hono-dapr";
import { pino } from "pino";
import { type Infra, type Sidecar, startInfra, startSidecar } from "souk/testing";
import * as v from "valibot";
import { flag } from "../src/flag.ts";
import { createFlags, type Flags } from "../src/flags.ts";
import { until } from "./until.ts";

setDefaultTimeout(60_000);

const Most = flag("test.most", v.number(), { default: 0, says: "How many" });
/** The shop's own component. */
const component = readFileSync(join(import.meta.dir, "../../../components/configuration.yaml"), "utf8");

let infra: Infra;
let sidecar: Sidecar;
let flags: Flags;
let listening: ReturnType<typeof Bun.serve>;
let last = 0;

/** On a connection of its own: Redis comes and goes. */
async function set(value: number): Promise<void> {
  const redis = new RedisClient(`redis://:${infra.redis.password}@127.0.0.1:${infra.redis.port}`);
  await redis.set("test.most", String(value));
  redis.close();
}

beforeAll(async () => {
  infra = await startInfra();
  let url = "";
  const beside = dapr({
    appId: "orders",
    appToken: "app-token",
    apiToken: "api-token",
    endpoint: "http://sidecar",
    fetch: (input, init) => fetch(input.replace("http://sidecar", url), init),
  });
  flags = createFlags({
    declared: [Most],
    store: beside.configuration("configuration"),
    log: pino({ level: "silent" }),
    now: Date.now,
    // Whatever is heard here is heard from the watch.
    every: 3_600_000,
  });
  const app = beside.subscriptions([], { onSidecar: flags.watch });
  listening = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => app.fetch(request) });
  sidecar = await startSidecar(infra, {
    appId: "orders",
    appPort: listening.port,
    appApiToken: "app-token",
    daprApiToken: "api-token",
    components: {
      "configuration.yaml": component,
      "pubsub.yaml": infra.pubsub(),
      "secrets.yaml": infra.secrets({ "redis-password": infra.redis.password }),
    },
  });
  url = sidecar.url;
});
afterAll(async () => {
  flags?.stop();
  await infra?.stop();
  await listening?.stop(true);
});

/** Whether a change is told within a second: the first ones may come before the component listens. */
async function isTold(): Promise<void> {
  await until("a change is told", async () => {
    await set(++last);
    const end = performance.now() + 1_000;
    while (performance.now() < end && flags.of(Most) !== last) await Bun.sleep(2);
    return flags.of(Most) === last;
  });
}

test("a change is told", isTold);

test("what was known holds while the sidecar is gone; its successor is watched anew", async () => {
  await sidecar.kill();
  const before = flags.of(Most);
  await set(++last);
  await flags.look();
  expect(flags.of(Most)).toBe(before);
  await sidecar.start();
  await until("what was set meanwhile is read", () => flags.of(Most) === last);
  await isTold();
});

test("what was known holds while Redis is gone; when it is back changes are told", async () => {
  await isTold();
  await infra.redis.kill();
  await flags.look();
  expect(flags.of(Most)).toBe(last);
  await infra.redis.start();
  await isTold();
});

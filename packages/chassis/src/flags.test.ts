import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { dapr } from "hono-dapr";
import { fakeSidecar } from "hono-dapr/testing";
import * as v from "valibot";
import { counter } from "../test/counter/service.ts";
import type { Store } from "../test/counter/store.ts";
import { until } from "../test/until.ts";
import { open } from "./access.ts";
import { flag } from "./flag.ts";
import { createFlags, type Flags } from "./flags.ts";
import type { Log } from "./log.ts";
import { router, service } from "./service.ts";
import { testService } from "./testing/index.ts";

const Paused = flag("shop.paused", v.pipe(v.string(), v.maxLength(10)), { default: "", says: "Why" });
const Most = flag("shop.most", v.pipe(v.number(), v.integer(), v.minValue(1)), {
  default: 9,
  says: "How many",
});
const Off = flag(
  "shop.off",
  v.pipe(
    v.string(),
    v.transform((text) => text.split(",")),
  ),
  { default: [], says: "What" },
);

describe("a flag reads", () => {
  for (const [one, text, value] of [
    [Paused, "back at 8", "back at 8"],
    // A text is a text, whatever it looks like.
    [Paused, "8", "8"],
    [Most, "20", 20],
    [Off, "a,b", ["a", "b"]],
  ] as const)
    test(`${one.key} from ${text}`, () => expect<unknown>(one.read(text)).toEqual({ value }));

  for (const [one, text, why] of [
    [Paused, "much too long", /length/],
    [Most, "0", />=1/],
    [Most, "1.5", /integer/],
    [Most, "many", /Expected number/],
    [Most, "{", /Expected number/],
  ] as const)
    test(`no ${one.key} from ${text}`, () => expect(one.read(text).refused).toMatch(why));
});

describe("flags that are followed", () => {
  let fake: ReturnType<typeof fakeSidecar>;
  let flags: Flags;
  let said: string[];
  const log = Object.fromEntries(
    ["info", "warn", "error"].map((level) => [
      level,
      (_: unknown, text: string) => said.push(`${level}: ${text}`),
    ]),
  ) as unknown as Log;

  async function follow(every = 3_600_000): Promise<void> {
    const sidecar = fake.sidecar("shop");
    flags = createFlags({
      declared: [Paused, Most],
      store: sidecar.configuration("configuration"),
      ...{ log, every },
      now: Date.now,
    });
    await fake.start("shop", sidecar.subscriptions([], { onSidecar: flags.watch }));
    await flags.known();
  }

  beforeEach(() => {
    said = [];
    fake = fakeSidecar();
  });
  afterEach(() => flags.stop());
  const set = (key: string, value: string) => fake.configure("configuration", key, value);

  test("have their defaults, are told of changes, and of the end of them", async () => {
    await follow();
    expect([flags.of(Paused), flags.of(Most)]).toEqual(["", 9]);
    await set("shop.paused", "back at 8");
    await set("shop.most", "20");
    expect([flags.of(Paused), flags.of(Most)]).toEqual(["back at 8", 20]);
    await set("shop.paused", "");
    expect([flags.of(Paused), flags.of(Most)]).toEqual(["", 20]);
  });

  test("keep the old value where the new one does not fit, and say so once", async () => {
    await follow();
    await set("shop.most", "20");
    await set("shop.most", "none");
    await flags.look();
    expect(flags.of(Most)).toBe(20);
    expect(said.filter((line) => line.startsWith("error"))).toEqual([
      "error: a flag was set to what does not fit: the old value holds",
    ]);
    await set("shop.most", "30");
    expect(flags.of(Most)).toBe(30);
  });

  test("keep what was known last while nobody answers", async () => {
    await follow();
    await set("shop.most", "20");
    const fault = fake.fault({ api: "configuration" });
    fake.set("configuration", "shop.most", "30");
    await flags.look();
    expect(flags.of(Most)).toBe(20);
    fault.restore();
    await flags.look();
    expect(flags.of(Most)).toBe(30);
  });

  test("are watched anew when another sidecar asks, also when that is not ready yet", async () => {
    const next = fakeSidecar();
    let there = fake;
    const sidecar = dapr({
      endpoint: "http://shop.sidecar",
      fetch: (input, init) =>
        there.fetch("shop")(input, { ...init, headers: { "dapr-api-token": there.apiToken("shop") } }),
    });
    flags = createFlags({
      declared: [Paused, Most],
      store: sidecar.configuration("configuration"),
      ...{ log, every: 3_600_000 },
      now: Date.now,
    });
    const app = sidecar.subscriptions([], { onSidecar: flags.watch });
    await fake.start("shop", app);
    await flags.known();
    there = next;
    next.fault({ api: "configuration", times: 2 });
    await next.start("shop", app);
    await until("it is told", async () => {
      await next.configure("configuration", "shop.most", "20");
      return flags.of(Most) === 20;
    });
  });

  test("a change that no watch told of is found by a look, and watched for from then on", async () => {
    await follow(5);
    fake.set("configuration", "shop.most", "20");
    await until("it is seen", () => flags.of(Most) === 20);
  });
});

describe("a service with flags", () => {
  const asking = service<Store>({
    ...counter(),
    flags: [Most],
    routes: router<Store>().get("/most", open("a test"), (c) => c.json(c.var.kit.flag(Most))),
  });
  const folder = join(import.meta.dir, "../test/counter");

  test("starts with what is set, and hears of what is set later", async () => {
    const app = await testService(asking, { folder, flags: { "shop.most": "20" } });
    const most = async () => (await app.request("/most")).json();
    expect(await most()).toBe(20);
    await app.set("shop.most", "30");
    expect(await most()).toBe(30);
    await app.set("shop.most", undefined);
    expect(await most()).toBe(9);
    await app.stop();
  });

  test("knows none that it does not declare", async () => {
    const app = await testService(
      { ...asking, routes: router<Store>().get("/off", open("a test"), (c) => c.json(c.var.kit.flag(Off))) },
      { folder },
    );
    expect((await app.request("/off")).status).toBe(500);
    await app.stop();
  });
});

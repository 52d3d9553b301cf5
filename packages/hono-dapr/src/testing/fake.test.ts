import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import * as v from "valibot";
import { event, on, type Received, type SubscriptionOptions } from "../index.ts";
import { type FakeOptions, type FakeSidecar, fakeSidecar } from "./index.ts";

const Counted = event("numbers", "counted", v.object({ n: v.number() }));
type Seen = Received<{ n: number }>;

/** An app that counts, beside its sidecar. */
async function counter(
  handle: (seen: Seen) => unknown,
  options: SubscriptionOptions = {},
  fakeOptions?: FakeOptions,
) {
  const fake = fakeSidecar(fakeOptions);
  const seen: number[] = [];
  const note = (received: Seen) => {
    seen.push(received.data.n);
    return handle(received);
  };
  const app = fake.sidecar("counter").subscriptions([on(Counted, note, options)]);
  await fake.start("counter", app);
  return { fake, seen, app };
}

const always = () => {
  throw new Error("always");
};
const fine = () => {};

describe("deliveries", () => {
  test("are retried on the clock of the test", async () => {
    const { fake, seen } = await counter(
      always,
      { deadLetter: "dead" },
      { retries: { max: 2, interval: 1_000 } },
    );
    await fake.publish(Counted, { n: 1 });
    await fake.settle();
    expect(seen).toEqual([1]);
    await fake.clock.advance(999);
    expect(seen).toEqual([1]);
    await fake.clock.advance(1);
    expect(seen).toEqual([1, 1]);
    expect(fake.events("dead")).toEqual([]);
    await fake.clock.advance(1_000);
    expect(fake.events("dead")).toMatchObject([{ data: { n: 1 }, topic: "numbers" }]);
  });

  test("that are given up without dead letters are lost, which can be seen", async () => {
    const { fake } = await counter(always);
    await fake.publish(Counted, { n: 1 });
    await fake.settle();
    expect(fake.lost).toMatchObject([{ appId: "counter", topic: "numbers", event: { data: { n: 1 } } }]);
  });

  test("wait while the app is stopped", async () => {
    const { fake, seen, app } = await counter(fine);
    await fake.publish(Counted, { n: 1 });
    await fake.settle();
    fake.stop("counter");
    await fake.publish(Counted, { n: 2 });
    await fake.settle();
    expect(seen).toEqual([1]);
    await fake.start("counter", app);
    await fake.settle();
    expect(seen).toEqual([1, 2]);
  });

  test("in bulk wait while the app is stopped in the middle of a batch", async () => {
    const inBatch = { deadLetter: "dead", bulk: true };
    const { fake, seen, app } = await counter(({ data }) => data.n === 1 && down(), inBatch);
    const down = () => {
      if (seen.filter((n) => n === 1).length > 1) return;
      fake.stop("counter");
      throw new Error("killed");
    };
    await fake.publish(Counted, [{ n: 1 }, { n: 2 }]);
    await fake.settle();
    expect(seen).toEqual([1, 2]);
    await fake.start("counter", app);
    await fake.settle();
    expect(seen).toEqual([1, 2, 1]);
    expect(fake.events("dead")).toEqual([]);
  });

  test("come in batches of at most the size that is asked for", async () => {
    const fake = fakeSidecar();
    const sizes: number[] = [];
    const routes = fake.sidecar("counter").subscriptions([on(Counted, fine, { bulk: { max: 4 } })]);
    const app = new Hono()
      .use(async (c, next) => {
        if (c.req.method === "POST")
          sizes.push(((await c.req.raw.clone().json()) as { entries: unknown[] }).entries.length);
        await next();
      })
      .route("/", routes);
    await fake.start("counter", app);
    await fake.publish(
      Counted,
      Array.from({ length: 10 }, (_, n) => ({ n })),
    );
    await fake.settle();
    expect(sizes).toEqual([4, 4, 2]);
  });

  test("may be repeated, all or some", async () => {
    const { fake, seen } = await counter(fine);
    await fake.publish(Counted, { n: 1 }, { id: "one" });
    await fake.publish(Counted, { n: 2 }, { id: "two" });
    await fake.settle();
    await fake.redeliver("counter", "numbers", ["two"]);
    expect(seen).toEqual([1, 2, 2]);
    await fake.redeliver("counter", "numbers");
    expect(seen).toEqual([1, 2, 2, 1, 2]);
  });

  test("go to every app that subscribes, from the beginning", async () => {
    const { fake, seen } = await counter(fine);
    await fake.publish(Counted, { n: 1 });
    const others: number[] = [];
    const late = fake.sidecar("late").subscriptions([on(Counted, ({ data }) => others.push(data.n))]);
    await fake.start("late", late);
    await fake.settle();
    expect([seen, others]).toEqual([[1], [1]]);
  });

  test("show what an app's wrong answer would do to daprd", async () => {
    const fake = fakeSidecar();
    let attempt = 0;
    const declared = {
      pubsubname: "pubsub",
      topic: "numbers",
      routes: { default: "/x" },
      deadLetterTopic: "dead",
      bulkSubscribe: { enabled: true },
    };
    const app = new Hono()
      .get("/dapr/subscribe", (c) => c.json([declared]))
      .post("/x", async (c) => {
        const { entries } = await c.req.json<{ entries: { entryId: string }[] }>();
        const late = attempt++ === 0 ? "RETRY" : "DROP";
        const statuses = entries.map(({ entryId }, i) => ({
          entryId,
          status: i < entries.length - 1 ? "SUCCESS" : late,
        }));
        return c.json({ statuses });
      });
    await fake.start("raw", app);
    await fake.publish(Counted, [{ n: 1 }, { n: 2 }]);
    await expect(fake.settle()).rejects.toThrow("daprd would crash: index out of range [1] with length 1");
  });
});

describe("faults", () => {
  const publish = (fake: FakeSidecar, app = "shop") =>
    fake
      .sidecar(app)
      .publishEvents("numbers", [Counted.of({ n: 1 }, { id: "one" }), Counted.of({ n: 2 }, { id: "two" })])
      .catch((error: Error) => error.name);

  test("make the sidecar unreachable until they are restored", async () => {
    const fake = fakeSidecar();
    const fault = fake.fault();
    expect(await publish(fake)).toBe("SidecarUnreachable");
    expect(await publish(fake)).toBe("SidecarUnreachable");
    fault.restore();
    fault.restore();
    expect(await publish(fake)).toEqual({ failed: [] });
    expect(fake.events("numbers")).toHaveLength(2);
  });

  test("lose the answer of what was done", async () => {
    const fake = fakeSidecar();
    fake.fault({ api: "publish", as: "lost-answer", times: 1 });
    expect(await publish(fake)).toBe("SidecarUnreachable");
    expect(fake.events("numbers")).toHaveLength(2);
    expect(await publish(fake)).toEqual({ failed: [] });
  });

  test("answer with a status, to one app only", async () => {
    const fake = fakeSidecar();
    fake.fault({ app: "shop", as: { status: 503, errorCode: "ERR_X" } });
    const error = await fake
      .sidecar("shop")
      .publish(Counted, { n: 1 })
      .catch((error) => error);
    expect(error).toMatchObject({ status: 503, errorCode: "ERR_X" });
    expect(await publish(fake, "other")).toEqual({ failed: [] });
  });

  test("refuse some events of a bulk call", async () => {
    const fake = fakeSidecar();
    fake.fault({ api: "publish", times: 1, as: { events: ({ id }) => id === "two" } });
    expect(await publish(fake)).toEqual({
      failed: [{ id: "two", error: "The fake broker is told to refuse it" }],
    });
    expect(fake.events("numbers").map(({ id }) => id)).toEqual(["one"]);
  });

  test("hit calls between apps and state as well", async () => {
    const fake = fakeSidecar();
    fake.fault({ api: "state" });
    const sidecar = fake.sidecar("shop");
    await expect(sidecar.state("state", v.unknown()).get("a")).rejects.toThrow("cannot be reached");
    fake.fault({ api: "invoke", as: { status: 500 } });
    expect((await sidecar.fetch("http://other/x")).status).toBe(500);
    await sidecar.ready({ timeout: 0 });
  });
});

describe("access", () => {
  test("to a topic may be denied", async () => {
    const fake = fakeSidecar();
    const denial = fake.deny({ topic: "numbers", from: "shop" });
    const refused = fake.sidecar("shop").publish(Counted, { n: 1 });
    await expect(refused).rejects.toMatchObject({ status: 403, errorCode: "ERR_PUBSUB_FORBIDDEN" });
    await fake.sidecar("other").publish(Counted, { n: 1 });
    denial.restore();
    await fake.sidecar("shop").publish(Counted, { n: 1 });
  });

  test("to an app may be denied, or allowed to some only", async () => {
    const fake = fakeSidecar();
    await fake.start(
      "vault",
      new Hono().on(["GET", "POST"], ["/a", "/a/*", "/ab"], (c) => c.text("in")),
    );
    const status = async (from: string, path: string, method = "GET") =>
      (await fake.sidecar(from).fetch(`http://vault${path}`, { method })).status;
    const denial = fake.deny({ call: "vault", from: "shop", method: "POST" });
    expect([await status("shop", "/a"), await status("shop", "/a", "POST")]).toEqual([200, 403]);
    expect(await status("other", "/a", "POST")).toBe(200);
    denial.restore();
    fake.allow({ call: "vault", from: "shop", path: "/a" });
    expect([await status("shop", "/a"), await status("shop", "/a/b"), await status("shop", "/ab")]).toEqual([
      200, 200, 403,
    ]);
    expect(await status("other", "/a")).toBe(403);
  });
});

test("an app that does not answer /dapr/subscribe as daprd needs it is a mistake of the test", async () => {
  const fake = fakeSidecar();
  const broken = new Hono().get("/dapr/subscribe", (c) => c.text("no", 500));
  await expect(fake.start("broken", broken)).rejects.toThrow("broken answered 500 to /dapr/subscribe");
});

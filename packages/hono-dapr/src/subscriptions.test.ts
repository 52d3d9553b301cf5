import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import {
  type CloudEvent,
  dapr,
  drop,
  EventDropped,
  event,
  on,
  onAny,
  onDeadLetter,
  type Subscription,
} from "./index.ts";
import type { Failure, SubscriptionsOptions } from "./subscriptions.ts";
import { publishedIn } from "./testing/index.ts";

const OrderPlaced = event("orders", "order.placed", v.object({ orderId: v.string() }));
const OrderConfirmed = event("orders", "order.confirmed", v.object({ orderId: v.string() }));

const placed = (data: unknown = { orderId: "o-1" }, more: Partial<CloudEvent> = {}): CloudEvent => ({
  specversion: "1.0",
  id: "e-1",
  source: "shop",
  type: "order.placed",
  time: "2026-01-01T00:00:00Z",
  data,
  ...more,
});

interface Sent {
  path: string;
  events: CloudEvent[];
}

/** An app with these subscriptions, beside a sidecar that notes what is published, or refuses it. */
function app(
  subscriptions: Subscription[],
  options: SubscriptionsOptions & { refuse?: boolean; token?: string } = {},
) {
  const sent: Sent[] = [];
  const sidecar = dapr({
    endpoint: "http://sidecar",
    appToken: options.token ?? "",
    fetch: async (url, init) => {
      if (options.refuse) return Response.json({ errorCode: "ERR_PUBSUB_PUBLISH_MESSAGE" }, { status: 500 });
      const events = publishedIn(JSON.parse(String(init?.body)));
      sent.push({ path: new URL(url).pathname, events });
      return new Response(null, { status: 204 });
    },
  });
  const routes = sidecar.subscriptions(subscriptions, options);
  const deliver = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await routes.request("/_events/orders", {
      method: "POST",
      headers: { "content-type": "application/cloudevents+json", ...headers },
      body: JSON.stringify(body),
    });
    return { code: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { routes, deliver, sent };
}

const batch = (events: unknown[], id = "batch-1") => ({
  id,
  topic: "orders",
  entries: events.map((item, i) => ({ entryId: `entry-${i}`, event: item })),
});

describe("/dapr/subscribe", () => {
  test("declares one route a topic, with its dead letters and bulk options", async () => {
    const { routes } = app(
      [
        on(OrderPlaced, () => {}, { deadLetter: "orders-dead", bulk: { max: 50, waitMs: 5 } }),
        on(OrderConfirmed, () => {}),
        onDeadLetter("orders-dead", () => {}),
      ],
      {},
    );
    expect(await (await routes.request("/dapr/subscribe")).json()).toEqual([
      {
        pubsubname: "pubsub",
        topic: "orders",
        routes: { default: "/_events/orders" },
        deadLetterTopic: "orders-dead",
        metadata: { rawPayload: "true" },
        bulkSubscribe: { enabled: true, maxMessagesCount: 50, maxAwaitDurationMs: 5 },
      },
      {
        pubsubname: "pubsub",
        topic: "orders-dead",
        routes: { default: "/_events/orders-dead" },
        metadata: { rawPayload: "true" },
      },
    ]);
  });

  test("takes defaults for what a subscription does not say", async () => {
    const { routes } = app([on(OrderPlaced, () => {}, { deadLetter: "own" })], {
      defaults: { deadLetter: "dead", bulk: true },
      pubsub: "other",
    });
    expect(await (await routes.request("/dapr/subscribe")).json()).toEqual([
      {
        pubsubname: "other",
        topic: "orders",
        routes: { default: "/_events/orders" },
        deadLetterTopic: "own",
        metadata: { rawPayload: "true" },
        bulkSubscribe: { enabled: true, maxMessagesCount: 100, maxAwaitDurationMs: 10 },
      },
    ]);
  });

  test("refuses two handlers for one type, and options that contradict each other", () => {
    expect(() => app([on(OrderPlaced, () => {}), on(OrderPlaced, () => {})])).toThrow("two handlers");
    expect(() => app([onAny("orders", () => {}), onAny("orders", () => {})])).toThrow("two handlers");
    const disagree = [
      on(OrderPlaced, () => {}, { deadLetter: "a" }),
      on(OrderConfirmed, () => {}, { deadLetter: "b" }),
    ];
    expect(() => app(disagree)).toThrow("disagree about deadLetter");
  });
});

describe("a delivery", () => {
  test("is handed to the handler of its type and answered SUCCESS", async () => {
    const seen: unknown[] = [];
    const { deliver } = app([
      on(OrderPlaced, (e) => seen.push(e)),
      on(OrderConfirmed, () => seen.push("wrong")),
    ]);
    const raw = placed(undefined, { data: { orderId: "o-1", extra: 1 }, subject: "o-1", traceparent: "" });
    expect(await deliver(raw)).toEqual({ code: 200, body: { status: "SUCCESS" } });
    expect(seen).toEqual([
      {
        data: { orderId: "o-1" },
        id: "e-1",
        type: "order.placed",
        topic: "orders",
        source: "shop",
        subject: "o-1",
        time: "2026-01-01T00:00:00Z",
        traceparent: undefined,
        raw,
      },
    ]);
  });

  test("of a type that nobody handles is taken, or goes to onAny", async () => {
    const other = placed({}, { type: "order.archived" });
    expect((await app([on(OrderPlaced, () => {})]).deliver(other)).body).toEqual({ status: "SUCCESS" });
    const seen: string[] = [];
    const { deliver } = app([on(OrderPlaced, () => {}), onAny("orders", ({ type }) => seen.push(type))]);
    await deliver(other);
    await deliver(placed());
    expect(seen).toEqual(["order.archived"]);
  });

  test("whose handler throws is answered RETRY, and onError is told", async () => {
    const told: unknown[] = [];
    const onError = (e: CloudEvent, error: unknown) => told.push([e.id, String(error)]);
    const fails = () => {
      throw new Error("database is away");
    };
    expect((await app([on(OrderPlaced, fails)], { onError }).deliver(placed())).body).toEqual({
      status: "RETRY",
    });
    const rejects = async () => fails();
    expect((await app([on(OrderPlaced, rejects)], { onError }).deliver(placed())).body).toEqual({
      status: "RETRY",
    });
    expect(told).toEqual([
      ["e-1", "Error: database is away"],
      ["e-1", "Error: database is away"],
    ]);
  });

  test("that does not fit is answered DROP once a copy with its reason is in the dead letters", async () => {
    const { deliver, sent } = app([on(OrderPlaced, () => {}, { deadLetter: "orders-dead" })]);
    expect((await deliver(placed({ orderId: 7 }))).body).toEqual({ status: "DROP" });
    expect(sent).toHaveLength(1);
    expect(sent[0]?.path).toBe("/v1.0/publish/bulk/pubsub/orders-dead");
    expect(sent[0]?.events[0]).toEqual({
      ...placed({ orderId: 7 }),
      topic: "orders-dead",
      pubsubname: "pubsub",
      deadletterreason: "The data does not fit: orderId: Invalid type: Expected string but received 7",
      deadlettertopic: "orders",
    });
  });

  test("that is dropped by its handler goes the same way", async () => {
    const told: unknown[] = [];
    const onError = (_: CloudEvent, error: unknown) => told.push(error);
    const dropping = on(OrderPlaced, () => drop("too old"), { deadLetter: "orders-dead" });
    const { deliver, sent } = app([dropping], { onError });
    expect((await deliver(placed())).body).toEqual({ status: "DROP" });
    expect(sent[0]?.events[0]?.deadletterreason).toBe("too old");
    expect(told).toEqual([new EventDropped("too old")]);
  });

  test("is answered RETRY when its dead letter cannot be published", async () => {
    const dead = { deadLetter: "orders-dead" };
    const { deliver } = app([on(OrderPlaced, () => drop("too old"), dead)], { refuse: true });
    expect((await deliver(placed())).body).toEqual({ status: "RETRY" });
  });

  test("that is no CloudEvent is a dead letter; one that is no JSON is refused", async () => {
    const { deliver, sent, routes } = app([on(OrderPlaced, () => {}, { deadLetter: "orders-dead" })]);
    expect((await deliver({ hello: 1 })).body).toEqual({ status: "DROP" });
    expect(sent[0]?.events[0]).toMatchObject({
      hello: 1,
      type: "unknown",
      deadletterreason: "It is not a CloudEvent",
    });
    const response = await routes.request("/_events/orders", { method: "POST", body: "{" });
    expect(response.status).toBe(400);
  });

  test("without the app's token is refused with 401", async () => {
    const { deliver, routes } = app([on(OrderPlaced, () => {})], { token: "secret" });
    expect((await deliver(placed())).code).toBe(401);
    expect((await deliver(placed(), { "dapr-api-token": "secreT" })).code).toBe(401);
    expect((await deliver(placed(), { "dapr-api-token": "secret" })).code).toBe(200);
    expect((await routes.request("/dapr/subscribe")).status).toBe(401);
  });
});

describe("a batch", () => {
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  test("has its events as they lie in the broker, or taken apart by daprd", async () => {
    const seen: string[] = [];
    const { deliver } = app([on(OrderPlaced, ({ id }) => void seen.push(id), { bulk: true })]);
    const events = ["ü", "plain"].map((id) => ({ ...placed(), id }));
    expect((await deliver(batch([base64(JSON.stringify(events[0])), events[1]]))).body).toEqual({
      statuses: [
        { entryId: "entry-0", status: "SUCCESS" },
        { entryId: "entry-1", status: "SUCCESS" },
      ],
    });
    expect(seen).toEqual(["ü", "plain"]);
  });

  test("gives up what has expired and what is no JSON, with its text", async () => {
    const { deliver, sent } = app([on(OrderPlaced, () => {}, { bulk: true, deadLetter: "dead" })]);
    const [late, early] = ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"].map((expiration) =>
      base64(JSON.stringify(placed(undefined, { expiration }))),
    );
    const { body } = await deliver(batch([late, early, base64("no JSON"), "no base64!"]));
    expect((body.statuses as { status: string }[]).map(({ status }) => status)).toEqual([
      "DROP",
      "SUCCESS",
      "DROP",
      "DROP",
    ]);
    expect(sent.map(({ events }) => events[0])).toMatchObject([
      { ...placed(), topic: "dead", deadletterreason: "It has expired" },
      { data: "no JSON", datacontenttype: "text/plain", deadletterreason: "It is no JSON" },
      { data: "no base64!", datacontenttype: "text/plain", deadletterreason: "It is no JSON" },
    ]);
  });

  test("is handled concurrently, and each event answered on its own", async () => {
    let running = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    const handler = async ({ data }: { data: { orderId: string } }) => {
      most = Math.max(most, ++running);
      if (running === 3) gate.resolve();
      await gate.promise;
      if (data.orderId === "throws") throw new Error("no");
      return data.orderId === "drops" ? drop("no") : undefined;
    };
    const { deliver, sent } = app([on(OrderPlaced, handler, { deadLetter: "dead", bulk: true })]);
    const events = ["fine", "throws", "drops"].map((orderId) => placed({ orderId }));
    expect((await deliver(batch([...events, placed({ orderId: 7 })]))).body).toEqual({
      statuses: [
        { entryId: "entry-0", status: "SUCCESS" },
        { entryId: "entry-1", status: "RETRY" },
        { entryId: "entry-2", status: "DROP" },
        { entryId: "entry-3", status: "DROP" },
      ],
    });
    expect(most).toBe(3);
    const reasons = sent.map(({ events }) => events[0]?.deadletterreason);
    expect(reasons.every(Boolean)).toBe(true);
    expect(reasons).toHaveLength(2);
  });

  test("with something in it that is no entry gives that up, and handles the others", async () => {
    const handled: string[] = [];
    const handler = ({ data }: { data: { orderId: string } }) => void handled.push(data.orderId);
    const { deliver, sent } = app([on(OrderPlaced, handler, { deadLetter: "dead", bulk: true })]);
    const whole = batch([placed({ orderId: "o-1" })]);
    const { code, body } = await deliver({ ...whole, entries: [null, ...whole.entries, 7] });
    expect(code).toBe(200);
    expect(body).toMatchObject({ statuses: [{ status: "DROP" }, { status: "SUCCESS" }, { status: "DROP" }] });
    expect(handled).toEqual(["o-1"]);
    expect(sent).toHaveLength(2);
  });

  test("whose rest is delivered again is not answered DROP, which crashes daprd", async () => {
    let attempt = 0;
    const handler = () => {
      if (attempt++ === 0) throw new Error("no");
      return drop("gives up");
    };
    const { deliver, sent } = app([on(OrderPlaced, handler, { deadLetter: "dead" })]);
    expect((await deliver(batch([placed()]))).body).toEqual({
      statuses: [{ entryId: "entry-0", status: "RETRY" }],
    });
    expect((await deliver(batch([placed()]))).body).toEqual({
      statuses: [{ entryId: "entry-0", status: "SUCCESS" }],
    });
    expect(sent).toHaveLength(1);
    expect((await deliver(batch([placed()], "batch-2"))).body).toEqual({
      statuses: [{ entryId: "entry-0", status: "DROP" }],
    });
  });
});

describe("a dead letter", () => {
  test("comes with its reason and where it was published", async () => {
    const letters: unknown[] = [];
    const { routes } = app([onDeadLetter("orders", (letter) => void letters.push(letter))]);
    const raw = placed(undefined, { deadletterreason: "too old", deadlettertopic: "first", topic: "orders" });
    const own = placed(undefined, { id: "e-2", topic: "first" });
    for (const body of [raw, own]) {
      await routes.request("/_events/orders", { method: "POST", body: JSON.stringify(body) });
    }
    expect(letters).toEqual([
      {
        id: "e-1",
        type: "order.placed",
        topic: "first",
        reason: "too old",
        event: placed(undefined, { topic: "first" }),
      },
      { id: "e-2", type: "order.placed", topic: "first", reason: undefined, event: own },
    ]);
  });

  test("is handed over whatever it is, and does not come back", async () => {
    const letters: unknown[] = [];
    const keep = onDeadLetter("orders", (letter) => void letters.push(letter.event.data));
    const own = app([keep], { defaults: { deadLetter: "orders" } });
    expect((await own.deliver("nonsense")).body).toEqual({ status: "SUCCESS" });
    expect(letters).toEqual(["nonsense"]);
    const dropping = app([onAny("orders", () => drop("no"))], { defaults: { deadLetter: "orders" } });
    expect((await dropping.deliver(placed())).body).toEqual({ status: "SUCCESS" });
    expect([...own.sent, ...dropping.sent]).toEqual([]);
  });
});

describe("what is taken over", () => {
  const told: Failure[] = [];
  const takeOver = async (failure: Failure) => void told.push(failure);
  const handler = ({ data }: { data: { orderId: string } }) => {
    if (data.orderId === "throws") throw new Error("no");
    return data.orderId === "drops" ? drop("too old") : undefined;
  };
  const dead = { deadLetter: "dead", bulk: true, retry: "orders-retry" };
  const events = ["fine", "throws", "drops", 7].map((orderId) => placed({ orderId }));

  test("is answered SUCCESS and nothing is published, in a batch and alone", async () => {
    const { deliver, sent } = app([on(OrderPlaced, handler, dead)], { takeOver });
    const statuses = events.map((_, i) => ({ entryId: `entry-${i}`, status: "SUCCESS" }));
    expect((await deliver(batch(events))).body).toEqual({ statuses });
    expect(told.map(({ topic, reason, dropped }) => [topic, reason, dropped])).toEqual([
      ["orders", "no", false],
      ["orders", "too old", true],
      ["orders", "The data does not fit: orderId: Invalid type: Expected string but received 7", true],
    ]);
    expect(told[0]?.event).toEqual(placed({ orderId: "throws" }));
    told.length = 0;
    expect((await deliver({ hello: 1 })).body).toEqual({ status: "SUCCESS" });
    expect(told).toMatchObject([{ reason: "It is not a CloudEvent", dropped: true, event: { hello: 1 } }]);
    expect(sent).toEqual([]);
  });

  test("is answered RETRY when that fails", async () => {
    const fails = () => Promise.reject(new Error("database is away"));
    const { deliver } = app([on(OrderPlaced, handler, dead)], { takeOver: fails });
    expect((await deliver(placed({ orderId: "throws" }))).body).toEqual({ status: "RETRY" });
    expect((await deliver(placed({ orderId: "drops" }))).body).toEqual({ status: "RETRY" });
    expect((await deliver(placed())).body).toEqual({ status: "SUCCESS" });
  });
});

describe("a topic for retries", () => {
  const options = { deadLetter: "dead", bulk: true, retry: "orders-retry" };
  const fails = () => {
    throw new Error("no");
  };

  test("is declared with the dead letters of those that use it, and without bulk", async () => {
    const { routes } = app([on(OrderPlaced, fails, options)]);
    expect(await (await routes.request("/dapr/subscribe")).json()).toContainEqual({
      pubsubname: "pubsub",
      topic: "orders-retry",
      routes: { default: "/_events/orders-retry" },
      deadLetterTopic: "dead",
    });
    const unused = app([on(OrderPlaced, fails, { retry: "orders-retry" })]);
    expect(await (await unused.routes.request("/dapr/subscribe")).json()).toHaveLength(1);
  });

  test("takes the events of a batch that failed, once the broker has them", async () => {
    const { deliver, sent } = app([on(OrderPlaced, fails, options)]);
    expect((await deliver(batch([placed()]))).body).toEqual({
      statuses: [{ entryId: "entry-0", status: "SUCCESS" }],
    });
    expect(sent[0]?.path).toBe("/v1.0/publish/bulk/pubsub/orders-retry");
    expect(sent[0]?.events[0]).toEqual({
      ...placed(),
      topic: "orders-retry",
      pubsubname: "pubsub",
      retryof: "orders",
    });
    const refused = app([on(OrderPlaced, fails, options)], { refuse: true });
    expect((await refused.deliver(batch([placed()]))).body).toEqual({
      statuses: [{ entryId: "entry-0", status: "RETRY" }],
    });
    // Alone, an event holds up nobody.
    expect((await deliver(placed())).body).toEqual({ status: "RETRY" });
  });

  test("hands them to the handler of the topic they come from", async () => {
    const seen: unknown[] = [];
    const { routes } = app([on(OrderPlaced, ({ topic, raw }) => seen.push([topic, raw]), options)]);
    const post = async (body: unknown) =>
      (await routes.request("/_events/orders-retry", { method: "POST", body: JSON.stringify(body) })).json();
    expect(await post({ ...placed(), topic: "orders-retry", retryof: "orders" })).toEqual({
      status: "SUCCESS",
    });
    expect(seen).toEqual([["orders", { ...placed(), topic: "orders" }]]);
    expect(await post({ ...placed(), retryof: "gone" })).toEqual({ status: "SUCCESS" });
    expect(seen).toHaveLength(1);
  });

  test("cannot be one that is used otherwise", () => {
    const other = event("other", "x", v.unknown());
    const two = [on(OrderPlaced, fails, options), on(other, fails, { ...options, deadLetter: "else" })];
    expect(() => app(two)).toThrow("cannot be used for retries");
    expect(() => app([on(OrderPlaced, fails, { ...options, retry: "orders" })])).toThrow(
      "cannot be used for retries",
    );
  });
});

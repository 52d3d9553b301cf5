import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { type CloudEvent, dapr, event, newTraceparent, PublishFailed, SidecarUnreachable } from "./index.ts";
import { publishedIn } from "./testing/index.ts";

const Counted = event("numbers", "counted", v.object({ n: v.number() }));

interface Call {
  url: string;
  headers: Record<string, string>;
  body: unknown;
}

interface Entry {
  entryId: string;
  contentType: string;
  metadata?: Record<string, string>;
  event: unknown;
}

/** A sidecar that notes what it is called with and answers in turn; then with 204. */
function sidecar(answers: (() => Response)[] = [], options: { traceparent?: () => string } = {}) {
  const calls: Call[] = [];
  const made = dapr({
    ...options,
    endpoint: "http://sidecar/",
    apiToken: "secret",
    appId: "counter",
    fetch: async (url, init) => {
      calls.push({
        url,
        headers: init?.headers as Record<string, string>,
        body: JSON.parse(String(init?.body)),
      });
      return answers.shift()?.() ?? new Response(null, { status: 204 });
    },
  });
  return {
    ...made,
    calls,
    entries: () => calls.map(({ body }) => body as Entry[]),
    events: () => calls.map(({ body }) => publishedIn(body)),
  };
}

const refusal = (status: number, errorCode: string, message: string) => () =>
  Response.json({ errorCode, message }, { status });

describe("publish", () => {
  test("sends one event as a CloudEvent, with the token and the app as its source", async () => {
    const { publish, calls } = sidecar();
    await publish(Counted, { n: 1 }, { subject: "s", metadata: { ttlInSeconds: "60" } });
    expect(calls).toEqual([
      {
        url: "http://sidecar/v1.0/publish/pubsub/numbers?metadata.ttlInSeconds=60",
        headers: { "content-type": "application/cloudevents+json", "dapr-api-token": "secret" },
        body: expect.objectContaining({ source: "counter", type: "counted", subject: "s", data: { n: 1 } }),
      },
    ]);
    expect(calls[0]?.body).not.toHaveProperty("metadata");
  });

  test("sends many in one bulk call, and throws which of them failed", async () => {
    const failedEntries = [{ entryId: "1", error: "full" }];
    const { publish, calls, events } = sidecar([() => Response.json({ failedEntries }, { status: 500 })]);
    const error = await publish(Counted, [{ n: 1 }, { n: 2 }]).catch((error) => error);
    const url = "http://sidecar/v1.0/publish/bulk/pubsub/numbers?metadata.rawPayload=true";
    expect(calls.map(({ url }) => url)).toEqual([url]);
    expect(error).toBeInstanceOf(PublishFailed);
    expect(error.failed).toEqual([{ id: events()[0]?.[1]?.id, error: "full" }]);
  });

  test("passes the current trace on unless the event has one", async () => {
    const traceparent = newTraceparent();
    const { publish, calls } = sidecar([], { traceparent: () => traceparent });
    await publish(Counted, { n: 1 });
    const other = newTraceparent();
    await publish(Counted, { n: 1 }, { traceparent: other });
    // daprd empties the traceparent of an event that has no traceid.
    expect(calls.map(({ body }) => body)).toMatchObject([
      { traceparent, traceid: traceparent },
      { traceparent: other, traceid: other },
    ]);
  });
});

describe("publishEvents", () => {
  test("builds one body, with entry ids of its own and each event as the whole text that is passed on", async () => {
    const { publishEvents, calls, events: sent } = sidecar();
    const events = [
      Counted.of({ n: 1 }, { id: "same" }),
      Counted.of({ n: 2 }, { id: "same", source: "other" }),
    ];
    expect(await publishEvents("numbers", events)).toEqual({ failed: [] });
    expect(calls).toHaveLength(1);
    const entry = { contentType: "text/plain", event: expect.any(String) };
    expect(calls[0]?.body).toEqual([
      { entryId: "0", ...entry },
      { entryId: "1", ...entry },
    ]);
    const pubsubname = "pubsub";
    expect(sent()).toEqual([
      [
        { ...events[0], source: "counter", pubsubname },
        { ...events[1], pubsubname },
      ] as CloudEvent[],
    ]);
  });

  test("fills in what daprd would have", async () => {
    const { publishEvents, events } = sidecar();
    const traceparent = newTraceparent();
    const bare = { specversion: "1.0", id: "e-1", type: "counted", data: {}, traceparent } as const;
    await publishEvents("numbers", [bare], { pubsub: "other" });
    const filled = { source: "counter", topic: "numbers", pubsubname: "other", traceid: traceparent };
    expect(events()).toEqual([[{ ...bare, ...filled, time: expect.any(String) }]]);
  });

  test("puts metadata into every entry, where daprd looks for it, beside the event in which daprd notes it", async () => {
    const { publishEvents, calls, entries } = sidecar();
    const event = Counted.of({ n: 1 });
    await publishEvents("numbers", [event], { metadata: { ttlInSeconds: "1" } });
    expect(calls[0]?.url).toEndWith("?metadata.ttlInSeconds=1");
    const contentType = "application/cloudevents+json";
    expect(entries()[0]).toEqual([
      { entryId: "0", contentType, metadata: { ttlInSeconds: "1" }, event: { ...event, source: "counter" } },
    ]);
  });

  test("does nothing for nothing", async () => {
    const { publishEvents, calls } = sidecar();
    expect(await publishEvents("numbers", [])).toEqual({ failed: [] });
    expect(calls).toEqual([]);
  });

  test("splits what is too much for one call", async () => {
    const { publishEvents, events: sent } = sidecar();
    const events = Array.from({ length: 10 }, (_, n) => Counted.of({ n }, { pad: "x".repeat(300_000) }));
    await publishEvents("numbers", events);
    expect(sent().map((body) => body.length)).toEqual([3, 3, 3, 1]);
    expect(sent().flatMap((body) => body.map(({ id }) => id))).toEqual(events.map(({ id }) => id));
  });

  test("names what failed, also when a whole call was refused", async () => {
    const events = Array.from({ length: 4 }, (_, n) => Counted.of({ n }, { pad: "x".repeat(600_000) }));
    const { publishEvents } = sidecar([
      refusal(400, "ERR_PUBSUB_EVENTS_SER", "stream too large"),
      () => Response.json({ failedEntries: [{ entryId: "1" }] }, { status: 500 }),
    ]);
    expect(await publishEvents("numbers", events)).toEqual({
      failed: [
        { id: events[0]?.id ?? "", error: "Publishing to numbers: stream too large" },
        { id: events[1]?.id ?? "", error: "The broker did not accept it" },
      ],
    });
  });

  test("throws when all is refused or the sidecar is away", async () => {
    const { publishEvents } = sidecar([refusal(403, "ERR_PUBSUB_FORBIDDEN", "not allowed")]);
    const error = await publishEvents("numbers", [Counted.of({ n: 1 })]).catch((error) => error);
    expect(error).toMatchObject({ status: 403, errorCode: "ERR_PUBSUB_FORBIDDEN" });
    const away = dapr({ endpoint: "http://sidecar", fetch: () => Promise.reject(new TypeError("refused")) });
    await expect(away.publishEvents("numbers", [Counted.of({ n: 1 })])).rejects.toBeInstanceOf(
      SidecarUnreachable,
    );
  });

  test("finds the bulk API where older versions of daprd have it, once", async () => {
    const unknown = refusal(404, "ERR_PUBSUB_NOT_FOUND", "pubsub bulk is not found");
    const { publishEvents, calls } = sidecar([unknown]);
    await publishEvents("numbers", [Counted.of({ n: 1 })]);
    await publishEvents("numbers", [Counted.of({ n: 2 })]);
    expect(calls.map(({ url }) => new URL(url).pathname)).toEqual([
      "/v1.0/publish/bulk/pubsub/numbers",
      "/v1.0-alpha1/publish/bulk/pubsub/numbers",
      "/v1.0-alpha1/publish/bulk/pubsub/numbers",
    ]);
  });

  test("refuses a traceparent that would crash the sidecars that receive it", async () => {
    const { publishEvents } = sidecar();
    const odd = { ...Counted.of({ n: 1 }), traceparent: 7 };
    await expect(publishEvents("numbers", [odd])).rejects.toThrow("traceparent is a string");
  });
});

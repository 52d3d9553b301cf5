import fc from "fast-check";
import { allEvents, type Published } from "./contract.ts";
import { attack, type Mutation, mutate, nearly } from "./mutate.ts";
import { type Hints, valid } from "./schema.ts";
import { hostileText, json, junk } from "./values.ts";

/** What daprd may hand to an app: one event or a batch, as text with marks in it. */
export interface Delivery {
  topic: string;
  text: string;
}

/** Deliveries to the topics that a service subscribes to: valid, nearly valid and hostile, one by one and in bulk. */
export function deliveries(topics: string[], hints: Hints): fc.Arbitrary<Delivery> {
  return fc.constantFrom(...topics).chain((topic) => {
    const types = allEvents.filter((event) => event.topic === topic);
    const event =
      types.length > 0
        ? fc.oneof(...types.map((type) => eventOf(type, hints)))
        : fc.oneof(...allEvents.map((type) => eventOf(type, hints)));
    const whole = fc.oneof({ weight: 6, arbitrary: event }, { weight: 1, arbitrary: junk });
    const body = fc.oneof(
      { weight: 6, arbitrary: whole },
      { weight: 3, arbitrary: batchOf(topic, whole) },
      {
        weight: 1,
        arbitrary: fc.tuple(batchOf(topic, event), nearly).map(([batch, change]) => mutate(batch, change)),
      },
    );
    const text = fc.oneof(
      { weight: 20, arbitrary: body.map(json) },
      { weight: 1, arbitrary: hostileText.map((some) => some.toWellFormed()) },
    );
    return text.map((made) => ({ topic, text: made }));
  });
}

function eventOf({ topic, type, schema, example }: Published, hints: Hints): fc.Arbitrary<unknown> {
  const data = fc.oneof(
    { weight: 5, arbitrary: valid(schema, hints) },
    { weight: 1, arbitrary: fc.constant(example.data) },
  );
  const change: fc.Arbitrary<Mutation | undefined> = fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 3, arbitrary: nearly },
    { weight: 2, arbitrary: attack },
  );
  const envelope = fc.oneof(
    { weight: 5, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: nearly },
    { weight: 1, arbitrary: attack },
  );
  const time = fc.oneof(
    { weight: 4, arbitrary: fc.constant("2026-01-01T00:00:00.000Z") },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "",
        "yesterday",
        "0",
        "-1",
        "9999-12-31T23:59:59Z",
        "+275760-09-13T00:00:00.001Z",
        "2026-13-45",
      ),
    },
  );
  const id = fc.constantFrom("{{new}}", "{{new}}", "{{new}}", "the-same", "");
  const trace = fc.constantFrom(undefined, "", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, "junk");
  return fc
    .record({ data, change, envelope, time, id, trace })
    .map(({ data, change, envelope, time, id, trace }) => {
      const event = {
        specversion: "1.0",
        id,
        source: "fuzz",
        type,
        subject: "s",
        time,
        datacontenttype: "application/json",
        topic,
        pubsubname: "pubsub",
        ...(trace === undefined ? {} : { traceparent: trace }),
        data: change ? mutate(data, change) : data,
      };
      return envelope ? mutate(event, envelope) : event;
    });
}

function batchOf(topic: string, event: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const entries = fc.array(event, { minLength: 1, maxLength: 4 });
  return fc.tuple(entries, fc.constantFrom(1, 1, 1, 1, 40)).map(([some, times]) => ({
    id: "{{new}}",
    entries: Array.from({ length: some.length * times }, (_, index) => ({
      entryId: String(index),
      event: some[index % some.length],
    })),
    metadata: null,
    pubsubname: "pubsub",
    topic,
    type: "com.dapr.event.sent.bulk",
  }));
}

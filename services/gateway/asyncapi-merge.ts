/** What a service publishes and receives, as `contract/events.json` has it. */
export interface ServiceEvents {
  source: string;
  events: {
    topic: string;
    type: string;
    schema: Record<string, unknown>;
    example: Record<string, unknown>;
  }[];
  receives: { topic: string; type: string }[];
}

/** An event, with who tells it and who listens. */
export interface Told {
  topic: string;
  type: string;
  from: string;
  to: string[];
  schema: Record<string, unknown>;
  example: Record<string, unknown>;
}

/** Every event of the shop, by topic. */
export function told(services: ServiceEvents[]): Map<string, Told[]> {
  const all = services.flatMap(({ source, events }) =>
    events.map((event): Told => {
      const to = services.filter(({ receives }) =>
        receives.some(({ topic, type }) => topic === event.topic && type === event.type),
      );
      const { $schema: _, ...schema } = event.schema;
      return { ...event, from: source, to: to.map((one) => one.source), schema };
    }),
  );
  return Map.groupBy(all, ({ topic }) => topic);
}

const text = { type: "string" };

/** CloudEvents 1.0, JSON format, with the attributes that Dapr and tracing add. */
const cloudEvent = {
  type: "object",
  title: "CloudEvent",
  required: ["specversion", "id", "source", "type", "data"],
  properties: {
    specversion: { const: "1.0" },
    id: {
      ...text,
      description: "With `source` it names the event for ever: what has been seen is not done again",
    },
    source: { ...text, description: "The service that tells it" },
    type: text,
    subject: { ...text, description: "What it is about: events of one subject come in order" },
    time: { ...text, format: "date-time" },
    datacontenttype: { const: "application/json" },
    traceparent: { ...text, description: "The trace that led to it (W3C Trace Context)" },
    tracestate: text,
  },
};

const contentType = "application/cloudevents+json";

/** One AsyncAPI 3.0 document of every event that services tell each other: a channel a topic. */
export function asyncApi(services: ServiceEvents[], version: string) {
  const topics = [...told(services)];
  const messages = topics.flatMap(([, events]) => events.map((event) => [event.type, message(event)]));
  return {
    asyncapi: "3.0.0",
    id: "urn:souk:events",
    info: {
      title: "Souk: events",
      version,
      description:
        "What services tell each other through Dapr pub/sub: at least once, in no order but that of a subject. " +
        "Events only ever gain optional fields. The broker is the deployment's choice.",
      license: { name: "Apache-2.0" },
      tags: services.map(({ source }) => ({ name: source })),
    },
    defaultContentType: contentType,
    channels: Object.fromEntries(
      topics.map(([topic, events]) => [
        topic,
        {
          address: topic,
          title: `Topic ${topic}`,
          messages: Object.fromEntries(
            events.map(({ type }) => [type, { $ref: `#/components/messages/${type}` }]),
          ),
        },
      ]),
    ),
    operations: Object.fromEntries(topics.flatMap(([topic, events]) => operations(topic, events))),
    components: { messages: Object.fromEntries(messages), schemas: { CloudEvent: cloudEvent } },
  };
}

function message({ type, from, schema, example }: Told) {
  return {
    name: type,
    title: type,
    contentType,
    tags: [{ name: from }],
    headers: {
      type: "object",
      properties: { "content-type": { const: contentType } },
    },
    payload: {
      allOf: [
        { $ref: "#/components/schemas/CloudEvent" },
        { type: "object", properties: { type: { const: type }, source: { const: from }, data: schema } },
      ],
    },
    examples: [{ name: type, headers: { "content-type": contentType }, payload: example }],
  };
}

/** Each service sends or receives, on each topic, some of its messages. */
function operations(topic: string, events: Told[]): [name: string, operation: object][] {
  const one = (service: string, action: "send" | "receive", some: Told[]): [string, object] => [
    `${service}.${action}.${topic}`,
    {
      action,
      title: `${service} ${action === "send" ? "tells" : "hears"} ${topic}`,
      channel: { $ref: `#/channels/${topic}` },
      messages: some.map(({ type }) => ({ $ref: `#/channels/${topic}/messages/${type}` })),
      tags: [{ name: service }],
    },
  ];
  const senders = Map.groupBy(events, ({ from }) => from);
  const receivers = new Set(events.flatMap(({ to }) => to));
  return [
    ...[...senders].map(([service, some]) => one(service, "send", some)),
    ...[...receivers].map((service) =>
      one(
        service,
        "receive",
        events.filter(({ to }) => to.includes(service)),
      ),
    ),
  ];
}

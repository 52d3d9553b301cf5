import { Hono } from "hono";
import type { CloudEvent } from "../event.ts";
import { problem } from "./answers.ts";
import type { Broker } from "./broker.ts";
import type { Timers } from "./clock.ts";
import type { Rules } from "./rules.ts";

/** `refuse` picks the events that a fault refuses. */
export type ApiEnv = { Bindings: { refuse: ((event: CloudEvent) => boolean) | null } };

interface Inside {
  broker: Broker;
  timers: Timers;
  rules: Rules;
  pubsubs: readonly string[];
}

/** What an app publishes with. */
export function pubsubApi(appId: string, { broker, timers, rules, pubsubs }: Inside): Hono<ApiEnv> {
  const api = new Hono<ApiEnv>();

  for (const version of ["v1.0", "v1.0-alpha1"]) {
    api.on(["POST", "PUT"], `/${version}/publish/bulk/:pubsub/:topic{.+}`, async (c) => {
      const { pubsub, topic } = c.req.param();
      const refusal = refusedTopic(pubsub, topic);
      if (refusal) return refusal;
      const body = await c.req.arrayBuffer();
      if (body.byteLength > MAX_BODY) return problem(400, "ERR_PUBSUB_EVENTS_SER", "stream too large");
      const entries = JSON.parse(new TextDecoder().decode(body)) as BulkEntry[];
      if (new Set(entries.map(({ entryId }) => entryId)).size < entries.length) {
        return problem(400, "ERR_PUBSUB_EVENTS_SER", "entryId is duplicated or not present for entry");
      }
      const failed: { entryId: string; error: string }[] = [];
      const raw = c.req.query("metadata.rawPayload") === "true";
      for (const entry of entries) {
        const { entryId, event, metadata } = entry;
        if (c.env.refuse?.(eventOf(entry)))
          failed.push({ entryId, error: "The fake broker is told to refuse it" });
        else if (raw) broker.append(pubsub, topic, typeof event === "string" ? event : JSON.stringify(event));
        else append(pubsub, topic, eventOf(entry), metadata);
      }
      if (failed.length === 0) return c.body(null, 204);
      return c.json({ failedEntries: failed, errorCode: "ERR_PUBSUB_PUBLISH_MESSAGE" }, 500);
    });
  }

  api.on(["POST", "PUT"], "/v1.0/publish/:pubsub/:topic{.+}", async (c) => {
    const { pubsub, topic } = c.req.param();
    const refusal = refusedTopic(pubsub, topic);
    if (refusal) return refusal;
    const text = await c.req.text();
    const type = c.req.header("content-type") ?? "text/plain";
    append(pubsub, topic, asCloudEvent(text, type, appId), metadataOf(c.req.query()));
    return c.body(null, 204);
  });

  function refusedTopic(pubsub: string, topic: string): Response | null {
    if (!pubsubs.includes(pubsub))
      return problem(404, "ERR_PUBSUB_NOT_FOUND", `pubsub ${pubsub} is not found`);
    if (rules.mayPublish(appId, topic)) return null;
    return problem(403, "ERR_PUBSUB_FORBIDDEN", `topic ${topic} is not allowed for app id ${appId}`);
  }

  function append(pubsub: string, topic: string, event: CloudEvent, metadata?: Record<string, string>): void {
    const { traceid, traceparent = "", tracestate = "" } = event;
    const ttl = Number(metadata?.ttlInSeconds);
    const envelope = {
      ...event,
      time: event.time ?? new Date(timers.now()).toISOString(),
      // With its tracing off, daprd empties the traceparent of events without a traceid.
      traceid: traceid ?? "",
      traceparent: traceid === undefined ? "" : traceparent,
      tracestate,
      topic,
      pubsubname: pubsub,
      source: event.source ?? "Dapr",
      type: event.type ?? "com.dapr.event.sent",
      specversion: event.specversion ?? "1.0",
      ...(ttl > 0 && { expiration: new Date(timers.now() + ttl * 1000).toISOString() }),
    };
    broker.append(pubsub, topic, JSON.stringify(envelope));
  }

  return api;
}

// As daprd's --max-body-size.
const MAX_BODY = 4 << 20;

interface BulkEntry {
  entryId: string;
  event: CloudEvent | string;
  metadata?: Record<string, string>;
}

/** An entry's event, also when it is handed over as the text that the broker is given (`rawPayload`). */
const eventOf = ({ event }: Pick<BulkEntry, "event">): CloudEvent =>
  typeof event === "string" ? (JSON.parse(event) as CloudEvent) : event;

/** The events of a call to daprd's publish API, for fakes of it: one, or an array of entries. */
export function publishedIn(body: unknown): CloudEvent[] {
  return Array.isArray(body) ? (body as BulkEntry[]).map(eventOf) : [body as CloudEvent];
}

function asCloudEvent(text: string, contentType: string, source: string): CloudEvent {
  if (contentType.startsWith("application/cloudevents+json")) return JSON.parse(text) as CloudEvent;
  const json = contentType.startsWith("application/json");
  return {
    specversion: "1.0",
    id: crypto.randomUUID(),
    source,
    type: "com.dapr.event.sent",
    time: new Date().toISOString(),
    datacontenttype: contentType,
    data: json ? JSON.parse(text) : text,
  };
}

function metadataOf(query: Record<string, string>): Record<string, string> {
  const entries = Object.entries(query).filter(([name]) => name.startsWith("metadata."));
  return Object.fromEntries(entries.map(([name, value]) => [name.slice("metadata.".length), value]));
}

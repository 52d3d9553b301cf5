import { type CallOptions, type Client, discard, metadataQuery, request } from "./client.ts";
import { type DaprError, errorOf, PublishFailed } from "./errors.ts";
import type { EventOptions, EventType } from "./event.ts";

export interface PublishOptions extends CallOptions {
  /** The pub/sub component. Default: the one given to `dapr()`. */
  pubsub?: string;
  /** Metadata for the component, such as `{ ttlInSeconds: "60" }`. */
  metadata?: Record<string, string>;
}

/** An event to publish; the publisher's app id is put in where `source` is missing. */
export interface PublishableEvent {
  specversion: "1.0";
  id: string;
  type: string;
  source?: string;
  [attribute: string]: unknown;
}

export interface Published {
  /** The events that the broker did not accept. Empty: all are accepted. */
  failed: { id: string; error: string }[];
}

export interface Publisher {
  /**
   * Publishes one event, or many in one bulk call when `data` is an array.
   * Throws `PublishFailed` (which names the events), `DaprError` or `SidecarUnreachable`.
   */
  publish<T, Input>(
    type: EventType<T, Input>,
    data: Input | readonly Input[],
    options?: EventOptions & PublishOptions,
  ): Promise<void>;
  /**
   * Publishes events in bulk, in as few calls as daprd's limit on bodies allows. Their ids are kept. The order within
   * one call is the component's business: most brokers, Redis among them, are written to concurrently.
   * Throws `DaprError` or `SidecarUnreachable` when none was accepted for a reason that concerns all of them.
   */
  publishEvents(
    topic: string,
    events: readonly PublishableEvent[],
    options?: PublishOptions,
  ): Promise<Published>;
}

interface Settings {
  pubsub: string;
  appId: string;
  traceparent(): string | undefined;
}

// daprd reads at most 4 MiB of a body unless told otherwise; a UTF-16 unit takes at most 3 bytes in UTF-8.
const MAX_BULK_CHARACTERS = 1 << 20;
const CLOUD_EVENT = "application/cloudevents+json";
const RAW = { rawPayload: "true" };

export function publisher(client: Client, settings: Settings): Publisher {
  // Before it was stable, the bulk API was at v1.0-alpha1 only. The first refusal tells.
  let bulkVersion: "v1.0" | "v1.0-alpha1" = "v1.0";

  async function publish<T, Input>(
    type: EventType<T, Input>,
    data: Input | readonly Input[],
    { pubsub, metadata, signal, ...options }: EventOptions & PublishOptions = {},
  ): Promise<void> {
    const made = { traceparent: settings.traceparent(), ...options };
    if (!Array.isArray(data)) {
      return publishOne(type.topic, type.of(data as Input, made), { pubsub, metadata, signal });
    }
    const events = data.map((item: Input) => type.of(item, made));
    const { failed } = await publishEvents(type.topic, events, { pubsub, metadata, signal });
    if (failed.length > 0) throw new PublishFailed(type.topic, failed);
  }

  async function publishOne(topic: string, event: PublishableEvent, options: PublishOptions): Promise<void> {
    const pubsub = encodeURIComponent(options.pubsub ?? settings.pubsub);
    const path = `/v1.0/publish/${pubsub}/${encodeURIComponent(topic)}${metadataQuery(options.metadata)}`;
    const response = await request(client, path, {
      method: "POST",
      headers: { "content-type": CLOUD_EVENT },
      body: serialize(event, settings.appId),
      signal: options.signal,
    });
    if (!response.ok) throw await errorOf(response, `Publishing to ${topic}`);
    await discard(response);
  }

  async function publishEvents(
    topic: string,
    events: readonly PublishableEvent[],
    options: PublishOptions = {},
  ): Promise<Published> {
    const failed: Published["failed"] = [];
    let refused: DaprError | undefined;
    let accepted = 0;
    for (let from = 0; from < events.length; ) {
      const { body, to } = bulkBody(events, from, (event) => entry(event, topic, options));
      const result = await publishBulk(topic, body, options);
      if (result instanceof Error) {
        refused ??= result;
        for (let i = from; i < to; i++) failed.push({ id: idAt(events, i), error: result.message });
      } else {
        accepted += to - from;
        for (const { entryId, error } of result) failed.push({ id: idAt(events, Number(entryId)), error });
      }
      from = to;
    }
    if (refused && accepted === 0) throw refused;
    return { failed };
  }

  /**
   * An entry without its id. daprd takes every event apart and puts it together again to fill in what is missing, which
   * costs it more than all else that it does for a publish; so events are handed over complete, as text to be passed
   * on. Only where it has to write something of the metadata into them, such as when they expire, it gets them as events.
   */
  function entry(event: PublishableEvent, topic: string, { metadata, pubsub }: PublishOptions): string {
    if (metadata) {
      // daprd leaves metadata of the request out of entries that have none of their own.
      const own = `"metadata":${JSON.stringify(metadata)},"event":${serialize(event, settings.appId)}`;
      return `"contentType":"${CLOUD_EVENT}",${own}`;
    }
    const pubsubname = pubsub ?? settings.pubsub;
    const filledIn = { time: event.time ?? new Date().toISOString(), topic, pubsubname };
    return `"contentType":"text/plain","event":${JSON.stringify(serialize(event, settings.appId, filledIn))}`;
  }

  /** The entries that failed, or the error that refused the call as a whole. */
  async function publishBulk(
    topic: string,
    body: string,
    options: PublishOptions,
  ): Promise<FailedEntry[] | DaprError> {
    const pubsub = encodeURIComponent(options.pubsub ?? settings.pubsub);
    const metadata = options.metadata ?? RAW;
    const path = `/publish/bulk/${pubsub}/${encodeURIComponent(topic)}${metadataQuery(metadata)}`;
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal: options.signal,
    };
    const response = await request(client, `/${bulkVersion}${path}`, init);
    if (response.ok) {
      await discard(response);
      return [];
    }
    const text = await response.text();
    const entries = failedEntries(text);
    if (entries) return entries;
    const error = await errorOf(new Response(text, { status: response.status }), `Publishing to ${topic}`);
    // A daprd that does not know the path takes "bulk" for the name of the component.
    if (
      bulkVersion === "v1.0" &&
      error.errorCode === "ERR_PUBSUB_NOT_FOUND" &&
      / bulk is not found/.test(error.message)
    ) {
      bulkVersion = "v1.0-alpha1";
      return publishBulk(topic, body, options);
    }
    return error;
  }

  return { publish, publishEvents };
}

interface FailedEntry {
  entryId: string;
  error: string;
}

function failedEntries(text: string): FailedEntry[] | null {
  if (!text.includes('"failedEntries"')) return null;
  const { failedEntries } = JSON.parse(text) as { failedEntries?: { entryId: string; error?: string }[] };
  if (!failedEntries || failedEntries.length === 0) return null;
  return failedEntries.map(({ entryId, error = "The broker did not accept it" }) => ({ entryId, error }));
}

/** The body of one call, with as many events as fit, and where the next one starts. The entry ids are indexes. */
function bulkBody(
  events: readonly PublishableEvent[],
  from: number,
  entryOf: (event: PublishableEvent) => string,
): { body: string; to: number } {
  let body = "";
  let to = from;
  for (; to < events.length; to++) {
    const event = events[to];
    if (event === undefined) break;
    const entry = `{"entryId":"${to}",${entryOf(event)}}`;
    if (body && body.length + entry.length > MAX_BULK_CHARACTERS) break;
    body += body ? `,${entry}` : entry;
  }
  return { body: `[${body}]`, to };
}

/**
 * The event as JSON. daprd overwrites `traceparent` unless the older `traceid` is there, and takes both for strings
 * without looking: anything else would crash the sidecars that receive it.
 */
function serialize(event: PublishableEvent, appId: string, filledIn?: object): string {
  const { traceparent, source = appId } = event;
  if (traceparent === undefined) return JSON.stringify({ ...event, ...filledIn, source });
  if (typeof traceparent !== "string") throw new TypeError("An event's traceparent is a string");
  return JSON.stringify({ ...event, ...filledIn, source, traceid: traceparent });
}

const idAt = (events: readonly PublishableEvent[], index: number): string =>
  events[index]?.id ?? String(index);

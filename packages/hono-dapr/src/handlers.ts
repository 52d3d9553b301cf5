import { textIn } from "./batch.ts";
import type { CloudEvent, EventType } from "./event.ts";
import { describeIssues } from "./schema.ts";

/** What a handler is given. */
export interface Received<T> {
  /** As the schema gives it back. */
  data: T;
  /** The same at every delivery of the event. */
  id: string;
  type: string;
  topic: string;
  source: string;
  subject?: string;
  /** RFC 3339. */
  time?: string;
  traceparent?: string;
  /** The whole CloudEvent as it came. */
  raw: CloudEvent;
}

/**
 * Throws: the event is tried again. Gives `drop("why")`: it goes to the dead letters at once. Gives anything else: done.
 * May be async.
 */
export type EventHandler<T> = (event: Received<T>) => unknown;

export interface SubscriptionOptions {
  /** The topic for events that cannot be handled. Without one they are lost when daprd gives up. */
  deadLetter?: string;
  /**
   * Has events delivered in batches: up to `max` (100 by default) of them, waiting at most `waitMs` milliseconds
   * for more to come. The handlers of one batch run concurrently.
   */
  bulk?: { max?: number; waitMs?: number } | boolean;
  /**
   * With `bulk`: a topic of this app's own, such as `orders-retry`, where events go whose handler threw. daprd delivers
   * no further batch of a topic before the last one is through with all its retries, so without it one event that
   * fails again and again holds up all that come after it. From there events are delivered one by one.
   */
  retry?: string;
  /** Metadata of the subscription, for the component. */
  metadata?: Record<string, string>;
}

/** What one app does with one type of event of one topic. */
export interface Subscription {
  topic: string;
  /** `undefined`: every type. */
  type: string | undefined;
  options: SubscriptionOptions;
  /** What the handler gives; throws what it throws. */
  handle(raw: CloudEvent, topic: string): Promise<unknown>;
}

/** What one app does with something else that daprd delivers. */
export interface Callback {
  path: string;
  /** Throws: answered 500. */
  handle(body: string, headers: Headers): Promise<unknown>;
}

const dropped = Symbol("dropped");

/** A handler's word that an event is not to be tried again. */
export interface Dropped {
  readonly [dropped]: true;
  readonly reason: string;
}

/** Sends the event to the dead letters at once: trying again would not help. */
export const drop = (reason: string): Dropped => ({ [dropped]: true, reason });

/**
 * Binds a handler to a type of event. What does not fit the schema goes to the dead letters, with the reason.
 *
 * @example
 * on(OrderPlaced, async ({ data, id }) => reserve(data.orderId, id), { deadLetter: "orders-dead", bulk: { max: 100 } })
 */
export function on<T, Input>(
  type: EventType<T, Input>,
  handler: EventHandler<T>,
  options: SubscriptionOptions = {},
): Subscription {
  const { validate } = type.schema["~standard"];
  return {
    topic: type.topic,
    type: type.type,
    options,
    async handle(raw, topic) {
      const validated = validate(raw.data);
      const result = validated instanceof Promise ? await validated : validated;
      if (result.issues) return drop(`The data does not fit: ${describeIssues(result.issues)}`);
      return handler(received(raw, topic, result.value));
    },
  };
}

/** Binds a handler to every event of a topic that no `on` of the same topic takes, whatever its type. */
export function onAny(
  topic: string,
  handler: EventHandler<unknown>,
  options: SubscriptionOptions = {},
): Subscription {
  return { topic, type: undefined, options, handle: async (raw) => handler(received(raw, topic, raw.data)) };
}

/** An event that came to a topic of dead letters. */
export interface DeadLetter {
  id: string;
  type: string;
  /** Where it was published first, when that is known. */
  topic: string;
  /** Why it was given up; `undefined` on daprd's own copy of it. */
  reason: string | undefined;
  /** The event, without what was added to it here. What is no CloudEvent is the data of one. */
  event: CloudEvent;
}

/**
 * Binds a handler to a topic of dead letters. An event may come twice, once with its reason and once without
 * (daprd's own copy): tell them by `id`, and keep the reason. What is no JSON comes too, with its text as data.
 */
export function onDeadLetter(
  topic: string,
  handler: (letter: DeadLetter) => void | Promise<void>,
  options: SubscriptionOptions = {},
): Subscription {
  return onAny(
    topic,
    async ({ raw: delivered }) => {
      const raw = unwrapped(delivered);
      const { id, type } = raw;
      const { [REASON]: reason, [ORIGIN]: origin, [RETRY_OF]: retryOf, ...event } = raw;
      const from = [origin, retryOf, raw.topic].find((name) => typeof name === "string") ?? topic;
      await handler({
        id,
        type,
        topic: String(from),
        reason: typeof reason === "string" ? reason : undefined,
        event: { ...event, topic: from } as CloudEvent,
      });
    },
    // As a CloudEvent, daprd would deliver nothing that is none, and try to for ever.
    { ...options, metadata: { rawPayload: "true", ...options.metadata } },
  );
}

/** The event inside a delivery with `rawPayload`, which has it as base64; the delivery with the text when it is none. */
function unwrapped({ data_base64: base64, ...delivery }: CloudEvent): CloudEvent {
  if (typeof base64 !== "string") return delivery;
  const text = textIn(base64);
  try {
    const value: unknown = JSON.parse(text);
    if (isCloudEvent(value)) return value;
    return { ...delivery, datacontenttype: "application/json", data: value };
  } catch {
    return { ...delivery, datacontenttype: "text/plain", data: text };
  }
}

export const isCloudEvent = (value: unknown): value is CloudEvent =>
  typeof value === "object" &&
  value !== null &&
  "type" in value &&
  typeof value.type === "string" &&
  "id" in value &&
  typeof value.id === "string";

/** The extension of a dead letter that says why. */
export const REASON = "deadletterreason";
/** The extension of a dead letter that says which topic it came from. */
export const ORIGIN = "deadlettertopic";
/** The same, of an event that waits in a topic for retries. */
export const RETRY_OF = "retryof";

/** Whether this is what {@link drop} gives: a handler's word that an event is not to be tried again. */
export const isDropped = (value: unknown): value is Dropped =>
  typeof value === "object" && value !== null && dropped in value;

function received<T>(raw: CloudEvent, topic: string, data: T): Received<T> {
  const { id, type, source, subject, time } = raw;
  // daprd fills in an empty traceparent when its tracing is off; what is no text comes from elsewhere.
  const traceparent = typeof raw.traceparent === "string" ? raw.traceparent || undefined : undefined;
  return { data, id, type, topic, source, subject, time, traceparent, raw };
}

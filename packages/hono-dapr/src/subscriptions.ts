import { type Context, Hono } from "hono";
import type { ConfigurationItems, Watchers } from "./configuration.ts";
import type { CloudEvent, EventType } from "./event.ts";
import type { PublishableEvent } from "./publish.ts";
import { describeIssues } from "./schema.ts";
import { appToken } from "./token.ts";

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
  handle(body: string): Promise<unknown>;
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
  /** The event, without what was added to it here. */
  event: CloudEvent;
}

/**
 * Binds a handler to a topic of dead letters. An event may come twice, once with its reason and once without
 * (daprd's own copy): tell them by `id`, and keep the reason.
 */
export function onDeadLetter(
  topic: string,
  handler: (letter: DeadLetter) => void | Promise<void>,
  options: SubscriptionOptions = {},
): Subscription {
  return onAny(
    topic,
    async ({ raw, id, type }) => {
      const { [REASON]: reason, [ORIGIN]: origin, [RETRY_OF]: retryOf, ...event } = raw;
      const from = [origin, retryOf, raw.topic].find((name) => typeof name === "string") ?? topic;
      await handler({
        id,
        type,
        topic: String(from),
        reason: typeof reason === "string" ? reason : undefined,
        event: event as CloudEvent,
      });
    },
    options,
  );
}

/** The extension of a dead letter that says why. */
const REASON = "deadletterreason";
/** The extension of a dead letter that says which topic it came from. */
const ORIGIN = "deadlettertopic";
/** The same, of an event that waits in a topic for retries. */
const RETRY_OF = "retryof";

export interface SubscriptionsOptions {
  /** The pub/sub component. Default: the one given to `dapr()`. */
  pubsub?: string;
  /** For subscriptions that do not say otherwise. */
  defaults?: SubscriptionOptions;
  /** Told of every handler that threw and every event that was given up, for the log. */
  onError?: (event: CloudEvent, error: unknown) => void;
}

interface Settings {
  pubsub: string;
  appToken: string | undefined;
  watchers: Watchers;
  publishEvents(
    topic: string,
    events: readonly PublishableEvent[],
    options: { pubsub: string },
  ): Promise<{ failed: { id: string; error: string }[] }>;
}

type Status = "SUCCESS" | "RETRY" | "DROP";

/** A topic: its one route, and who handles what comes there. */
interface Topic {
  name: string;
  route: string;
  handlers: Map<string, Subscription>;
  rest?: Subscription;
  options: SubscriptionOptions;
  /** Those whose events come here to be tried again. */
  retryOf?: Map<string, Topic>;
}

const JSON_TYPE = { "content-type": "application/json" };

/** The app that answers `/dapr/subscribe` and takes what daprd delivers. */
export function subscriptionsApp(
  inbound: readonly (Subscription | Callback)[],
  { pubsub, appToken: token, watchers, publishEvents }: Settings,
  { defaults, onError }: SubscriptionsOptions,
): Hono {
  const topics = byTopic(inbound.filter(isSubscription), defaults);
  const guard = appToken(token);
  const app = new Hono();
  const declared = topics.map((topic) => declaration(topic, pubsub));
  app.get("/dapr/subscribe", guard, (c) => c.json(declared));
  for (const topic of topics) {
    const retried = new Retried();
    app.post(topic.route, guard, (c) => receive(c, topic, retried));
  }
  for (const callback of inbound) {
    if (isSubscription(callback)) continue;
    // daprd asks first whether the app wants an input binding.
    app.options(callback.path, guard, (c) => c.body(null, 200));
    app.post(callback.path, guard, async (c) => {
      await callback.handle(await c.req.text());
      return c.body(null, 200);
    });
  }
  app.post("/configuration/:store/:key{.+}", guard, async (c) => {
    const { id, items } = await c.req.json<{ id: string; items: ConfigurationItems }>();
    await watchers.get(id)?.(items);
    return c.body(null, 200);
  });
  return app;

  async function receive(c: Context, topic: Topic, retried: Retried): Promise<Response> {
    let body: unknown;
    try {
      body = await c.req.json();
    } catch (error) {
      return c.json({ error: `The delivery is not JSON: ${error}` }, 400);
    }
    if (isBatch(body)) return receiveBatch(body, topic, retried);
    const status = await handle(body, topic);
    return new Response(`{"status":"${status}"}`, { headers: JSON_TYPE });
  }

  async function receiveBatch(batch: Batch, topic: Topic, retried: Retried): Promise<Response> {
    const statuses = await Promise.all(batch.entries.map(({ event }) => handleInBatch(event, topic)));
    // When daprd delivers the rest of a batch again, a DROP makes it look the event up in the wrong place and crash
    // (subscription/postman/http: the index is the one of the whole batch). It is in the dead letters by now.
    const again = retried.has(batch.id);
    if (statuses.includes("RETRY")) retried.add(batch.id);
    const entries = batch.entries.map(({ entryId }, i) => ({
      entryId,
      status: again && statuses[i] === "DROP" ? "SUCCESS" : statuses[i],
    }));
    return new Response(JSON.stringify({ statuses: entries }), { headers: JSON_TYPE });
  }

  async function handleInBatch(event: unknown, topic: Topic): Promise<Status> {
    const status = await handle(event, topic);
    const { retry } = topic.options;
    if (status !== "RETRY" || !retry || !isCloudEvent(event)) return status;
    return (await moved(event, retry, { [RETRY_OF]: topic.name })) ? "SUCCESS" : "RETRY";
  }

  async function handle(value: unknown, arrival: Topic): Promise<Status> {
    const { event, topic } = originOf(value, arrival);
    if (!topic) return "SUCCESS";
    if (!isCloudEvent(event) && !topic.rest) return giveUp(asEvent(event), topic, "It is not a CloudEvent");
    const known = isCloudEvent(event) ? event : asEvent(event);
    const subscription = topic.handlers.get(known.type) ?? topic.rest;
    if (!subscription) return "SUCCESS";
    try {
      const result = await subscription.handle(known, topic.name);
      return isDropped(result) ? await giveUp(known, topic, result.reason) : "SUCCESS";
    } catch (error) {
      onError?.(known, error);
      return "RETRY";
    }
  }

  /** daprd forwards what is dropped to the dead letters as it is; the copy with the reason is sent from here. */
  async function giveUp(event: CloudEvent, topic: Topic, reason: string): Promise<Status> {
    onError?.(event, new Error(`Dropped: ${reason}`));
    const { deadLetter } = topic.options;
    if (!deadLetter) return "DROP";
    // What is dropped from the dead letters would come back for ever.
    if (deadLetter === topic.name) return "SUCCESS";
    return (await moved(event, deadLetter, { [REASON]: reason, [ORIGIN]: topic.name })) ? "DROP" : "RETRY";
  }

  /** Publishes the event to another topic; `false` when the broker did not take it. */
  async function moved(event: CloudEvent, to: string, extensions: Record<string, string>): Promise<boolean> {
    try {
      const { failed } = await publishEvents(to, [{ ...event, ...extensions }], { pubsub });
      const [failure] = failed;
      if (failure) throw new Error(failure.error);
      return true;
    } catch (error) {
      onError?.(event, error);
      return false;
    }
  }
}

/** The event and the topic it was published to, which is another one when it comes from a topic for retries. */
function originOf(value: unknown, arrival: Topic): { event: unknown; topic: Topic | undefined } {
  if (!arrival.retryOf) return { event: value, topic: arrival };
  if (!isCloudEvent(value)) return { event: value, topic: undefined };
  const { [RETRY_OF]: name, ...event } = value;
  return { event: { ...event, topic: name }, topic: arrival.retryOf.get(String(name)) };
}

function byTopic(subscriptions: readonly Subscription[], defaults: SubscriptionOptions = {}): Topic[] {
  const topics = new Map<string, Topic>();
  for (const subscription of subscriptions) {
    const { topic: name, type } = subscription;
    let topic = topics.get(name);
    if (!topic) {
      const route = `/_events/${encodeURIComponent(name)}`;
      topic = { name, route, handlers: new Map(), options: { ...defaults } };
      topics.set(name, topic);
    }
    if (type === undefined ? topic.rest : topic.handlers.has(type)) {
      throw new Error(`There are two handlers for ${type ?? "every type"} of the topic ${name}`);
    }
    if (type === undefined) topic.rest = subscription;
    else topic.handlers.set(type, subscription);
    mergeOptions(topic, subscription.options, defaults);
  }
  return [...topics.values(), ...retryTopics([...topics.values()])];
}

/** The topics for retries; each has the dead letters of those that use it. */
function retryTopics(topics: readonly Topic[]): Topic[] {
  const found = new Map<string, Topic>();
  for (const topic of topics) {
    const { retry, bulk, deadLetter } = topic.options;
    if (!retry || !bulk) continue;
    const known = found.get(retry);
    if (topics.some(({ name }) => name === retry) || (known && known.options.deadLetter !== deadLetter)) {
      throw new Error(`The topic ${retry} cannot be used for retries of ${topic.name}: it is used otherwise`);
    }
    const retryOf = new Map(known?.retryOf).set(topic.name, topic);
    const route = `/_events/${encodeURIComponent(retry)}`;
    found.set(retry, { name: retry, route, handlers: new Map(), options: { deadLetter }, retryOf });
  }
  return [...found.values()];
}

/** daprd knows one set of options a topic, so those of its handlers must not contradict each other. */
function mergeOptions(topic: Topic, options: SubscriptionOptions, defaults: SubscriptionOptions): void {
  for (const name of ["deadLetter", "bulk", "retry", "metadata"] as const) {
    const value = options[name];
    if (value === undefined) continue;
    const known = topic.options[name];
    if (known !== defaults[name] && JSON.stringify(known) !== JSON.stringify(value)) {
      throw new Error(`The handlers of the topic ${topic.name} disagree about ${name}`);
    }
    Object.assign(topic.options, { [name]: value });
  }
}

function declaration({ name, route, options }: Topic, pubsub: string) {
  const bulk = options.bulk === true ? {} : options.bulk;
  return {
    pubsubname: pubsub,
    topic: name,
    routes: { default: route },
    ...(options.deadLetter && { deadLetterTopic: options.deadLetter }),
    ...(options.metadata && { metadata: options.metadata }),
    ...(bulk && {
      bulkSubscribe: {
        enabled: true,
        maxMessagesCount: bulk.max ?? 100,
        maxAwaitDurationMs: bulk.waitMs ?? 10,
      },
    }),
  };
}

const isSubscription = (inbound: Subscription | Callback): inbound is Subscription => "topic" in inbound;

interface Batch {
  /** The same when daprd delivers the rest of a batch again. */
  id: string;
  entries: { entryId: string; event: unknown }[];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isBatch = (body: unknown): body is Batch =>
  isObject(body) && Array.isArray(body.entries) && body.specversion === undefined;

const isCloudEvent = (value: unknown): value is CloudEvent =>
  isObject(value) && typeof value.type === "string" && typeof value.id === "string";

const isDropped = (value: unknown): value is Dropped => isObject(value) && dropped in value;

/** Wraps what is no CloudEvent into one, so that it can be kept as a dead letter. */
function asEvent(value: unknown): CloudEvent {
  const known = isObject(value) ? value : { data: value };
  return {
    data: undefined,
    ...known,
    specversion: "1.0",
    id: typeof known.id === "string" ? known.id : crypto.randomUUID(),
    source: typeof known.source === "string" ? known.source : "unknown",
    type: typeof known.type === "string" ? known.type : "unknown",
    time: typeof known.time === "string" ? known.time : new Date().toISOString(),
    traceparent: typeof known.traceparent === "string" ? known.traceparent : undefined,
  };
}

function received<T>(raw: CloudEvent, topic: string, data: T): Received<T> {
  const { id, type, source, subject, time, traceparent } = raw;
  // daprd fills in an empty traceparent when its tracing is off.
  return { data, id, type, topic, source, subject, time, traceparent: traceparent || undefined, raw };
}

/** The batches of which something is to be delivered again; the oldest are forgotten. */
class Retried {
  readonly #ids = new Set<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size <= 1000) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }
}

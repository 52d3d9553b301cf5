import { type Context, Hono } from "hono";
import { type Batch, type Entry, entryOf, isBatch, isObject, Retried } from "./batch.ts";
import type { ConfigurationItems, Watchers } from "./configuration.ts";
import { EventDropped } from "./errors.ts";
import type { CloudEvent } from "./event.ts";
import {
  type Callback,
  isCloudEvent,
  isDropped,
  ORIGIN,
  REASON,
  RETRY_OF,
  type Subscription,
  type SubscriptionOptions,
} from "./handlers.ts";
import type { PublishableEvent } from "./publish.ts";
import { appToken } from "./token.ts";
import { byTopic, declaration, type Topic } from "./topics.ts";

export interface SubscriptionsOptions {
  /** The pub/sub component. Default: the one given to `dapr()`. */
  pubsub?: string;
  /** For subscriptions that do not say otherwise. */
  defaults?: SubscriptionOptions;
  /** Told of every handler that threw, and of every event that was given up as {@link EventDropped}, for the log. */
  onError?: (event: CloudEvent, error: unknown) => void;
  /** Told whenever a sidecar asks what the app wants of it: when it has started, that is, and knows of no watch. */
  onSidecar?: () => void;
  /**
   * Takes over what was not handled, in the place of daprd's retries and dead letters: to note it down and try it again
   * when its time has come, say, so that none of the sidecar's workers is held by it. Once it resolves the event is
   * answered SUCCESS; when it throws, RETRY.
   */
  takeOver?: (failure: Failure) => void | Promise<void>;
}

/** An event that was not handled. */
export interface Failure {
  event: CloudEvent;
  /** Where it was published. */
  topic: string;
  /** The message of what the handler threw, or the reason of a drop. */
  reason: string;
  /** Trying again would not help: it was dropped, or is malformed. */
  dropped: boolean;
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

const JSON_TYPE = { "content-type": "application/json" };

/** The app that answers `/dapr/subscribe` and takes what daprd delivers. */
export function subscriptionsApp(
  inbound: readonly (Subscription | Callback)[],
  { pubsub, appToken: token, watchers, publishEvents }: Settings,
  { defaults, onError, onSidecar, takeOver }: SubscriptionsOptions,
): Hono {
  const topics = byTopic(inbound.filter(isSubscription), defaults);
  const guard = appToken(token);
  const app = new Hono();
  const declared = topics.map((topic) => declaration(topic, pubsub));
  app.get("/dapr/subscribe", guard, (c) => {
    onSidecar?.();
    return c.json(declared);
  });
  const byName = new Map(topics.map((topic) => [topic.name, topic]));
  const retried = new Retried();
  app.post("/_events/:topic", guard, async (c) => {
    const topic = byName.get(c.req.param("topic"));
    return topic ? receive(c, topic) : c.notFound();
  });
  for (const callback of inbound) {
    if (isSubscription(callback)) continue;
    // daprd asks first whether the app wants an input binding.
    app.options(callback.path, guard, (c) => c.body(null, 200));
    app.post(callback.path, guard, async (c) => {
      await callback.handle(await c.req.text(), c.req.raw.headers);
      return c.body(null, 200);
    });
  }
  app.post("/configuration/:store/:key{.+}", guard, async (c) => {
    const { id, items } = await c.req.json<{ id: string; items: ConfigurationItems }>();
    await watchers.get(id)?.(items);
    return c.body(null, 200);
  });
  return app;

  async function receive(c: Context, topic: Topic): Promise<Response> {
    let body: unknown;
    try {
      body = await c.req.json();
    } catch (error) {
      return c.json({ error: `The delivery is not JSON: ${error}` }, 400);
    }
    if (isBatch(body)) return receiveBatch(body, topic);
    const status = await handle(body, topic);
    return new Response(`{"status":"${status}"}`, { headers: JSON_TYPE });
  }

  async function receiveBatch(batch: Batch, topic: Topic): Promise<Response> {
    const received = batch.entries.map(entryOf);
    const statuses = await Promise.all(received.map((entry) => handleInBatch(entry, topic)));
    // When daprd delivers the rest of a batch again, a DROP makes it look the event up in the wrong place and crash
    // (subscription/postman/http: the index is the one of the whole batch). It is in the dead letters by now.
    const again = retried.has(batch.id);
    if (statuses.includes("RETRY")) retried.add(batch.id);
    const entries = received.map(({ entryId }, i) => ({
      entryId,
      status: again && statuses[i] === "DROP" ? "SUCCESS" : statuses[i],
    }));
    return new Response(JSON.stringify({ statuses: entries }), { headers: JSON_TYPE });
  }

  async function handleInBatch({ event, wrong }: Entry, topic: Topic): Promise<Status> {
    // What comes alone daprd has looked at.
    if (wrong) return giveUp(asEvent(event), topic, wrong);
    if (isCloudEvent(event) && hasExpired(event)) return giveUp(event, topic, "It has expired");
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
      return takeOver ? takenOver(known, topic, messageOf(error), false) : "RETRY";
    }
  }

  async function takenOver(
    event: CloudEvent,
    topic: Topic,
    reason: string,
    dropped: boolean,
  ): Promise<Status> {
    try {
      await takeOver?.({ event, topic: topic.name, reason, dropped });
      return "SUCCESS";
    } catch (error) {
      onError?.(event, error);
      return "RETRY";
    }
  }

  /** daprd forwards what is dropped to the dead letters as it is; the copy with the reason is sent from here. */
  async function giveUp(event: CloudEvent, topic: Topic, reason: string): Promise<Status> {
    onError?.(event, new EventDropped(reason));
    if (takeOver) return takenOver(event, topic, reason, true);
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

/** The attribute is daprd's, of an event that was published with `ttlInSeconds`. */
const hasExpired = ({ expiration }: CloudEvent): boolean =>
  typeof expiration === "string" && Date.parse(expiration) < Date.now();

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isSubscription = (inbound: Subscription | Callback): inbound is Subscription => "topic" in inbound;

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

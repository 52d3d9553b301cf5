import { type Change, type Job, type KeptDeadLetter, type Outbox, StorageUnavailable } from "drizzle-outbox";
import {
  type CloudEvent,
  type Dropped,
  drop,
  EventDropped,
  type Failure,
  isDropped,
  on,
  onDeadLetter,
  type Subscription,
  type SubscriptionsOptions,
} from "hono-dapr";
import { type Config, integer } from "./config.ts";
import type { Kit, Unit } from "./kit.ts";
import type { Metrics } from "./metrics.ts";
import { type Reaction, type Received, TooEarly } from "./reactions.ts";
import type { JobHandler, Service } from "./service.ts";
import { traced } from "./traced.ts";
import { untilCommitted } from "./transact.ts";
import { turns } from "./turns.ts";

/** The job that tries an event again. */
export const retryJob = "event-retry";
const firstRetryAfter = 200;
// With the pauses of jobs (doubling from 0.2 s to 30 s) about five minutes, and about a second.
const usualRetries = 20;
/** A thousand letters of one order that are replayed together would mostly be in each other's way. */
const retriesAtOnce = 16;
const replayRetries = 4;

/** An event that waits for its next try, as the job keeps it. */
interface Waiting {
  topic: string;
  event: CloudEvent;
  /** After so many retries it is a dead letter. */
  retries: number;
}

const retryOf = (waiting: Waiting, at: number): Job => ({
  kind: retryJob,
  key: kept(`${waiting.event.type} ${waiting.event.id}`, 511),
  at,
  data: waiting,
});

/**
 * A text from outside as a database keeps it: PostgreSQL takes no NUL in a text, and no long ones in an index. An event
 * that could not even be written down as a dead letter would come for ever.
 */
const kept = (text: string, most = 255): string => text.replace(/[\p{Cc}\p{Cs}]/gu, "\ufffd").slice(0, most);

/** The job that has a dead letter's event handled again, as if it had just come. */
export const replayOf = ({ topic, event }: KeptDeadLetter, at: number): Job =>
  retryOf({ topic, event: event as CloudEvent, retries: replayRetries }, at);

interface Surroundings<S> {
  kit: Kit<S>;
  metrics: Metrics;
  /** Of a service with a store. */
  data: { box: Outbox; unit: Unit } | undefined;
}

/** How events come into a service. */
export interface Inbound<S> {
  subscriptions: Subscription[];
  options: SubscriptionsOptions;
  /** Tries again what failed: the handler of {@link retryJob}. */
  retry: JobHandler<S>;
}

/**
 * An event is handled at once and acknowledged, whatever comes of it. One whose handler threw is on disk by then, as a
 * job: it is tried again with growing pauses, while no worker of the sidecar and nothing else in the topic waits for
 * it. In the end, or at once where trying again is no use, it is a dead letter. Only what could not be written down
 * stays with the broker.
 */
export function inbound<S>(definition: Service<S>, surroundings: Surroundings<S>): Inbound<S> {
  const { kit, metrics, data } = surroundings;
  const deadLetter = `${kit.config.name}-dead`;
  const known = new Set((definition.reactions ?? []).map(({ type }) => type.type));
  // Types that nothing here handles are counted as one: there is no end to those that could come.
  const count = (type: string, result: string): void =>
    metrics.reactions.inc({ type: known.has(type) ? type : "other", result });
  const subscriptions = (definition.reactions ?? []).map((reaction) =>
    subscriptionOf(reaction, definition.seals !== undefined && definition.seals !== false, surroundings),
  );

  async function dead({ event, topic, reason }: Pick<Failure, "event" | "topic" | "reason">): Promise<void> {
    const { traceparent } = event;
    const [id, type] = [kept(event.id), kept(event.type)];
    await data?.box.deadLetters.put({ id, topic, type, reason: kept(reason, 2_000), event });
    count(type, data ? "dead" : "given-up");
    const message = data ? "an event went to the dead letters" : "an event was given up";
    kit.log.error({ event: id, type, topic, traceparent, reason }, message);
  }

  async function takeOver({ event, topic, reason, dropped }: Failure): Promise<void> {
    // What a service without a store keeps is a copy that ends by itself: it has one try, and says what it gave up.
    if (dropped || !data) return dead({ event, topic, reason });
    const job = retryOf({ topic, event, retries: retriesOf(kit.config) }, kit.now() + firstRetryAfter);
    await data.unit.commit({ jobs: [job] }, event.traceparent ?? "");
  }

  const inTurn = turns(retriesAtOnce);
  const retry: JobHandler<S> = async ({ data: waiting, attempt }) => {
    const { topic, event, retries } = waiting as Waiting;
    const failure = await inTurn(() => tried(subscriptions, topic, event));
    if (failure) {
      if (!failure.final) count(event.type, resultOf(failure.error));
      // An event is not to blame for a database that does not store.
      const blameless = StorageUnavailable.of(failure.error) !== undefined;
      if (!failure.final && (blameless || attempt < retries)) throw failure.error;
      await dead({ event, topic, reason: failure.error.message });
      return undefined;
    }
    const letter = await data?.box.deadLetters.get(kept(event.id));
    return letter?.status === "dead" || letter?.status === "replaying"
      ? data?.box.deadLetters.step(letter, { status: "resolved" })
      : undefined;
  };

  if (subscriptions.length > 0) {
    const undelivered = onDeadLetter(
      deadLetter,
      ({ event, topic, reason = "The sidecar could not deliver it: no JSON, or never taken" }) =>
        dead({ event, topic, reason }),
      { bulk: false },
    );
    subscriptions.push(undelivered);
  }
  return {
    subscriptions,
    retry,
    options: {
      defaults: {
        deadLetter,
        bulk: { max: integer(kit.config, "BULK_MAX", 100), waitMs: integer(kit.config, "BULK_WAIT_MS", 1) },
      },
      takeOver,
      onError({ id, type, traceparent }, error) {
        if (error instanceof EventDropped) return; // Counted and logged as what becomes of it.
        const err = error instanceof Error ? error.message : String(error);
        const result = resultOf(error);
        count(type, result);
        if (StorageUnavailable.of(error)) return; // Said once, when it begins.
        if (result === "early")
          kit.log.info({ event: id, type, traceparent, err }, "an event came too early");
        else kit.log.warn({ event: id, type, traceparent, err }, "an event was not handled");
      },
    },
  };
}

const resultOf = (error: unknown): "early" | "failed" => (error instanceof TooEarly ? "early" : "failed");

const retriesOf = (config: Config): number => Math.max(1, integer(config, "EVENT_RETRIES", usualRetries));

/** Hands an event to its handler once more; `final`: it need not be tried again. */
async function tried(
  subscriptions: Subscription[],
  topic: string,
  event: CloudEvent,
): Promise<{ error: Error; final: boolean } | undefined> {
  const here = subscriptions.filter((one) => one.topic === topic);
  const subscription =
    here.find(({ type }) => type === event.type) ?? here.find(({ type }) => type === undefined);
  if (!subscription) {
    return { error: new Error(`Nothing here handles ${event.type} of the topic ${topic}`), final: true };
  }
  try {
    const result = await subscription.handle(event, topic);
    return isDropped(result) ? { error: new Error(result.reason), final: true } : undefined;
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)), final: false };
  }
}

/** When it happened, in milliseconds since the epoch; a publisher may write a time that is none. */
function timeOf(time: unknown): number | undefined {
  const at = typeof time === "string" ? Date.parse(time) : Number.NaN;
  return Number.isFinite(at) ? at : undefined;
}

function subscriptionOf<S>(reaction: Reaction<S>, seals: boolean, { kit, metrics, data }: Surroundings<S>) {
  return on(reaction.type, async (event) => {
    if (seals) await kit.sealed.ready();
    const received = { ...kit, eventId: event.id, at: timeOf(event.time) ?? kit.now() };
    if (!data) {
      const dropped = await remember(reaction, event.data, received);
      if (!dropped) metrics.reactions.inc({ type: event.type, result: "applied" });
      return dropped;
    }
    try {
      const result = await untilCommitted(() =>
        data.box.once(event.id, event.type, async () =>
          traced(wanted(await reaction.handle(event.data, received)), event.traceparent),
        ),
      );
      metrics.reactions.inc({ type: event.type, result });
      return undefined;
    } catch (error) {
      if (error instanceof EventDropped) return drop(error.reason);
      throw error;
    }
  });
}

/** The change; what is dropped gets out of the transaction, for it is not to be noted as handled. */
function wanted(outcome: Change | Dropped | undefined): Change | undefined {
  if (isDropped(outcome)) throw new EventDropped(outcome.reason);
  return outcome;
}

/** A reaction of a service that keeps nothing on disk: it must bear to see an event again. */
async function remember<S>(
  reaction: Reaction<S>,
  data: unknown,
  received: Received<S>,
): Promise<Dropped | undefined> {
  const outcome = await reaction.handle(data, received);
  if (outcome === undefined || isDropped(outcome)) return outcome;
  throw new Error("a service without a store commits nothing");
}

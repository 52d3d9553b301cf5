import type { Bug } from "./bug.ts";
import { call } from "./call.ts";
import { type CloudEvent, delivery, label, type Subscription, statusesOf } from "./delivery.ts";
import type { App } from "./plan.ts";
import type { Incarnation, Outside, Process } from "./process.ts";
import type { World } from "./world.ts";

/** One event on its way to one app. */
interface Message {
  app: App;
  subscription: Subscription;
  event: CloudEvent;
  /** So many more deliveries are wanted. */
  copies: number;
  tries: number;
}

/** What the shop's configuration says (dapr/resiliency.yaml, components/pubsub.yaml). */
const mostTries = 64;
const processingTimeout = 10_000;

/**
 * A broker and the sidecars' side of it, at its worst behaviour: at least once, in no order. What is acknowledged is
 * gone; what is not answered comes again after the processing time-out; what cannot be handled goes to the dead letters.
 */
export class Broker implements Outside {
  readonly #taken = new Map<string, Map<string, CloudEvent>>();
  /** The events that were taken for each app, by id. */
  readonly owed = new Map<App, Map<string, CloudEvent>>();
  /** Messages that are not acknowledged yet. */
  waiting = 0;
  readonly #world: World;
  readonly #processes: ReadonlyMap<App, Process>;
  readonly #subscriptions: ReadonlyMap<App, Subscription[]>;
  readonly #bug: Bug | undefined;
  readonly #batches = new Map<Subscription, Message[]>();
  #batchIds = 0;

  constructor(
    world: World,
    processes: ReadonlyMap<App, Process>,
    subscriptions: ReadonlyMap<App, Subscription[]>,
    bug: Bug | undefined,
  ) {
    this.#world = world;
    this.#processes = processes;
    this.#subscriptions = subscriptions;
    this.#bug = bug;
  }

  /** What a service has published, each event once. */
  publishedBy(app: App): CloudEvent[] {
    return [...this.#taken.values()].flatMap((events) =>
      [...events.values()].filter(({ source }) => source === app),
    );
  }

  publish(from: Incarnation, topic: string, body: string, answer: (response: Response) => void): void {
    const { clock } = this.#world;
    const sent = JSON.parse(body) as { entryId: string; event: string }[];
    const entries = sent.map(({ entryId, event }) => ({ entryId, event: JSON.parse(event) as CloudEvent }));
    const reply = (response: () => Response) =>
      clock.after(this.#world.latency(), from, () => answer(response()));
    if (this.#bug?.publishesLater) {
      reply(() => new Response(null, { status: 204 }));
      clock.after(20 + this.#world.latency(), from, () => this.#take(from, topic, entries));
      return;
    }
    clock.after(this.#world.latency(), undefined, () => {
      const { dice, network } = this.#world;
      if (clock.now < this.#world.outageUntil) {
        reply(() =>
          Response.json({ errorCode: "ERR_PUBSUB_PUBLISH_MESSAGE", message: "down" }, { status: 500 }),
        );
        return;
      }
      if (!dice.chance(network.doubtful)) {
        this.#take(from, topic, entries);
        reply(() => new Response(null, { status: 204 }));
        return;
      }
      const taken = entries.filter(() => dice.chance(0.5));
      this.#take(from, topic, taken);
      const untold = dice.chance(0.3);
      const failedEntries = entries
        .filter((entry) => untold || !taken.includes(entry))
        .map(({ entryId }) => ({ entryId, error: "no answer" }));
      // Sometimes there is no answer at all.
      if (dice.chance(0.8))
        reply(() =>
          failedEntries.length === 0
            ? new Response(null, { status: 204 })
            : Response.json({ failedEntries }, { status: 500 }),
        );
    });
  }

  #take(from: Incarnation, topic: string, entries: { event: CloudEvent }[]): void {
    const known = this.#taken.get(topic) ?? new Map<string, CloudEvent>();
    this.#taken.set(topic, known);
    for (const { event } of entries) {
      known.set(event.id, event);
      this.#world.say("broker", `takes ${label(event)} from ${from.of.app}, topic ${topic}`);
      for (const [app, subscriptions] of this.#subscriptions)
        for (const subscription of subscriptions)
          if (subscription.topic === topic) this.#send(app, subscription, event);
    }
  }

  #send(app: App, subscription: Subscription, event: CloudEvent): void {
    const { dice, network } = this.#world;
    const owed = this.owed.get(app) ?? new Map<string, CloudEvent>();
    this.owed.set(app, owed);
    owed.set(event.id, event);
    const copies = network.copies + (dice.chance(network.duplicated) ? dice.between(1, 2) : 0);
    const message = { app, subscription, event: { ...event, topic: subscription.topic }, copies, tries: 0 };
    this.waiting += copies;
    for (let copy = 0; copy < copies; copy++) this.#deliver(message, this.#delay());
  }

  #delay(): number {
    const { dice, network } = this.#world;
    return this.#world.latency() + (dice.chance(network.delayed) ? dice.next() * network.late : 0);
  }

  #deliver(message: Message, delay: number): void {
    const { clock } = this.#world;
    clock.after(delay, undefined, () => {
      const { dice, network, outageUntil } = this.#world;
      if (clock.now < outageUntil) return this.#deliver(message, outageUntil - clock.now + this.#delay());
      if (dice.chance(network.lost)) {
        this.#world.say("broker", `loses ${label(message.event)} on its way to ${message.app}`);
        return this.#deliver(message, processingTimeout);
      }
      const { bulkSubscribe: bulk } = message.subscription;
      if (!bulk?.enabled) return this.#hand(message.subscription, [message]);
      const batch = this.#batches.get(message.subscription);
      if (batch && batch.length < bulk.maxMessagesCount) {
        batch.push(message);
        return;
      }
      const begun = [message];
      this.#batches.set(message.subscription, begun);
      clock.after(bulk.maxAwaitDurationMs, undefined, () => {
        if (this.#batches.get(message.subscription) === begun) this.#batches.delete(message.subscription);
        this.#hand(message.subscription, begun);
      });
    });
  }

  /** Gives messages to the app, and does what it answers. */
  #hand(subscription: Subscription, messages: Message[]): void {
    const [{ app }] = messages as [Message];
    const process = this.#processes.get(app) as Process;
    let settled = false;
    const timeout = this.#world.clock.after(processingTimeout, undefined, () => {
      if (settled) return;
      settled = true;
      for (const message of messages) this.#deliver(message, this.#delay());
    });
    const request = delivery(
      subscription,
      messages.map(({ event }) => event),
      `b${++this.#batchIds}`,
    );
    call(this.#world, process, subscription.topic, request, (answer) => {
      if (settled) return;
      settled = true;
      timeout.cancelled = true;
      if (answer === undefined) {
        // Nobody there: the sidecar gives an app that is not healthy nothing, and looks again.
        for (const message of messages) this.#deliver(message, 300 + this.#delay());
        return;
      }
      const statuses = statusesOf(answer.body, messages.length);
      for (const [i, message] of messages.entries()) this.#settle(message, statuses[i] ?? "RETRY");
    });
  }

  #settle(message: Message, said: string): void {
    const { app, subscription, event } = message;
    const status = this.#bug?.acknowledgesFailures ? "SUCCESS" : said;
    this.#world.say(app, `${subscription.topic}: ${label(event)}: ${status}`);
    if (status === "RETRY" && ++message.tries <= mostTries) {
      this.#deliver(message, 500 + this.#delay());
      return;
    }
    this.waiting--;
    if (status === "SUCCESS") return;
    const dead = this.#subscriptions.get(app)?.find(({ topic }) => topic === subscription.deadLetterTopic);
    if (dead && dead !== subscription) this.#send(app, dead, event);
  }
}

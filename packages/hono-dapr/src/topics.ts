import type { Subscription, SubscriptionOptions } from "./handlers.ts";

/** A topic, and who handles what comes there. */
export interface Topic {
  name: string;
  handlers: Map<string, Subscription>;
  rest?: Subscription;
  options: SubscriptionOptions;
  /** Those whose events come here to be tried again. */
  retryOf?: Map<string, Topic>;
}

/** The topics of these subscriptions, those for retries at the end. */
export function byTopic(subscriptions: readonly Subscription[], defaults: SubscriptionOptions = {}): Topic[] {
  const topics = new Map<string, Topic>();
  for (const subscription of subscriptions) {
    const { topic: name, type } = subscription;
    let topic = topics.get(name);
    if (!topic) {
      topic = { name, handlers: new Map(), options: { ...defaults } };
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
    found.set(retry, { name: retry, handlers: new Map(), options: { deadLetter }, retryOf });
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

/** A topic as daprd wants it in `/dapr/subscribe`. */
export function declaration({ name, options }: Topic, pubsub: string) {
  const bulk = options.bulk === true ? {} : options.bulk;
  // Otherwise daprd takes every event of a batch apart and puts it together again, to look whether it has expired.
  const metadata = bulk ? { rawPayload: "true", ...options.metadata } : options.metadata;
  return {
    pubsubname: pubsub,
    topic: name,
    routes: { default: `/_events/${encodeURIComponent(name)}` },
    ...(options.deadLetter && { deadLetterTopic: options.deadLetter }),
    ...(metadata && { metadata }),
    ...(bulk && {
      bulkSubscribe: {
        enabled: true,
        maxMessagesCount: bulk.max ?? 100,
        maxAwaitDurationMs: bulk.waitMs ?? 10,
      },
    }),
  };
}

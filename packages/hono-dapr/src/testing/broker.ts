import type { CloudEvent } from "../event.ts";
import type { Timers } from "./clock.ts";
import type { Work } from "./work.ts";

/** How daprd delivers again: what `targets.components.<pubsub>.inbound.retry` says in its resiliency file. */
export interface Retries {
  /** How often after the first time; `Infinity` for ever. */
  max: number;
  /** Milliseconds between two attempts. */
  interval: number;
}

/** A subscription as an app declares it in `/dapr/subscribe`. */
export interface Declared {
  pubsubname: string;
  topic: string;
  route?: string;
  routes?: { default?: string; rules?: { match: string; path: string }[] };
  deadLetterTopic?: string;
  metadata?: Record<string, string>;
  bulkSubscribe?: { enabled: boolean; maxMessagesCount?: number };
}

/** Sends a delivery to an app; throws when it cannot be reached. */
export type Deliver = (path: string, contentType: string, body: string) => Promise<Response>;

interface Message {
  /** Of the broker; not the event's. */
  key: number;
  json: string;
}

/** What is delivered together; the id and the entries' ids stay the same when a part of it is delivered again. */
interface Batch {
  id: string;
  entries: Map<string, Message>;
}

/** What one app has still to be given of one topic. */
interface Group {
  appId: string;
  declared: Declared;
  deliver: Deliver | undefined;
  /** How much of the topic was taken up. */
  read: number;
  pending: Message[];
  busy: boolean;
}

/** An event that an app did not handle although it was tried as often as allowed, and that had no dead letters. */
export interface Lost {
  appId: string;
  topic: string;
  event: CloudEvent;
}

/** The broker and the delivering half of daprd, as with the Redis component. */
export class Broker {
  readonly lost: Lost[] = [];
  readonly #topics = new Map<string, Message[]>();
  readonly #groups = new Map<string, Group>();
  readonly #work: Work;
  readonly #timers: Timers;
  readonly #retries: Retries;
  #keys = 0;

  constructor(work: Work, timers: Timers, retries: Retries) {
    this.#work = work;
    this.#timers = timers;
    this.#retries = retries;
  }

  append(pubsub: string, topic: string, json: string): void {
    this.#log(pubsub, topic).push({ key: this.#keys++, json });
    this.#wakeAll();
  }

  events(pubsub: string, topic: string): CloudEvent[] {
    return this.#log(pubsub, topic).flatMap((message) => eventOf(message) ?? []);
  }

  /** A group that is new starts at the beginning of the topic, one that was there goes on where it was. */
  subscribe(appId: string, declared: Declared, deliver: Deliver): void {
    const name = `${appId}|${declared.pubsubname}|${declared.topic}`;
    const known = this.#groups.get(name);
    const fresh: Group = { appId, declared, deliver, read: 0, pending: [], busy: false };
    const group = known ? Object.assign(known, { declared, deliver }) : fresh;
    this.#groups.set(name, group);
    this.#wake(group);
  }

  unsubscribe(appId: string): void {
    for (const group of this.#groups.values()) if (group.appId === appId) group.deliver = undefined;
  }

  /** Delivers again what was delivered before. */
  redeliver(appId: string, topic: string, ids?: readonly string[]): void {
    for (const group of this.#groups.values()) {
      if (group.appId !== appId || group.declared.topic !== topic) continue;
      const log = this.#log(group.declared.pubsubname, topic).slice(0, group.read);
      const again = log.filter((message) => !ids || ids.includes(eventOf(message)?.id ?? ""));
      group.pending.push(...again);
      this.#wake(group);
    }
  }

  #log(pubsub: string, topic: string): Message[] {
    const name = `${pubsub}|${topic}`;
    const log = this.#topics.get(name) ?? [];
    this.#topics.set(name, log);
    return log;
  }

  #wakeAll(): void {
    for (const group of this.#groups.values()) this.#wake(group);
  }

  #wake(group: Group): void {
    const { pubsubname, topic } = group.declared;
    const waiting = group.pending.length > 0 || group.read < this.#log(pubsubname, topic).length;
    if (!group.deliver || group.busy || !waiting) return;
    group.busy = true;
    this.#work.run(this.#pump(group));
  }

  async #pump(group: Group): Promise<void> {
    // What is published together in one turn is there before the first of it is delivered.
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    const { declared, pending } = group;
    const log = this.#log(declared.pubsubname, declared.topic);
    for (const message of log.slice(group.read)) {
      if (isBulk(declared) && isRaw(declared)) pending.push(message);
      else if (isRaw(declared)) pending.push(wrapped(message, declared));
      else if (eventOf(message)) pending.push(message);
      else this.#giveUp(group, [message]);
    }
    group.read = log.length;
    if (!group.deliver) {
      group.busy = false;
    } else if (!isBulk(declared)) {
      group.busy = false;
      for (const message of pending.splice(0)) this.#work.run(this.#deliverOne(group, message, 0));
    } else if (pending.length === 0) {
      group.busy = false;
    } else {
      // As in daprd, the next batch waits until this one is through with all its retries.
      await this.#deliverBatch(group, pending.splice(0, declared.bulkSubscribe?.maxMessagesCount ?? 100));
    }
  }

  async #deliverOne(group: Group, message: Message, attempt: number): Promise<void> {
    if (this.#expired(group, message)) return;
    const path = pathOf(group.declared);
    if (!group.deliver || !path) return void group.pending.push(message);
    const status = await this.#statusOfOne(group.deliver, path, message);
    if (status === "SUCCESS") return;
    if (status === "DROP") return this.#deadLetter(group, [message]);
    if (!group.deliver) return void group.pending.push(message);
    if (attempt >= this.#retries.max) return this.#giveUp(group, [message]);
    await this.#again(() => this.#deliverOne(group, message, attempt + 1));
  }

  async #statusOfOne(
    deliver: Deliver,
    path: string,
    message: Message,
  ): Promise<"SUCCESS" | "RETRY" | "DROP"> {
    const response = await this.#answer(deliver(path, "application/cloudevents+json", message.json));
    if (!response) return "RETRY";
    if (!response.ok) return response.status === 404 ? "DROP" : "RETRY";
    const status = statusIn(response.text);
    return status === "" || status === "SUCCESS" ? "SUCCESS" : status === "DROP" ? "DROP" : "RETRY";
  }

  async #deliverBatch(group: Group, batch: Message[]): Promise<void> {
    // Of raw events it is the app that looks, by the machine's clock, which a test's clock is not.
    const live = batch.filter((message) => !this.#expired(group, message));
    const entries = new Map(live.map((message) => [crypto.randomUUID() as string, message]));
    await this.#deliverEntries(group, { id: crypto.randomUUID(), entries }, [...entries.keys()], 0);
  }

  async #deliverEntries(group: Group, batch: Batch, ids: string[], attempt: number): Promise<void> {
    const failed = ids.length === 0 ? [] : await this.#failedOf(group, batch, ids);
    const messages = failed.flatMap((id) => batch.entries.get(id) ?? []);
    if (failed.length > 0 && group.deliver && attempt < this.#retries.max) {
      return this.#again(() => this.#deliverEntries(group, batch, failed, attempt + 1));
    }
    if (group.deliver) this.#giveUp(group, messages);
    else group.pending.push(...messages);
    group.busy = false;
    this.#wake(group);
  }

  /** Delivers these entries of a batch once, and says which are to be tried again. */
  async #failedOf(group: Group, { id, entries }: Batch, ids: string[]): Promise<string[]> {
    const { declared, deliver } = group;
    const path = pathOf(declared);
    if (!deliver || !path) return ids;
    const body = {
      id,
      type: "com.dapr.event.sent.bulk",
      topic: declared.topic,
      pubsubname: declared.pubsubname,
      metadata: { pubsubName: declared.pubsubname },
      entries: ids.map((entryId) => {
        const json = entries.get(entryId)?.json ?? "null";
        const entry = isRaw(declared)
          ? { event: base64(json), contentType: "application/octet-stream" }
          : { event: JSON.parse(json), contentType: "application/cloudevents+json" };
        return { entryId, ...entry, metadata: null };
      }),
    };
    const response = await this.#answer(deliver(path, "application/json", JSON.stringify(body)));
    // daprd takes 404 for an answer that is final, and says no more of it.
    if (response?.status === 404) return [];
    const statuses = response?.ok ? statusesIn(response.text) : new Map<string, string>();
    for (const entryId of ids) {
      if (statuses.get(entryId) === "DROP") this.#dropEntry(group, entryId, ids, entries);
    }
    return ids.filter((entryId) => !["SUCCESS", "DROP"].includes(statuses.get(entryId) ?? ""));
  }

  /**
   * Forwards what was dropped, with daprd 1.18's mistake: it looks in the rest of the batch at the place that the
   * entry had in the whole of it.
   */
  #dropEntry(group: Group, entryId: string, rest: string[], entries: Map<string, Message>): void {
    if (!group.declared.deadLetterTopic) return;
    const index = [...entries.keys()].indexOf(entryId);
    const found = entries.get(rest[index] ?? "");
    if (!found)
      throw new Error(`daprd would crash: index out of range [${index}] with length ${rest.length}`);
    this.#deadLetter(group, [found]);
  }

  #deadLetter(group: Group, messages: Message[]): void {
    const { pubsubname, deadLetterTopic } = group.declared;
    if (!deadLetterTopic) return;
    for (const { json } of messages) this.append(pubsubname, deadLetterTopic, json);
  }

  #giveUp(group: Group, messages: Message[]): void {
    this.#deadLetter(group, messages);
    if (group.declared.deadLetterTopic) return;
    for (const message of messages) {
      const event = eventOf(message) ?? (message.json as unknown as CloudEvent);
      this.lost.push({ appId: group.appId, topic: group.declared.topic, event });
    }
  }

  #expired(group: Group, message: Message): boolean {
    const expiration = eventOf(message)?.expiration;
    if (typeof expiration !== "string" || Date.parse(expiration) >= this.#timers.now()) return false;
    this.#deadLetter(group, [message]);
    return true;
  }

  async #again(work: () => Promise<void>): Promise<void> {
    const { interval } = this.#retries;
    if (interval === 0) return work();
    this.#timers.at(this.#timers.now() + interval, () => this.#work.run(work()));
  }

  async #answer(answer: Promise<Response>): Promise<{ ok: boolean; status: number; text: string } | null> {
    try {
      const response = await answer;
      return { ok: response.ok, status: response.status, text: await response.text() };
    } catch {
      // Not reachable: daprd tries again.
      return null;
    }
  }
}

function eventOf({ json }: Message): CloudEvent | undefined {
  try {
    return JSON.parse(json) as CloudEvent;
  } catch {
    return undefined;
  }
}

const base64 = (text: string): string =>
  btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));

const isBulk = ({ bulkSubscribe }: Declared): boolean => bulkSubscribe?.enabled === true;

const isRaw = ({ metadata }: Declared): boolean => metadata?.rawPayload === "true";

/** A message as daprd delivers it to a subscription with `rawPayload`: inside an event that it makes up. */
function wrapped({ key, json }: Message, { topic, pubsubname }: Declared): Message {
  const event = {
    specversion: "1.0",
    id: crypto.randomUUID(),
    source: "Dapr",
    type: "com.dapr.event.sent",
    datacontenttype: "application/octet-stream",
    topic,
    pubsubname,
    data_base64: base64(json),
  };
  return { key, json: JSON.stringify(event) };
}

const pathOf = ({ routes, route }: Declared): string | undefined => routes?.default ?? route;

function statusIn(text: string): string {
  try {
    return (JSON.parse(text) as { status?: string } | null)?.status ?? "";
  } catch {
    // daprd takes an answer that it cannot read for a success.
    return "";
  }
}

function statusesIn(text: string): Map<string, string> {
  try {
    const { statuses } = JSON.parse(text) as { statuses: { entryId: string; status: string }[] };
    return new Map(statuses.map(({ entryId, status }) => [entryId, status]));
  } catch {
    // In bulk, daprd takes an answer that it cannot read for a failure of all.
    return new Map();
  }
}

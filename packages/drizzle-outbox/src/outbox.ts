import { compile, own } from "./compile.ts";
import { type DeadLetters, deadLetters } from "./dead-letters.ts";
import { type Context, type Db, engineOf, type Op, type Result } from "./engine.ts";
import { fault } from "./faults.ts";
import { Relay } from "./relay.ts";
import { type DialectName, slotOf } from "./schema.ts";
import type { StorageUnavailable } from "./storage.ts";
import { trim } from "./trim.ts";
import { uuidv7 } from "./uuid.ts";
import { type Handlers, type Lease, Worker, type WorkOptions } from "./work.ts";
import type { Write } from "./writes.ts";

/** An event to be sent once the change it belongs to is on disk. */
export interface NewEvent {
  topic: string;
  type: string;
  /** What it is about, usually the aggregate's id: events of one key are sent in the order of their commits. */
  key: string;
  /** Any JSON value. Not to be changed after the commit. */
  data: unknown;
  /** Unique; a random UUID when absent. */
  id?: string;
  /** ISO 8601; now when absent. */
  time?: string;
  /** Travels along, for instance `traceparent`. */
  headers?: Record<string, string>;
}

/** An event as it is in the outbox. */
export interface StoredEvent extends Required<Omit<NewEvent, "headers">> {
  seq: number;
  headers: Record<string, string>;
}

/** Work to be done at a time. Kind and key are its identity: to schedule it again replaces it. */
export interface Job {
  kind: string;
  key: string;
  /** When it is due: ms since 1970. */
  at: number;
  data?: unknown;
}

/** Takes a job back. One that runs at this moment finishes, but the change it returns is dropped. */
export interface CancelJob {
  kind: string;
  key: string;
  cancel: true;
}

/** What is committed together, or not at all. */
export interface Change {
  writes?: Write[];
  events?: NewEvent[];
  jobs?: (Job | CancelJob)[];
}

/** Events that were not sent, by id; the rest were. */
export interface SendResult {
  failed: { id: string; error: unknown }[];
}

export interface OutboxOptions {
  /**
   * Sends events to the broker; at most one of each key a call, so it may send them all at once. Resolves when the
   * broker has them. What is named in `failed` is tried again, with the later events of its key behind it; when it
   * throws, all are.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing will do.
  send(events: StoredEvent[]): Promise<SendResult | void>;
  /** Most events a call: 200. */
  batch?: number;
  /** Ms after which a call of `send` counts as failed: 30,000. */
  sendTimeout?: number;
  /**
   * How long, in ms, to remember events handled (7 days), dead letters that are resolved or discarded (30 days; the
   * others stay), and events sent (0: not at all).
   * Sent events lie in `outbox_sent`: for an audit, or to be sent again to a consumer that was restored from a backup.
   */
  retain?: { inbox?: number; deadLetters?: number; sent?: number };
  /** Ms since 1970. */
  clock?(): number;
  /**
   * Told when the database stops storing, and with nothing when it stores again. What fails meanwhile is told to
   * `onError` too, as a StorageUnavailable each time.
   */
  onStorage?(trouble: StorageUnavailable | undefined): void;
  /** Told of what is tried again later: an event that was not sent, a job that threw. Written to the console by default. */
  onError?(
    error: unknown,
    about: { event?: StoredEvent; job?: { kind: string; key: string; attempt: number } },
  ): void;
}

/** Something that runs in the background until it is stopped. */
export interface Running {
  /** Begins nothing new, and resolves when what was begun is finished. */
  stop(): Promise<void>;
}

export interface Outbox {
  /**
   * Writes rows, events and jobs in one transaction, and resolves when they are on disk. Commits of the same moment
   * share a disk sync; one that fails does not fail the others.
   * @throws {Conflict} when a write touched other than `rows` rows, or a key is taken; nothing is written then
   */
  commit(change: Change): Promise<void>;
  /**
   * Commits what an event leads to together with the note that `consumer` has handled it, so that it happens once
   * however often the event comes. The function does not run when it is known to have been handled.
   */
  once(
    eventId: string,
    consumer: string,
    change: Change | (() => Change | undefined | Promise<Change | undefined>),
  ): Promise<"applied" | "duplicate">;
  /** Sends what is committed, at once, and trims what is no longer needed. Several replicas may run it. */
  relay(): Running;
  /**
   * Runs jobs as they come due. What a handler returns is committed together with the job's removal; when it throws,
   * the job comes again later. A job may run again after a crash, so what it does outside must bear that.
   */
  work(handlers: Handlers, options?: WorkOptions): Running;
  /** Resolves when everything committed before the call has been sent. */
  drain(options?: { signal?: AbortSignal }): Promise<void>;
  /** Events that could not be handled, kept to be looked at. */
  readonly deadLetters: DeadLetters;
  /** What waits to be sent or done, and for how long the oldest event has waited: for metrics and readiness. */
  pending(): Promise<{ outbox: number; jobs: number; oldestOutboxAgeMs: number }>;
  /**
   * Resolves when the database stores: it has a moment ago, or it does now. For readiness.
   * @throws {StorageUnavailable} saying why it does not
   */
  stores(): Promise<void>;
}

/** Ms for which a database that has stored something counts as one that does. */
const storesFor = 5_000;

class Duplicate extends Error {}

/**
 * The outbox of an open database whose schema has `outboxTables`.
 * @example
 * const box = outbox(db, { send: (events) => publishAll(events) });
 * await box.commit({
 *   writes: [insert(orders, order)],
 *   events: [{ topic: "orders", type: "order.placed", key: order.id, data: order }],
 * });
 */
export function outbox(db: Db, options: OutboxOptions): Outbox {
  const engine = engineOf(db);
  const { dialect } = engine;
  const now = options.clock ?? Date.now;
  const context: Context = {
    engine,
    now,
    retainSent: (options.retain?.sent ?? 0) > 0,
    onError: options.onError ?? ((error, about) => console.error(error, about)),
  };
  if (options.onStorage) engine.storage.changed = options.onStorage;
  const source = engine.source(context);
  const relay = new Relay(context, source, options);
  const worker = new Worker(context, (change, ops) => save(change, ops));
  const text = statements(dialect);
  const inFlight = new Map<string, Promise<boolean>>();

  /** Adds a change to a transaction's operations, and runs them. All of the change is put into SQL before the first wait. */
  async function save(change: Change, ops: Op[] = []): Promise<void> {
    const at = now();
    for (const write of change.writes ?? []) for (const op of compile(write, dialect)) ops.push(op);
    const events = (change.events ?? []).map((event) => eventOp(event, at, ops));
    const leases: Lease[] = [];
    for (const job of change.jobs ?? []) {
      if ("cancel" in job) ops.push({ text: text.cancel, params: [job.kind, job.key], table: "outbox_jobs" });
      else jobOp(job, at, ops, leases);
    }
    if (ops.length === 0) return;
    try {
      await engine.transact(ops, () => {
        if (events.length > 0) relay.committed(events);
        if (change.jobs?.length) worker.committed(leases);
      });
    } catch (error) {
      worker.release(leases);
      throw error;
    }
  }

  function eventOp(
    { id, topic, type, key, data, time, headers }: NewEvent,
    at: number,
    ops: Op[],
  ): StoredEvent {
    const event: StoredEvent = {
      seq: 0,
      id: id ?? uuidv7(at),
      topic,
      type,
      key,
      data,
      time: time ?? new Date(at).toISOString(),
      headers: headers ?? {},
    };
    const json = JSON.stringify(data) ?? "null";
    const params = [
      event.id,
      topic,
      type,
      key,
      json,
      event.time,
      headers ? JSON.stringify(headers) : null,
      at,
    ];
    if (dialect === "postgres") params.push(slotOf(key));
    const after = ({ rowid }: Result) => {
      event.seq = rowid;
    };
    ops.push({
      text: text.event,
      params,
      table: "outbox_events",
      after: dialect === "sqlite" ? after : undefined,
    });
    return event;
  }

  function jobOp(job: Job, at: number, ops: Op[], leases: Lease[]): void {
    const { kind, key } = job;
    const due = Math.ceil(job.at);
    const json = JSON.stringify(job.data) ?? null;
    // What its handler gets is the same whether the job was read back or not.
    const data: unknown = json === null ? undefined : JSON.parse(json);
    // What is due and can be run here is written as taken already: one write less, and no wait.
    const lease = worker.reserve({ kind, key, at: due, data, attempt: 1 }, at);
    if (lease) leases.push(lease);
    const params = [kind, key, due, json, lease ? 1 : 0, lease?.until ?? due, lease?.token ?? null, at];
    ops.push({ text: text.job, params, table: "outbox_jobs" });
  }

  async function handle(
    id: string,
    consumer: string,
    change: Parameters<Outbox["once"]>[2],
  ): Promise<boolean> {
    if ((await engine.all(text.handled, [consumer, id])).length > 0) return false;
    const effect = typeof change === "function" ? await change() : change;
    const remember: Op = {
      text: text.remember,
      params: [consumer, id, now()],
      after({ count }) {
        if (count === 0) throw new Duplicate();
      },
    };
    try {
      fault("once: before commit");
      await save(effect ?? {}, [remember]);
      fault("once: after commit");
      return true;
    } catch (error) {
      if (error instanceof Duplicate) return false;
      throw error;
    }
  }

  return {
    async commit(change) {
      await save(change);
    },

    async once(eventId, consumer, change) {
      const id = `${consumer}\n${eventId}`;
      // The same event twice at the same time: the second waits for what becomes of the first.
      for (let first = inFlight.get(id); first; first = inFlight.get(id)) {
        if (await first.catch(() => false)) return "duplicate";
      }
      const handling = handle(eventId, consumer, change);
      inFlight.set(id, handling);
      try {
        return (await handling) ? "applied" : "duplicate";
      } finally {
        inFlight.delete(id);
      }
    },

    relay() {
      const trimming = trim(context, options.retain ?? {});
      const running = relay.start();
      return {
        async stop() {
          await Promise.all([trimming.stop(), running.stop()]);
        },
      };
    },

    work: (handlers, options = {}) => worker.start(handlers, options),
    drain: ({ signal } = {}) => relay.drain(signal),
    deadLetters: deadLetters(context),

    async stores() {
      const { storage } = engine;
      storage.mayWrite();
      if (storage.trouble || storage.idle > storesFor)
        await engine.transact([{ text: text.touch, params: [now()] }]);
    },

    async pending() {
      const [row] = await engine.all(text.pending, []);
      const unsent = Number(row?.events) - source.sentNotRemoved();
      return {
        outbox: unsent,
        jobs: Number(row?.jobs),
        oldestOutboxAgeMs: unsent === 0 ? 0 : Math.max(0, now() - Number(row?.oldest)),
      };
    },
  };
}

const statements = (dialect: DialectName) => ({
  event: own(
    dialect === "sqlite"
      ? "insert into outbox_events (id, topic, type, key, data, time, headers, at) values (?, ?, ?, ?, ?, ?, ?, ?)"
      : "insert into outbox_events (id, topic, type, key, data, time, headers, at, slot) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    dialect,
  ),
  job: own(
    `insert into outbox_jobs (kind, key, at, data, attempt, next, token, scheduled) values (?, ?, ?, ?, ?, ?, ?, ?)
     on conflict (kind, key) do update set at = excluded.at, data = excluded.data, attempt = excluded.attempt,
       next = excluded.next, token = excluded.token, scheduled = excluded.scheduled`,
    dialect,
  ),
  cancel: own("delete from outbox_jobs where kind = ? and key = ?", dialect),
  handled: own("select 1 as one from outbox_inbox where consumer = ? and event = ?", dialect),
  remember: own(
    "insert into outbox_inbox (consumer, event, at) values (?, ?, ?) on conflict do nothing",
    dialect,
  ),
  touch: own(
    `insert into outbox_inbox (consumer, event, at) values ('outbox', 'does it store', ?)
     on conflict (consumer, event) do update set at = excluded.at`,
    dialect,
  ),
  pending: `select (select count(*) from outbox_events) as events, (select count(*) from outbox_jobs) as jobs,
     (select at from outbox_events order by seq limit 1) as oldest`,
});

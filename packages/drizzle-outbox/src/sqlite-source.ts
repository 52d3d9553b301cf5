import type { Cells, Context, Source } from "./engine.ts";
import type { StoredEvent } from "./outbox.ts";
import type { SqliteEngine } from "./sqlite.ts";

/** Rows looked at for a batch: more than a batch, since only one of a key can go. */
const page = 1000;
/** Events kept in memory; beyond it they are read from the table when their turn comes. */
const most = 2000;
/** Ms after which sent events are removed when no commit came to take that along. */
const ackDelay = 50;
/** Ms until that is tried again when the disk did not take it. */
const ackRetry = 1000;

const moveSent = `insert into outbox_sent (seq, id, topic, type, key, data, time, headers, at)
  select seq, id, topic, type, key, data, time, headers, ? from outbox_events where seq between ? and ?`;
const removeSent = "delete from outbox_events where seq between ? and ?";

/**
 * Unsent events of a SQLite file. As long as all goes well they are handed on from memory as they are committed,
 * and their removal rides on a later commit. After a failure, a restart, or with a long backlog they are read from
 * the table, until nothing is left in it.
 */
export class SqliteSource implements Source {
  readonly #engine: SqliteEngine;
  readonly #context: Context;
  #fromMemory = false;
  #queue: StoredEvent[] = [];
  /** The highest number that is, or was, in memory. One process writes at a time, so a number missed shows as a gap. */
  #cursor = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(engine: SqliteEngine, context: Context) {
    this.#engine = engine;
    this.#context = context;
  }

  committed(events: StoredEvent[]): void {
    if (!this.#fromMemory) return;
    const first = events[0] as StoredEvent;
    if (first.seq !== this.#cursor + 1 || this.#queue.length + events.length > most) {
      this.#leaveMemory();
      return;
    }
    for (const event of events) this.#queue.push(event);
    this.#cursor += events.length;
  }

  #leaveMemory(): void {
    this.#fromMemory = false;
    this.#queue = [];
  }

  async round(limit: number, held: string[], deliver: (events: StoredEvent[]) => Promise<number[]>) {
    // Another process on the same file, an import say, has written when the numbers went on without us.
    if (this.#fromMemory && this.#queue.length === 0 && this.#lastNumber() > this.#cursor)
      this.#leaveMemory();
    const events = this.#fromMemory ? this.#takeFromMemory(limit) : this.#takeFromTable(limit, held);
    if (events.length === 0) return { tried: 0, busy: false };
    let sent: number[] = [];
    try {
      sent = await deliver(events);
    } finally {
      if (sent.length < events.length) this.#leaveMemory();
    }
    this.#remove(sent);
    return { tried: events.length, busy: false };
  }

  #takeFromMemory(limit: number): StoredEvent[] {
    const keys = new Set<string>();
    const taken: StoredEvent[] = [];
    const rest: StoredEvent[] = [];
    for (const event of this.#queue) {
      if (taken.length < limit && !keys.has(event.key)) {
        keys.add(event.key);
        taken.push(event);
      } else rest.push(event);
    }
    this.#queue = rest;
    return taken;
  }

  #takeFromTable(limit: number, held: string[]): StoredEvent[] {
    this.flush(); // What was sent must be gone before the table is asked.
    const before = this.#lastNumber();
    const rows = this.#engine
      .statement(
        `select seq, key from outbox_events where key not in (select value from json_each(?)) order by seq limit ${page}`,
      )
      .all([JSON.stringify(held)]);
    const keys = new Set<string>();
    const picked: number[] = [];
    for (const { seq, key } of rows) {
      if (keys.has(key as string)) continue;
      keys.add(key as string);
      picked.push(seq as number);
      if (picked.length === limit) break;
    }
    if (held.length === 0 && picked.length === rows.length && rows.length < page) {
      this.#fromMemory = true;
      this.#cursor = Math.max(before, picked.at(-1) ?? 0);
    }
    return this.#engine
      .statement("select * from outbox_events where seq in (select value from json_each(?)) order by seq")
      .all([JSON.stringify(picked)])
      .map(storedEvent);
  }

  #lastNumber(): number {
    const [row] = this.#engine
      .statement("select seq from sqlite_sequence where name = 'outbox_events'")
      .all([]);
    return Number(row?.seq ?? 0);
  }

  #remove(sent: number[]): void {
    for (let i = 0; i < sent.length; ) {
      const from = sent[i] as number;
      let to = from;
      while (++i < sent.length && sent[i] === to + 1) to++;
      if (this.#context.retainSent)
        this.#engine.ride({ text: moveSent, params: [this.#context.now(), from, to], table: "outbox_sent" });
      this.#engine.ride({ text: removeSent, params: [from, to] });
    }
    if (sent.length > 0) this.#flushIn(ackDelay);
  }

  #flushIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      try {
        this.flush();
      } catch (error) {
        this.#context.onError(error, {}); // They stay where they are, for the next transaction or the next try.
        this.#flushIn(ackRetry);
      }
    }, ms);
  }

  flush(): void {
    this.#engine.flushRiders();
  }

  async last(): Promise<number> {
    return this.#lastNumber();
  }

  async settled(upTo: number): Promise<boolean> {
    this.flush();
    return (
      this.#engine.statement("select 1 from outbox_events where seq <= ? limit 1").all([upTo]).length === 0
    );
  }

  sentNotRemoved(): number {
    return this.#engine.riders.reduce(
      (sum, { text, params: [from, to] }) =>
        text === removeSent ? sum + Number(to) - Number(from) + 1 : sum,
      0,
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leaveMemory();
    this.flush();
  }
}

export function storedEvent(row: Cells): StoredEvent {
  return {
    seq: Number(row.seq),
    id: row.id as string,
    topic: row.topic as string,
    type: row.type as string,
    key: row.key as string,
    data: JSON.parse(row.data as string),
    time: row.time as string,
    headers: row.headers === null ? {} : JSON.parse(row.headers as string),
  };
}

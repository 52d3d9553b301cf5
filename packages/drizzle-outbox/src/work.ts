import { own } from "./compile.ts";
import type { Context, Op } from "./engine.ts";
import { fault } from "./faults.ts";
import type { Change, Job, Running } from "./outbox.ts";
import { backoff, ownership, Waiting } from "./waiting.ts";

/** A job that is due. */
export interface DueJob extends Job {
  data: unknown;
  /** 1 for the first try. */
  attempt: number;
}

/** What to do for each kind of job. */
export type Handlers = Record<
  string,
  // biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing will do.
  (job: DueJob) => Promise<Change | void> | Change | void
>;

export interface WorkOptions {
  /** Most jobs at a time: 64. */
  concurrency?: number;
  /** Ms after which another replica runs the job of one that is gone: 30,000. Renewed while a handler runs. */
  lease?: number;
}

/** A job that this process has taken. */
export interface Lease {
  job: DueJob;
  token: string;
  until: number;
}

const poll = 1000;
const retryFirst = 200;
const retryLongest = 30_000;
/** Ms by which the clocks of replicas may differ. */
const clocksDiffer = 60_000;

class Lost extends Error {
  constructor({ kind, key }: DueJob) {
    super(
      `The job ${kind} ${key} was cancelled, scheduled again or taken by another while it ran: its change is dropped`,
    );
  }
}

export class Worker {
  readonly #context: Context;
  readonly #save: (change: Change, ops: Op[]) => Promise<void>;
  readonly #text: ReturnType<typeof statements>;
  readonly #waiting = new Waiting();
  readonly #running = new Map<string, Promise<void>>();
  readonly #leases = new Set<Lease>();
  #handlers: Handlers | undefined;
  #concurrency = 0;
  #leaseMs = 0;
  #owned = false;
  /** What the clock shows beyond the time that has passed; undefined before it was looked at. */
  #offset: number | undefined;
  #idle: (() => void) | undefined;

  constructor(context: Context, save: (change: Change, ops: Op[]) => Promise<void>) {
    this.#context = context;
    this.#save = save;
    this.#text = statements(context.engine.dialect);
  }

  /** Takes a job that is being scheduled, if it is due and there is room for it. */
  reserve(job: DueJob, now: number): Lease | undefined {
    if (!this.#owned || job.at > now || this.#leases.size >= this.#concurrency) return;
    if (!this.#handlers?.[job.kind]) return;
    return this.#lease(job, crypto.randomUUID(), now + this.#leaseMs);
  }

  #lease(job: DueJob, token: string, until: number): Lease {
    const lease = { job, token, until };
    this.#leases.add(lease);
    return lease;
  }

  /** Jobs were scheduled; those reserved for it are run. */
  committed(leases: Lease[]): void {
    for (const lease of leases) this.#start(lease);
    this.#waiting.kick();
  }

  release(leases: Lease[]): void {
    for (const lease of leases) this.#leases.delete(lease);
    if (leases.length > 0) this.#finished();
  }

  start(handlers: Handlers, { concurrency = 64, lease = 30_000 }: WorkOptions): Running {
    if (this.#handlers) throw new Error("This outbox is working already");
    this.#handlers = handlers;
    this.#concurrency = concurrency;
    this.#leaseMs = lease;
    const stopped = new AbortController();
    const loop = this.#run(stopped.signal);
    return {
      stop: async () => {
        stopped.abort();
        this.#waiting.kick();
        await loop;
      },
    };
  }

  async #run(stopped: AbortSignal): Promise<void> {
    const { engine, onError } = this.#context;
    const owned = await ownership(this.#context, stopped, this.#waiting);
    const renewing = setInterval(() => this.#renew(), this.#leaseMs / 3);
    try {
      let failures = 0;
      while (!stopped.aborted && !engine.closed) {
        try {
          if (!this.#owned) await this.#takeOver();
          await this.#waiting.rest(await this.#claim(await this.#lookAtClock()));
          failures = 0;
        } catch (error) {
          onError(error, {});
          await this.#waiting.rest(backoff(++failures, retryFirst, poll));
        }
      }
      this.#owned = false;
      while (this.#leases.size > 0)
        await new Promise<void>((resolve) => {
          this.#idle = resolve;
        });
    } catch (error) {
      onError(error, {});
    } finally {
      clearInterval(renewing);
      this.#owned = false;
      this.#handlers = undefined;
      if (owned) engine.disown();
    }
  }

  /** Whoever held a lease on a SQLite file is gone: its lock is ours now. */
  async #takeOver(): Promise<void> {
    const { engine, now } = this.#context;
    if (engine.dialect === "sqlite") await engine.transact([{ text: this.#text.takeOver, params: [now()] }]);
    this.#owned = true;
  }

  /**
   * A clock that is set back by hours must not make jobs wait for as long: what remained to be waited when a job was
   * scheduled is counted from now. One that is set forward makes jobs due; those that run here stay ours.
   * @returns the time, as it was looked at
   */
  async #lookAtClock(): Promise<number> {
    const { engine, now } = this.#context;
    const at = now();
    const offset = at - performance.now();
    const jumped = this.#offset === undefined ? -clocksDiffer : offset - this.#offset;
    if (Math.abs(jumped) < clocksDiffer) return at;
    if (jumped > 0) await this.#renew();
    else {
      await engine.transact([{ text: this.#text.setBack, params: [at, at, at + clocksDiffer] }]);
      for (const lease of this.#leases) lease.until = Math.min(lease.until, at + this.#leaseMs);
    }
    this.#offset = offset;
    return at;
  }

  /** @returns ms until the next job is due, or until the next look */
  async #claim(at: number): Promise<number> {
    const { engine } = this.#context;
    const free = this.#concurrency - this.#leases.size;
    if (free <= 0) return poll; // A job that ends makes itself heard.
    const kinds = JSON.stringify(Object.keys(this.#handlers ?? {}));
    const [first] = await engine.all(this.#text.next, [kinds]);
    if (!first) return poll;
    const wait = Number(first.next) - at;
    if (wait > 0) return Math.min(wait, poll);
    const token = crypto.randomUUID();
    const until = at + this.#leaseMs;
    let leases: Lease[] = [];
    await engine.transact([
      {
        text: this.#text.claim,
        params: [kinds, at, free, token, until, at],
        returning: true,
        after: ({ rows }) => {
          // In no order of their own: what was due first begins first.
          const inOrder = rows.toSorted((one, other) => Number(one.at) - Number(other.at));
          leases = inOrder.map((row) => {
            const data = row.data === null ? undefined : JSON.parse(row.data as string);
            const [at, attempt] = [Number(row.at), Number(row.attempt)];
            return {
              token,
              until,
              job: { kind: row.kind as string, key: row.key as string, at, attempt, data },
            };
          });
        },
      },
    ]);
    for (const lease of leases) {
      this.#leases.add(lease);
      this.#start(lease);
    }
    return leases.length > 0 ? 0 : 20; // Due but not to be had: another replica is at it.
  }

  #start(lease: Lease): void {
    const id = idOf(lease.job);
    // Scheduled again while it runs: the new one begins when the old one is over.
    const before = this.#running.get(id);
    const running: Promise<void> = Promise.resolve(before)
      .then(() => this.#perform(lease))
      .finally(() => {
        this.#leases.delete(lease);
        if (this.#running.get(id) === running) this.#running.delete(id);
        this.#finished();
      });
    this.#running.set(id, running);
  }

  async #perform({ job, token }: Lease): Promise<void> {
    const { engine, now, onError } = this.#context;
    const identity = [job.kind, job.key, token];
    try {
      fault("job: before run");
      const change = await this.#handlers?.[job.kind]?.(job);
      fault("job: before commit");
      const done: Op = {
        text: this.#text.done,
        params: identity,
        after({ count }) {
          if (count !== 1) throw new Lost(job);
        },
      };
      // The job's removal comes first, so that a change which schedules it again keeps it.
      await this.#save(change ?? {}, [done]);
      fault("job: after commit");
    } catch (error) {
      onError(error, { job });
      if (error instanceof Lost) return;
      const next = Math.round(now() + backoff(job.attempt, retryFirst, retryLongest));
      try {
        await engine.transact([{ text: this.#text.retry, params: [next, now(), ...identity] }]);
      } catch (failure) {
        onError(failure, { job }); // Its lease runs out, then it comes again.
      }
    }
  }

  #finished(): void {
    this.#waiting.kick();
    if (this.#leases.size > 0) return;
    this.#idle?.();
    this.#idle = undefined;
  }

  async #renew(): Promise<void> {
    const { engine, now, onError } = this.#context;
    const until = now() + this.#leaseMs;
    const old = [...this.#leases].filter((lease) => lease.until < until - this.#leaseMs / 4);
    if (old.length === 0) return;
    try {
      await engine.transact(
        old.map(({ job, token }) => ({
          text: this.#text.renew,
          params: [until, now(), job.kind, job.key, token],
        })),
      );
      for (const lease of old) lease.until = until;
    } catch (error) {
      onError(error, {});
    }
  }
}

const idOf = ({ kind, key }: Job): string => `${kind}\n${key}`;

const statements = (dialect: Context["engine"]["dialect"]) => {
  const mine = "where kind = ? and key = ? and token = ?";
  // Written so that neither database looks the kinds up in the primary key, and then sorts every job there is:
  // in the order of the index on `next`, what is due comes first.
  const ours =
    dialect === "sqlite"
      ? "+kind in (select value from json_each(?))"
      : "kind || '' = any (array(select json_array_elements_text(?::json)))";
  const due = `select kind, key from outbox_jobs where ${ours} and next <= ? order by next limit ?`;
  return {
    next: own(`select next from outbox_jobs where ${ours} order by next limit 1`, dialect),
    claim: own(
      dialect === "sqlite"
        ? `with due as materialized (${due}) update outbox_jobs set token = ?, next = ?, scheduled = ?, attempt = attempt + 1
             where (kind, key) in (select kind, key from due) returning kind, key, at, data, attempt`
        : `with due as materialized (${due} for update skip locked)
             update outbox_jobs as job set token = ?, next = ?, scheduled = ?, attempt = attempt + 1 from due
             where job.kind = due.kind and job.key = due.key
             returning job.kind, job.key, job.at, job.data, job.attempt`,
      dialect,
    ),
    done: own(`delete from outbox_jobs ${mine}`, dialect),
    retry: own(`update outbox_jobs set next = ?, scheduled = ?, token = null ${mine}`, dialect),
    renew: own(`update outbox_jobs set next = ?, scheduled = ? ${mine}`, dialect),
    setBack: own(
      "update outbox_jobs set next = next - scheduled + ?, scheduled = ? where scheduled > ?",
      dialect,
    ),
    takeOver: own(
      "update outbox_jobs set next = min(next, ?), token = null where token is not null",
      dialect,
    ),
  };
};

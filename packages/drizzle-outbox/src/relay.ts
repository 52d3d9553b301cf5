import type { Context, Source } from "./engine.ts";
import { fault } from "./faults.ts";
import type { OutboxOptions, Running, StoredEvent } from "./outbox.ts";
import { backoff, ownership, Waiting } from "./waiting.ts";

/** Ms between looks at the table when nobody says that there is something: other processes write too. */
const poll = 1000;
const retryFirst = 50;
const retryLongest = 2000;
/** So many keys can be held back at once; more failures than that, and all wait. */
const mostHeld = 1000;
const forget = 60_000;

interface Held {
  failures: number;
  until: number;
}

/**
 * Sends what is committed. Events of one key go one after the other, since a broker may take those of one call in
 * any order (Dapr does): a call has one of a key at most, and a key whose event failed is held back until it is sent.
 */
export class Relay {
  readonly #context: Context;
  readonly #source: Source;
  readonly #send: OutboxOptions["send"];
  readonly #batch: number;
  readonly #timeout: number;
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Waiting();
  /** Drains that wait for the next round to be over. */
  #watchers: (() => void)[] = [];
  #failures = 0;
  #users = 0;
  #stopped: AbortController | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(context: Context, source: Source, { send, batch = 200, sendTimeout = 30_000 }: OutboxOptions) {
    this.#context = context;
    this.#source = source;
    this.#send = send;
    this.#batch = batch;
    this.#timeout = sendTimeout;
  }

  committed(events: StoredEvent[]): void {
    this.#source.committed(events);
    this.#waiting.kick();
  }

  start(): Running {
    if (this.#users++ === 0) {
      const stopped = new AbortController();
      const before = this.#loop;
      this.#stopped = stopped;
      this.#loop = before.then(() => this.#run(stopped.signal));
    }
    let using = true;
    return {
      stop: async () => {
        if (using && --this.#users === 0) {
          this.#stopped?.abort();
          this.#waiting.kick();
        }
        using = false;
        if (this.#users === 0) await this.#loop;
      },
    };
  }

  async drain(signal?: AbortSignal): Promise<void> {
    const upTo = await this.#source.last();
    const running = this.start();
    try {
      while (!(await this.#source.settled(upTo))) {
        signal?.throwIfAborted();
        await this.#nextRound(signal);
      }
    } finally {
      // After an abort a call of `send` may still be under way: its end is not waited for.
      const stopping = running.stop();
      if (!signal?.aborted) await stopping;
    }
  }

  /** Resolves after a round, or after a moment: it may be another process that sends. */
  #nextRound(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, 50);
      signal?.addEventListener("abort", done);
      this.#watchers.push(done);
    });
  }

  async #run(stopped: AbortSignal): Promise<void> {
    const { engine, onError } = this.#context;
    if (!(await ownership(this.#context, stopped, this.#waiting))) return;
    try {
      while (!stopped.aborted && !engine.closed) {
        const rest = await this.#round();
        for (const watcher of this.#watchers.splice(0)) watcher();
        if (rest === 0) continue;
        // Commits cut a rest short, but not the one after a failure.
        const end = performance.now() + rest;
        do await this.#waiting.rest(end - performance.now());
        while (this.#failures > 0 && !stopped.aborted && performance.now() < end);
      }
      this.#source.close();
    } catch (error) {
      onError(error, {});
    } finally {
      engine.disown();
    }
  }

  /** @returns ms to rest before the next */
  async #round(): Promise<number> {
    const now = performance.now();
    let wake = now + poll;
    const held: string[] = [];
    for (const [key, { until }] of this.#held) {
      if (until <= now) {
        // Nobody asked for it again: another replica has sent it.
        if (until < now - forget) this.#held.delete(key);
        continue;
      }
      held.push(key);
      wake = Math.min(wake, until);
    }
    if (held.length >= mostHeld) return wake - now;
    try {
      const { tried, busy } = await this.#source.round(this.#batch, held, (events) => this.#deliver(events));
      this.#failures = 0;
      if (tried > 0) return 0;
      // A little later than the first that may go again, so that some go together.
      return busy ? 5 + Math.random() * 20 : Math.max(1, wake - now) + (held.length > 1 ? 20 : 0);
    } catch (error) {
      this.#context.onError(error, {});
      return backoff(++this.#failures, retryFirst, retryLongest);
    }
  }

  async #deliver(events: StoredEvent[]): Promise<number[]> {
    fault("relay: before send");
    const result = await within(this.#timeout, this.#send(events));
    fault("relay: after send");
    const failed = new Map(result ? result.failed.map(({ id, error }) => [id, error]) : []);
    const sent: number[] = [];
    for (const event of events) {
      if (!failed.has(event.id)) {
        this.#held.delete(event.key);
        sent.push(event.seq);
        continue;
      }
      const failures = (this.#held.get(event.key)?.failures ?? 0) + 1;
      this.#held.set(event.key, {
        failures,
        until: performance.now() + backoff(failures, retryFirst, retryLongest),
      });
      this.#context.onError(failed.get(event.id), { event });
    }
    return sent;
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The events were not sent within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

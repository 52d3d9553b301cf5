import { Problem } from "chassis";
import { ConcurrencyLimit } from "./concurrency.ts";

/** What finishes something goes before what begins something new. */
export type Rank = "finishing" | "beginning";

/** A burst, or what comes while a service catches its breath, may wait this long for its turn, in milliseconds. */
const burstWaits = 5_000;
/** When somebody has been waiting or refused all that time, more comes than can be done: then nobody who comes waits longer. */
const standingWaits = 100;
const mostWaiting = 1_000;
const looksEvery = 20;
/** So many of those who finish something go first, then one that begins: nobody is kept out for good. */
const finishingInARow = 4;

/** Leave to send a request on. Whoever has it gives it back. */
export interface Turn {
  /** @param ms how long the service took, where that says something about its load */
  over(ms?: number): void;
}

interface Waiter {
  until: number;
  /** The client has gone: nobody would read the answer. */
  gone(): boolean;
  go(turn: Turn): void;
  refuse(problem: Problem): void;
}

export interface Clock {
  now(): number;
  /** Runs it after so many milliseconds. */
  later(run: () => void, ms: number): void;
}

const real: Clock = { now: () => performance.now(), later: (run, ms) => setTimeout(run, ms) };

/**
 * Lets as many requests through to one service as it answers in time; a few more wait, in two queues, shortly; the
 * rest is refused at once. A queue that empties now and then has taken up a burst; one that does not only makes
 * everybody late, so then waiting is cut short (controlled delay, as CoDel does with packets, RFC 8289).
 */
export class Admission {
  readonly limit: ConcurrencyLimit;
  readonly #service: string;
  readonly #clock: Clock;
  readonly #queues: Record<Rank, Waiter[]> = { finishing: [], beginning: [] };
  #underWay = 0;
  #inARow = 0;
  #emptyAt: number;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #looking = false;

  /** @param objective milliseconds in which the service should answer */
  constructor(service: string, objective: number, clock: Clock = real) {
    this.#service = service;
    this.#clock = clock;
    this.#emptyAt = clock.now();
    this.limit = new ConcurrencyLimit(objective);
  }

  get underWay(): number {
    return this.#underWay;
  }

  get waiting(): number {
    return this.#queues.finishing.length + this.#queues.beginning.length;
  }

  /**
   * Waits for a turn.
   * @throws {Problem} 503 `overloaded` when there is none to be had soon
   */
  async enter(rank: Rank, gone: () => boolean = () => false): Promise<Turn> {
    if (this.waiting === 0 && this.#underWay < this.limit.value) {
      this.#emptyAt = this.#clock.now();
      return this.#turn();
    }
    const now = this.#clock.now();
    // As long as anybody is refused the queue is kept short: else it would fill and empty in turns.
    const standing = now - this.#emptyAt >= burstWaits || now - this.#refusedAt < burstWaits;
    // A queue that cannot be served in time would only keep people waiting for their refusal.
    if (this.waiting >= mostWaiting || (!standing && this.limit.served(this.waiting) > burstWaits))
      throw this.#refusal();
    return new Promise((go, refuse) => {
      const until = now + (standing ? standingWaits : burstWaits);
      this.#queues[rank].push({ until, gone, go, refuse });
      this.#look();
    });
  }

  #turn(): Turn {
    const underWay = ++this.#underWay;
    return {
      over: (ms) => {
        this.#underWay--;
        if (ms !== undefined) this.limit.answered(ms, underWay, this.#clock.now());
        this.#next();
      },
    };
  }

  /** Gives free turns to those who wait. */
  #next(): void {
    while (this.#underWay < this.limit.value) {
      const { finishing, beginning } = this.#queues;
      const first = beginning.length === 0 || (finishing.length > 0 && this.#inARow < finishingInARow);
      this.#inARow = first ? this.#inARow + 1 : 0;
      const waiter = (first ? finishing : beginning).shift();
      if (waiter === undefined) return;
      if (waiter.gone()) waiter.refuse(new Problem(503, { code: "aborted", detail: "The client went away" }));
      else waiter.go(this.#turn());
      // Emptied by work, that is, and not by refusals.
      if (this.waiting === 0) this.#emptyAt = this.#clock.now();
    }
  }

  /** Sends away, as long as anybody waits, whoever has waited too long. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#clock.later(() => {
      this.#looking = false;
      const now = this.#clock.now();
      for (const rank of ["finishing", "beginning"] as const) {
        const [late, rest] = parted(this.#queues[rank], ({ until }) => until <= now);
        this.#queues[rank] = rest;
        for (const { refuse } of late) refuse(this.#refusal());
      }
      this.#next();
      if (this.waiting > 0) this.#look();
    }, looksEvery);
  }

  #refusal(): Problem {
    this.#refusedAt = this.#clock.now();
    return overloaded(this.#service);
  }
}

function parted<T>(items: T[], is: (item: T) => boolean): [T[], T[]] {
  const parts: [T[], T[]] = [[], []];
  for (const item of items) parts[is(item) ? 0 : 1].push(item);
  return parts;
}

/** The refusal of what is more than a service can take now. Whoever comes back does so at different moments. */
export function overloaded(service: string): Problem {
  return new Problem(503, {
    code: "overloaded",
    detail: `More is asked of the ${service} service than it can do right now: nothing has happened, try again`,
    headers: { "retry-after": String(1 + Math.floor(Math.random() * 3)) },
  });
}

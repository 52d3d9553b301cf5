import type { Random } from "./random.ts";

/** Whose code runs: a process. What it has set going ends with it. */
export interface Owner {
  readonly alive: boolean;
  /** Ms of the simulation until which it is stopped (SIGSTOP); 0 when it runs. */
  readonly frozenUntil: number;
  /** Ms by which its clock is ahead. */
  readonly skew: number;
}

/** Something that happens at a time. */
export interface Due {
  at: number;
  tie: number;
  owner: Owner | undefined;
  run(): unknown;
  /** What it is about. */
  label: string | undefined;
  cancelled: boolean;
}

const settled = setImmediate;

/**
 * The simulation's time. One thing happens after the other; before the next one, all promises that it resolved have
 * been seen to. What is due at the same moment happens in an order drawn from the seed.
 */
export class Clock {
  /** Ms since 1970. */
  now = Date.UTC(2025, 0, 1);
  readonly begun = this.now;
  /** Whose code runs; nobody's when the simulation itself does. */
  current: Owner | undefined;
  /** What its code is at, where that is known. */
  label: string | undefined;
  happened = 0;
  readonly #ties: Random;
  readonly #heap: Due[] = [];

  constructor(ties: Random) {
    this.#ties = ties;
  }

  after(ms: number, owner: Owner | undefined, run: () => unknown, label?: string): Due {
    const at = this.now + Math.max(0, Number.isFinite(ms) ? ms : 0);
    const due: Due = { at, tie: this.#ties.bits(), owner, run, label, cancelled: false };
    this.#push(due);
    return due;
  }

  /** Lets the next thing happen. @returns false when there is nothing left */
  async next(): Promise<boolean> {
    const due = this.#pop();
    if (due === undefined) return false;
    if (due.cancelled || isDead(due.owner)) return true;
    this.now = Math.max(this.now, due.at);
    if (due.owner && due.owner.frozenUntil > this.now) {
      due.at = due.owner.frozenUntil;
      this.#push(due);
      return true;
    }
    this.happened++;
    this.current = due.owner;
    this.label = due.label;
    try {
      due.run();
    } catch (error) {
      // A process may die while it runs; anything else is an exception that nobody caught.
      if (!isDead(due.owner)) throw error;
    }
    await new Promise<void>((resolve) => {
      settled(resolve);
    });
    this.current = undefined;
    return true;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let i = heap.push(due) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!before(due, heap[up] as Due)) break;
      heap[i] = heap[up] as Due;
      i = up;
    }
    heap[i] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1] as Due, heap[down] as Due)) down++;
      if (!before(heap[down] as Due, last)) break;
      heap[i] = heap[down] as Due;
      i = down;
    }
    heap[i] = last;
    return first;
  }
}

const before = (a: Due, b: Due): boolean => (a.at !== b.at ? a.at < b.at : a.tie < b.tie);

const isDead = (owner: Owner | undefined): boolean => owner?.alive === false;

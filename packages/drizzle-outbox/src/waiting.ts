import type { Context } from "./engine.ts";

/** A loop's rest between rounds: it ends after a time, or when there is news. */
export class Waiting {
  #news = false;
  #wake: (() => void) | undefined;

  /** There is something to do: ends the rest, or the next one before it begins. */
  kick(): void {
    this.#news = true;
    this.#wake?.();
  }

  async rest(ms: number): Promise<void> {
    if (!this.#news && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#news = false;
  }
}

/**
 * A clock that what is kept for a time is forgotten by: it does not run faster than time passes, so that one which is
 * set forward by days makes nobody forget what is needed today.
 */
export function steady(now: () => number): () => number {
  const [clock, time] = [now(), performance.now()];
  return () => Math.min(now(), clock + Math.floor(performance.now() - time));
}

/** Ms to wait after so many failures in a row: doubling, bounded, and spread so that not all come back at once. */
export function backoff(failures: number, first: number, longest: number): number {
  return Math.min(longest, first * 2 ** Math.min(failures - 1, 20)) * (0.5 + Math.random() / 2);
}

/** Waits until this process may send and work off the database. @returns false when stopped before */
export async function ownership(
  { engine, onError }: Context,
  stopped: AbortSignal,
  waiting: Waiting,
): Promise<boolean> {
  while (!stopped.aborted && !engine.closed) {
    try {
      if (await engine.own()) return true;
    } catch (error) {
      onError(error, {});
    }
    await waiting.rest(200);
  }
  return false;
}

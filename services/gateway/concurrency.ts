const fewest = 8;
const most = 256;
const initial = 64;
/** A window of answers is long enough to have a median, and short enough to follow a burst. */
const window = { ms: 100, samples: 10, longestMs: 1_000 };
const mostSamples = 1_000;
/** How much of a window's verdict is taken over at once. */
const smoothing = 0.25;

/**
 * How many requests may be under way at a service at once: as many as it answers within the objective. After each
 * window of answers the limit becomes `limit × objective/median + √limit`: it shrinks as far as answers are slower
 * than the objective, and the root leaves room to grow, and to keep a small queue in the service. (The gradient limit
 * of Netflix's concurrency-limits, with an objective in the place of the long-term average, which drifts along with
 * a slow overload.)
 */
export class ConcurrencyLimit {
  readonly #objective: number;
  #limit = initial;
  #samples: number[] = [];
  #since: number | undefined;
  #mostAtOnce = 0;
  #median = 0;

  /** @param objective milliseconds that an answer may take */
  constructor(objective: number) {
    this.#objective = objective;
  }

  get value(): number {
    return Math.floor(this.#limit);
  }

  /** Milliseconds that so many would take, by the last answers; 0 as long as there were none. */
  served(requests: number): number {
    return (requests / this.#limit) * this.#median;
  }

  /**
   * Notes an answer.
   * @param ms how long it took; of one that did not come in time, how long it was waited for
   * @param atOnce requests that were under way with it
   */
  answered(ms: number, atOnce: number, now: number): void {
    this.#since ??= now;
    if (this.#samples.length < mostSamples) this.#samples.push(ms);
    this.#mostAtOnce = Math.max(this.#mostAtOnce, atOnce);
    const elapsed = now - this.#since;
    const enough = this.#samples.length >= window.samples && elapsed >= window.ms;
    if (enough || elapsed >= window.longestMs) this.#close();
  }

  #close(): void {
    const sorted = this.#samples.sort((a, b) => a - b);
    this.#median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const gradient = Math.max(0.5, Math.min(1, this.#objective / this.#median));
    const wanted = this.#limit * gradient + Math.sqrt(this.#limit);
    // Quick answers to a few say nothing about what many would get.
    const used = this.#mostAtOnce >= this.#limit / 2;
    if (used || wanted < this.#limit) {
      const next = this.#limit + (wanted - this.#limit) * smoothing;
      this.#limit = Math.max(fewest, Math.min(most, next));
    }
    this.#samples = [];
    this.#since = undefined;
    this.#mostAtOnce = 0;
  }
}

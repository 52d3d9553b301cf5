const everyMs = 20;
/** How much of an old delay still counts at the next look. */
const fades = 0.8;

/**
 * How late this process is with its own work, in milliseconds: what its event loop does not get to. A time measured
 * here is too long by as much, and that is no fault of whoever was asked.
 */
export class Lag {
  #value = 0;
  #due: number;

  constructor(now: () => number = () => performance.now()) {
    this.#due = now() + everyMs;
    const timer = setInterval(() => {
      this.looked(now());
    }, everyMs);
    timer.unref();
  }

  get value(): number {
    return this.#value;
  }

  /** Notes when a look that was due every 20 ms took place. */
  looked(at: number): void {
    this.#value = Math.max(0, at - this.#due, this.#value * fades);
    this.#due = at + everyMs;
  }
}

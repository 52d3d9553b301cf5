import type { Policy } from "./webhook.ts";
import { usualPolicy } from "./webhook.ts";

/** What is set from outside, read once a use: all times in milliseconds. */
type Settings = Record<string, string | undefined>;

/** How often a webhook is tried: `WEBHOOK_RETRY_MS`, waits with commas between, and `WEBHOOK_DISABLE_AFTER_MS`. */
export function policyOf(env: Settings): Policy {
  const waits = env.WEBHOOK_RETRY_MS?.split(",").map(Number);
  const disableAfter = Number(env.WEBHOOK_DISABLE_AFTER_MS || usualPolicy.disableAfter);
  if (waits && !waits.every((wait) => wait >= 0))
    throw new Error("WEBHOOK_RETRY_MS must be numbers, as in 5000,300000");
  if (!(disableAfter >= 0)) throw new Error("WEBHOOK_DISABLE_AFTER_MS must be a number");
  return { waits: waits ?? usualPolicy.waits, disableAfter };
}

/** So many deliveries of one webhook at a time: one that is slow keeps no other waiting. */
export class Turns {
  readonly #taken = new Map<string, number>();
  constructor(readonly most: number) {}

  /** @returns what ends the turn, or undefined when all are taken */
  take(id: string): (() => void) | undefined {
    const taken = this.#taken.get(id) ?? 0;
    if (taken >= this.most) return undefined;
    this.#taken.set(id, taken + 1);
    return () => {
      const left = (this.#taken.get(id) ?? 1) - 1;
      if (left > 0) this.#taken.set(id, left);
      else this.#taken.delete(id);
    };
  }
}

/** Spreads what may wait, so that a rush of orders does not become a rush of mails. */
export class Pace {
  #next = 0;
  #looked = 0;
  constructor(readonly everyMs: number) {}

  /** So many wait already, since before this process began. */
  behind(waiting: number, now: number): void {
    this.#looked = now;
    this.#next = now + waiting * this.everyMs;
  }

  /** When the next one may go out. @param now milliseconds since the epoch */
  slot(now: number): number {
    // A clock that was set back must not make anybody wait for it.
    if (now < this.#looked) this.#next -= this.#looked - now;
    this.#looked = now;
    const at = Math.max(now, this.#next);
    this.#next = at + this.everyMs;
    return Math.round(at);
  }
}

import { type Config, integer, Problem } from "chassis";
import { overloaded } from "./admission.ts";

/** Far more than one network's people have under way at once, and a part of what one process can hold. */
const usual = 256;
const mostAtAll = 10_000;

/**
 * How many requests are under way, of each network and in all. Whoever sends slowly, reads slowly or listens for long
 * holds a place for as long as that takes: one network must not hold them all.
 */
export class Crowd {
  readonly #most: number;
  readonly #of = new Map<string, number>();
  /** Requests whose answers go on for as long as somebody listens. */
  readonly stays = new WeakSet<Request>();
  #all = 0;
  #refused = 0;

  /** @throws {Error} when REQUESTS_AT_ONCE is no number; 0 is no limit */
  constructor(config: Config) {
    this.#most = integer(config, "REQUESTS_AT_ONCE", config.env.RATE_LIMITS === "off" ? 0 : usual);
  }

  /** Takes a place, which is to be given back. @throws {Problem} 429 or 503 */
  enter(who: string): void {
    const own = this.#of.get(who) ?? 0;
    if (this.#most > 0 && own >= this.#most) {
      this.#refused++;
      throw new Problem(429, {
        code: "too-many-at-once",
        detail: `At most ${this.#most} requests of one network may be under way at once`,
        headers: { "retry-after": "1" },
      });
    }
    if (this.#all >= mostAtAll) throw overloaded("gateway");
    this.#of.set(who, own + 1);
    this.#all++;
  }

  leave(who: string): void {
    this.#all--;
    const left = (this.#of.get(who) ?? 1) - 1;
    if (left > 0) this.#of.set(who, left);
    else this.#of.delete(who);
  }

  get underWay(): number {
    return this.#all;
  }

  get refused(): number {
    return this.#refused;
  }
}

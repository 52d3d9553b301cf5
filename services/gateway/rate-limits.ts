import { type Config, integer, type Kit, Problem } from "chassis";
import { type Budget, type By, budgets, type Limits, limitsOf } from "./budgets.ts";
import { CheckoutLimits } from "./flags.ts";
import { type Share, SlidingWindow } from "./limiter.ts";
import { type Replicas, shareCounts } from "./shared-counts.ts";

const minute = 60_000;

/** Headers by name. */
export type Told = [name: string, value: string][];

/** All limits of this gateway. Deciding takes no time: what other replicas count is heard of in the background. */
export class RateLimits {
  readonly #windows = new Map<string, SlidingWindow>();
  readonly #replicas: Replicas;
  readonly #refused = new Map<string, number>();
  /** Of the budget that can be changed while it runs: as the gateway was started with, and what was set since. */
  readonly #checkout: Limits;
  #set: Limits = CheckoutLimits.default;

  /** @throws {Error} naming a variable that cannot be read */
  constructor(config: Config) {
    for (const budget of budgets) this.#apply(budget, limitsOf(config, budget));
    this.#checkout = limitsOf(config, "checkout");
    this.#replicas = shareCounts(this.#windows, {
      windowMs: minute,
      everyMs: integer(config, "RATE_LIMIT_SHARED_EVERY_MS", 1_000),
    });
  }

  /**
   * Counts a request.
   * @returns the headers that tell of it; none where there is no limit
   * @throws {Problem} 429 with `Retry-After`
   */
  take(
    kit: Pick<Kit<unknown>, "sidecar" | "log" | "now" | "flag">,
    budget: Budget,
    by: By,
    who: string,
  ): Told {
    const set = kit.flag(CheckoutLimits);
    if (set !== this.#set) {
      this.#set = set;
      this.#apply("checkout", { ...this.#checkout, ...set });
    }
    const name = `${budget}-${by}`;
    const window = this.#windows.get(name);
    if (window === undefined) return [];
    const share = window.take(who, kit.now());
    this.#replicas.soon(kit);
    if (!share.allowed) throw this.#refusal(name, window.limit, share);
    return headersOf(name, window.limit, share);
  }

  /** Counts a request that has its answer already. */
  note(kit: Pick<Kit<unknown>, "sidecar" | "log" | "now">, budget: Budget, by: By, who: string): void {
    if (this.#windows.get(`${budget}-${by}`)?.take(who, kit.now())) this.#replicas.soon(kit);
  }

  /** Counts nothing. @throws {Problem} 429 when somebody has used up their share */
  ensure(now: number, budget: Budget, by: By, who: string): void {
    const name = `${budget}-${by}`;
    const window = this.#windows.get(name);
    const share = window?.share(who, now);
    if (window && share && !share.allowed) throw this.#refusal(name, window.limit, share);
  }

  /** What somebody has left of a limit, known by its name; counts nothing. */
  left(name: string, who: string, now: number): number | undefined {
    return this.#windows.get(name)?.share(who, now).left;
  }

  /** How many requests each limit has refused. */
  get refused(): Record<string, number> {
    return Object.fromEntries(this.#refused);
  }

  /** 1 while counts are shared with other replicas, 0 while each counts for itself. */
  get shared(): number {
    return this.#replicas.shared ? 1 : 0;
  }

  /** What was counted so far stays counted. */
  #apply(budget: Budget, limits: Limits): void {
    for (const by of ["address", "user", "client"] as const) {
      const name = `${budget}-${by}`;
      const limit = limits[by] ?? 0;
      const window = this.#windows.get(name);
      if (limit === 0) this.#windows.delete(name);
      else if (window) window.limit = limit;
      else this.#windows.set(name, new SlidingWindow(limit, minute));
    }
  }

  #refusal(name: string, limit: number, share: Share): Problem {
    this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1);
    return new Problem(429, {
      code: "too-many-requests",
      detail: `At most ${limit} requests a minute (${name}): wait ${share.wait} s`,
      headers: {
        ...Object.fromEntries(headersOf(name, limit, share)),
        "retry-after": String(share.wait),
      },
    });
  }
}

/** As draft-ietf-httpapi-ratelimit-headers-10 has them. */
const headersOf = (name: string, limit: number, { left, wait }: Share): Told => [
  ["ratelimit-policy", `"${name}";q=${limit};w=${minute / 1_000}`],
  ["ratelimit", `"${name}";r=${left};t=${wait}`],
];

/** How much of its share a client has used. */
export interface Share {
  allowed: boolean;
  /** Requests that are left in this window. */
  left: number;
  /** Seconds until a request is possible again, or until the window ends. */
  wait: number;
}

const mostClients = 100_000;

/**
 * Counts each client's requests over a sliding window: what came in the last full window counts as far as it still
 * overlaps. Two numbers a client, no timer, no memory beyond two windows. (The libraries at hand count in fixed
 * windows, which let twice the limit through at their edge, and cost a promise a request.)
 */
export class SlidingWindow {
  readonly limit: number;
  readonly #ms: number;
  #start = 0;
  #current = new Map<string, number>();
  #before = new Map<string, number>();

  /**
   * @param limit requests a window
   * @param ms length of the window
   */
  constructor(limit: number, ms: number) {
    this.limit = limit;
    this.#ms = ms;
  }

  /** Counts a request, if it is allowed. */
  take(client: string, now: number): Share {
    this.#turn(now);
    // A flood of made-up clients must not fill the memory: beyond a number they share one share.
    const known = this.#current.has(client) || this.#current.size < mostClients;
    const key = known ? client : "";
    const elapsed = now - this.#start;
    const used = (this.#current.get(key) ?? 0) + (this.#before.get(key) ?? 0) * (1 - elapsed / this.#ms);
    const wait = Math.max(1, Math.ceil((this.#ms - elapsed) / 1000));
    if (used + 1 > this.limit) return { allowed: false, left: 0, wait };
    this.#current.set(key, (this.#current.get(key) ?? 0) + 1);
    return { allowed: true, left: Math.floor(this.limit - used - 1), wait };
  }

  #turn(now: number): void {
    const windows = Math.floor((now - this.#start) / this.#ms);
    if (windows < 1) return;
    this.#before = windows === 1 ? this.#current : new Map();
    this.#current = new Map();
    this.#start += windows * this.#ms;
  }
}

/** The network that an address stands for: itself, or the /64 that one IPv6 customer has. */
export function network(ip: string): string {
  if (!ip.includes(":")) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = ip.split("::");
  const front = head.split(":").filter(Boolean);
  const back = tail?.split(":").filter(Boolean) ?? [];
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill("0");
  return `${[...front, ...zeros, ...back].slice(0, 4).join(":")}::/64`;
}

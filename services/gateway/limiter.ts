/** How much of its share a client has used. */
export interface Share {
  allowed: boolean;
  /** Requests that are left in this window. */
  left: number;
  /** Seconds until a request is possible again, or until the window ends. */
  wait: number;
}

const mostClients = 100_000;
/** What has used less than this part of its limit is nobody else's business. */
const worthTelling = 1 / 10;
const mostTold = 1_000;

/** Counts of one window, by client: our own, those of other replicas, and which of ours they know. */
class Counts {
  readonly own = new Map<string, number>();
  others = new Map<string, number>();
  readonly told = new Map<string, number>();

  of(client: string): number {
    return (this.own.get(client) ?? 0) + (this.others.get(client) ?? 0);
  }
}

/**
 * Counts each client's requests over a sliding window: what came in the last full window counts as far as it still
 * overlaps. A few numbers a client, no timer, no memory beyond two windows. (The libraries at hand count in fixed
 * windows, which let twice the limit through at their edge, and ask their store for every request.)
 */
export class SlidingWindow {
  /** May change: what was counted so far stays counted. */
  limit: number;
  readonly ms: number;
  #window = 0;
  #current = new Counts();
  #before = new Counts();

  /**
   * @param limit requests a window
   * @param ms length of the window
   */
  constructor(limit: number, ms: number) {
    this.limit = limit;
    this.ms = ms;
  }

  /** Counts a request, if it is allowed. */
  take(client: string, now: number): Share {
    const share = this.share(client, now);
    if (!share.allowed) return share;
    const key = this.#key(client);
    this.#current.own.set(key, (this.#current.own.get(key) ?? 0) + 1);
    return { ...share, left: share.left - 1 };
  }

  /** What is left to a client; counts nothing. */
  share(client: string, now: number): Share {
    this.#turn(now);
    const key = this.#key(client);
    const elapsed = now - this.#window * this.ms;
    const current = this.#current.of(key);
    const before = this.#before.of(key);
    const left = Math.floor(this.limit - current - before * (1 - elapsed / this.ms) + tiny);
    if (left >= 1) return { allowed: true, left, wait: seconds(this.ms - elapsed) };
    // The share that must be gone until there is room for one: of the window before, or else of this one.
    const inThis = current <= this.limit - 1;
    const gone = inThis ? 1 - (this.limit - 1 - current) / before : 1 - (this.limit - 1) / current;
    return { allowed: false, left: 0, wait: seconds((inThis ? 0 : this.ms) + gone * this.ms - elapsed) };
  }

  /** What others should know of this window and do not yet: how many more each busy client has had. */
  untold(now: number): { window: number; more: Map<string, number> } {
    this.#turn(now);
    const { own, told } = this.#current;
    const more = new Map<string, number>();
    for (const [client, count] of own) {
      const fresh = count - (told.get(client) ?? 0);
      if (fresh > 0 && count >= this.limit * worthTelling) more.set(client, fresh);
      if (more.size >= mostTold) break;
    }
    return { window: this.#window, more };
  }

  /** Takes over what all replicas together have counted in a window, ours included, after `more` was added to it. */
  heard(window: number, totals: ReadonlyMap<string, number>, more: ReadonlyMap<string, number>): void {
    // A window that has gone by in the meantime counts all the same: as the one before.
    const counts =
      window === this.#window ? this.#current : window === this.#window - 1 ? this.#before : undefined;
    if (counts === undefined) return;
    for (const [client, fresh] of more) counts.told.set(client, (counts.told.get(client) ?? 0) + fresh);
    counts.others = new Map(
      [...totals].map(([client, total]) => [client, Math.max(0, total - (counts.told.get(client) ?? 0))]),
    );
  }

  /** A flood of made-up clients must not fill the memory: beyond a number they share one share. */
  #key(client: string): string {
    const { own, others } = this.#current;
    return own.has(client) || others.has(client) || own.size < mostClients ? client : "";
  }

  #turn(now: number): void {
    const window = Math.floor(now / this.ms);
    if (window === this.#window) return;
    // A clock that was set back begins anew: nobody is to wait until it is where it was.
    this.#before = window === this.#window + 1 ? this.#current : new Counts();
    this.#current = new Counts();
    this.#window = window;
  }
}

/** More than what floating point leaves of a difference. */
const tiny = 1e-6;
const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1_000 - tiny));

/** The network that an address stands for: itself, or the /64 that one IPv6 customer has. */
export function network(ip: string): string {
  if (!ip.includes(":")) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = (ip.split("%")[0] ?? "").split("::");
  const front = head.split(":").filter(Boolean);
  const back = tail?.split(":").filter(Boolean) ?? [];
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill("0");
  return `${[...front, ...zeros, ...back].slice(0, 4).join(":")}::/64`;
}

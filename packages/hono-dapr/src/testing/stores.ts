import type { Timers } from "./clock.ts";

export interface StateItem {
  json: string;
  version: number;
  /** Set once a value was written with `first-write`: from then on every write needs the ETag. */
  firstWrite: boolean;
  /** Milliseconds since the epoch. */
  expires: number | undefined;
}

export interface StateWrite {
  key: string;
  value: unknown;
  etag?: string;
  options?: { concurrency?: string };
  metadata?: { ttlInSeconds?: string };
}

/** `mismatch` and `invalid` are about the ETag. */
export type WriteResult = "ok" | "mismatch" | "invalid" | "failed";

/** A state store with the semantics of the Redis component. */
export class StateStore {
  readonly #items = new Map<string, StateItem>();
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get(key: string): StateItem | undefined {
    const item = this.#items.get(key);
    if (item?.expires === undefined || item.expires > this.#timers.now()) return item;
    this.#items.delete(key);
    return undefined;
  }

  set(key: string, { value, etag = "", options, metadata }: StateWrite): WriteResult {
    const known = this.get(key);
    const expected = options?.concurrency === "last-write" || etag === "" ? "0" : etag;
    if (!/^-?\d+$/.test(expected)) return "invalid";
    // Redis compares an ETag only with what is there: one for a key that is gone is taken.
    const unconditional = expected === "0" && !known?.firstWrite;
    if (known && String(known.version) !== expected && !unconditional) return etag ? "mismatch" : "failed";
    const firstWrite = known?.firstWrite || options?.concurrency === "first-write";
    const item = { json: JSON.stringify(value), version: (known?.version ?? 0) + 1, firstWrite };
    this.#items.set(key, { ...item, expires: this.#expires(metadata?.ttlInSeconds, known) });
    return "ok";
  }

  delete(key: string, etag = ""): WriteResult {
    const known = this.get(key);
    if (known && etag !== "" && etag !== "0" && etag !== String(known.version)) return "mismatch";
    this.#items.delete(key);
    return "ok";
  }

  #expires(ttl: string | undefined, known: StateItem | undefined): number | undefined {
    if (ttl === undefined) return known?.expires;
    const seconds = Number(ttl);
    return seconds > 0 ? this.#timers.now() + seconds * 1000 : undefined;
  }
}

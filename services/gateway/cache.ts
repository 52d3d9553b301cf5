import { LRUCache } from "lru-cache";
import type { Tag } from "./tags.ts";

const mostBytes = 64 * 1024 * 1024;
const largest = 1024 * 1024;
/** A copy that no longer holds by itself is kept for so long: one question may renew it, or it helps in an outage. */
const keptFor = 10 * 60_000;
/** A service that does not answer is asked again after this long, not by every request. */
const outageHolds = 1_000;

/** An answer of a service, read to its end. */
export interface Answer {
  status: number;
  headers: Headers;
  body: ArrayBuffer;
}

interface Copy extends Answer {
  tag: string;
  about: Tag[];
  at: number;
  holdsUntil: number;
}

/** How an answer was come by (RFC 9211). */
export type How = "hit" | "fwd=uri-miss" | "fwd=stale" | "hit; detail=outage";

/** An answer from the cache or from the service itself. */
export interface Found extends Answer {
  how: How;
  /** Entity tag, when the answer may be kept. */
  tag?: string;
  /** Seconds since the service gave it. */
  age: number;
}

/** Asks the service; with the entity tag of a copy, to hear 304 if it still holds. */
export type Ask = (tag: string | undefined) => Promise<Answer>;

interface Flight {
  about: Tag[];
  /** Nothing that it is about has changed since it was asked. */
  holds: boolean;
  answer: Promise<Found>;
}

/**
 * Copies of public answers, kept in memory as long as the service allows (`s-maxage`), given up at once when what
 * they are about changes. Who asks while the same question is under way waits for that answer, unless a change came
 * in between: nobody gets an answer that was asked for before a change they know of.
 */
export class EdgeCache {
  readonly #now: () => number;
  readonly #underWay = new Map<string, Flight>();
  readonly #byTag = new Map<Tag, Set<string>>();
  readonly #copies = new LRUCache<string, Copy>({
    maxSize: mostBytes,
    maxEntrySize: largest,
    sizeCalculation: ({ body }, key) => body.byteLength + 2 * key.length + 512,
    dispose: (copy, key) => this.#unlink(copy, key),
  });

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** A copy that holds right now. */
  fresh(key: string): Found | undefined {
    const copy = this.#copies.get(key);
    const now = this.#now();
    // One from the future is from before the clock was set back.
    return copy !== undefined && copy.holdsUntil > now && copy.at <= now
      ? this.#found(copy, "hit")
      : undefined;
  }

  /**
   * @param about what the answer will be about
   * @throws what `ask` throws, unless there is a copy that helps over the outage
   */
  async get(key: string, about: Tag[], ask: Ask): Promise<Found> {
    const fresh = this.fresh(key);
    if (fresh) return fresh;
    const before = this.#underWay.get(key);
    if (before) return before.answer;
    const flight: Flight = { about, holds: true, answer: Promise.resolve({} as Found) };
    flight.answer = this.#fly(key, flight, ask).finally(() => {
      if (this.#underWay.get(key) === flight) this.#underWay.delete(key);
    });
    this.#underWay.set(key, flight);
    return flight.answer;
  }

  /** Gives up what is about any of these, also what is just being asked for. */
  forget(...tags: Tag[]): undefined {
    for (const tag of tags) {
      for (const key of [...(this.#byTag.get(tag) ?? [])]) this.#copies.delete(key);
    }
    for (const [key, flight] of this.#underWay) {
      if (!flight.about.some((tag) => tags.includes(tag))) continue;
      flight.holds = false;
      this.#underWay.delete(key);
    }
  }

  get size(): number {
    return this.#copies.size;
  }

  async #fly(key: string, flight: Flight, ask: Ask): Promise<Found> {
    const old = this.#copies.peek(key);
    let answer: Answer;
    try {
      answer = await ask(old?.tag);
    } catch (error) {
      // Nothing changed that we know of: the service that would change it does not answer.
      if (old && this.#copies.peek(key) === old) {
        old.holdsUntil = this.#now() + outageHolds;
        return this.#found(old, "hit; detail=outage");
      }
      throw error;
    }
    if (answer.status === 304 && old) {
      const renewed = {
        ...old,
        at: this.#now(),
        holdsUntil: this.#now() + sharedFor(answer.headers),
      };
      if (flight.holds) this.#keep(key, renewed);
      return this.#found(renewed, "fwd=stale");
    }
    const tag = answer.headers.get("etag") ?? undefined;
    const seconds = answer.status === 200 && tag !== undefined ? sharedFor(answer.headers) : 0;
    if (tag === undefined || seconds === 0) return { ...answer, how: "fwd=uri-miss", age: 0 };
    const copy: Copy = {
      ...answer,
      tag,
      about: flight.about,
      at: this.#now(),
      holdsUntil: this.#now() + seconds,
    };
    if (flight.holds) this.#keep(key, copy);
    return this.#found(copy, old ? "fwd=stale" : "fwd=uri-miss");
  }

  #keep(key: string, copy: Copy): void {
    this.#copies.set(key, copy, { ttl: keptFor });
    if (!this.#copies.has(key)) return;
    for (const tag of copy.about) {
      const keys = this.#byTag.get(tag);
      if (keys) keys.add(key);
      else this.#byTag.set(tag, new Set([key]));
    }
  }

  #unlink(copy: Copy, key: string): void {
    for (const tag of copy.about) {
      const keys = this.#byTag.get(tag);
      keys?.delete(key);
      if (keys?.size === 0) this.#byTag.delete(tag);
    }
  }

  #found({ status, headers, body, tag, at }: Copy, how: How): Found {
    return { status, headers, body, tag, how, age: Math.floor((this.#now() - at) / 1000) };
  }
}

/**
 * How long a shared cache may keep an answer, in milliseconds (RFC 9111 section 4.2.1); 0: not at all.
 */
export function sharedFor(headers: Headers): number {
  const control = headers.get("cache-control") ?? "";
  const vary = headers.get("vary");
  if (!/(^|[\s,])public\b/.test(control) || /no-store|no-cache|private/.test(control)) return 0;
  if (
    vary?.split(",").some((name) => name.trim().toLowerCase() !== "accept-encoding") ||
    headers.has("set-cookie")
  )
    return 0;
  const seconds = /(?:^|[\s,])s-maxage=(\d+)/.exec(control) ?? /(?:^|[\s,])max-age=(\d+)/.exec(control);
  return Math.min(Number(seconds?.[1] ?? 0), 3_600) * 1000;
}

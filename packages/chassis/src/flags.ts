import type { Configuration } from "hono-dapr";
import type { Flag } from "./flag.ts";
import type { Log } from "./log.ts";
import { seldom } from "./seldom.ts";

export interface FlagsOptions {
  declared: readonly Flag[];
  store: Configuration;
  log: Log;
  now(): number;
  /** Ms between two looks, for a change that nobody told of. */
  every: number;
}

/** The flags of a service as they are set now. */
export interface Flags {
  /** @throws {Error} when the service does not declare it */
  of<T>(flag: Flag<T>): T;
  /** Resolves when the store has been read once, or did not answer for three seconds. */
  known(): Promise<void>;
  /** Reads the store. Where it does not answer, what was known last goes on. */
  look(): Promise<void>;
  /** Begins the watch anew: a sidecar has started, which knows of none. */
  watch(): void;
  stop(): void;
}

const patience = 3_000;
const retryFirst = 100;
const retryLongest = 5_000;
/** A service starts before its sidecar: so many failures are nothing to speak of. */
const quietly = 5;
/** daprd answers a moment before its component listens. */
const listensAfter = 500;

/**
 * Follows a configuration store: told by a watch, which is begun now and anew with every sidecar, and by a look now and then. A
 * notice only says that it is time to look, so that late ones and those in another order do no harm.
 */
export function createFlags({ declared, store, log, now, every }: FlagsOptions): Flags {
  const keys = declared.map(({ key }) => key);
  const values = new Map<string, unknown>(declared.map((flag) => [flag.key, flag.default]));
  const texts = new Map<string, string>();
  const seldomly = seldom(30_000, now);
  const first = Promise.withResolvers<void>();
  let known = false;
  let waiting: Promise<void> | undefined;
  let looking: Promise<boolean> | undefined;
  let watching: { stop(): Promise<void> } | undefined;
  /** Counts the watches that were asked for: of two at once the later one stays. */
  let turn = 0;
  const timers = new Set<ReturnType<typeof setTimeout>>();

  const later = (run: () => unknown, ms: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timer.unref();
    timers.add(timer);
  };

  function take(flag: Flag, text: string): void {
    texts.set(flag.key, text);
    if (text === "") {
      values.set(flag.key, flag.default);
      log.info({ flag: flag.key }, "a flag is unset: its default holds");
      return;
    }
    const read = flag.read(text);
    if (read.refused === undefined) {
      values.set(flag.key, read.value);
      log.info({ flag: flag.key, value: read.value }, "a flag is set");
    } else {
      const { refused } = read;
      log.error({ flag: flag.key, refused }, "a flag was set to what does not fit: the old value holds");
    }
  }

  /** @returns whether anything has changed */
  async function read(): Promise<boolean> {
    try {
      const items = await store.get(keys);
      const changed = declared.filter(({ key }) => (items[key]?.value ?? "") !== (texts.get(key) ?? ""));
      for (const flag of changed) take(flag, items[flag.key]?.value ?? "");
      known = true;
      first.resolve();
      return changed.length > 0;
    } catch (error) {
      if (known && seldomly("look") !== undefined)
        log.warn({ err: String(error) }, "flags could not be read: what was known last holds");
      return false;
    }
  }

  /** One look at a time: what is asked for during one is another, after it. */
  function look(): Promise<boolean> {
    const before = looking;
    const mine: Promise<boolean> = (before ?? Promise.resolve(false)).then(read).finally(() => {
      if (looking === mine) looking = undefined;
    });
    looking = mine;
    return mine;
  }

  async function watch(mine: number, failures = 0): Promise<void> {
    if (mine !== turn) return;
    try {
      const begun = await store.watch(keys, look);
      if (mine !== turn) return void begun.stop().catch(() => undefined);
      // The sidecar that it was of may be gone.
      watching?.stop().catch(() => undefined);
      watching = begun;
      await look();
      later(look, listensAfter);
    } catch (error) {
      if (failures >= quietly && seldomly("watch") !== undefined)
        log.warn({ err: String(error) }, "flags are not watched: it is tried again");
      later(() => watch(mine, failures + 1), Math.min(retryFirst * 2 ** failures, retryLongest));
    }
  }

  const anew = (): void => void watch(++turn);
  const timer = setInterval(async () => {
    // What a watch has missed it may miss again.
    if ((await look()) && watching) anew();
  }, every);
  timer.unref();
  anew();

  return {
    of<T>(flag: Flag<T>): T {
      if (!values.has(flag.key)) throw new Error(`the service does not declare the flag ${flag.key}`);
      // `read` has parsed it by the schema of this key.
      return values.get(flag.key) as T;
    },
    known() {
      waiting ??= Promise.race([first.promise, new Promise<void>((resolve) => later(resolve, patience))]);
      return waiting;
    },
    look: async () => void (await look()),
    watch: anew,
    stop() {
      turn++;
      first.resolve();
      clearInterval(timer);
      for (const one of timers) clearTimeout(one);
      watching?.stop().catch(() => undefined);
    },
  };
}

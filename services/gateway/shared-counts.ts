import type { Kit } from "chassis";
import * as v from "valibot";
import type { SlidingWindow } from "./limiter.ts";

type Surroundings = Pick<Kit<unknown>, "sidecar" | "log" | "now">;

/** The other gateways beside this one. */
export interface Replicas {
  /** Something was counted: it is told to the others within a period. */
  soon(kit: Surroundings): void;
  /** The last exchange succeeded. */
  readonly shared: boolean;
}

/** Counts of one window by limit and client. */
const Totals = v.record(v.string(), v.number());
type Totals = v.InferOutput<typeof Totals>;

/** What this replica has counted under one limit, and nobody else knows. */
interface News {
  limit: string;
  more: ReadonlyMap<string, number>;
}

/** So many clients are kept in what replicas share; who comes later is counted by each replica alone. */
const mostShared = 10_000;

/**
 * Adds up the counts of all replicas in the state store, one value a window, changed by its ETag. Once a period each
 * replica adds what its busy clients (a tenth of a limit or more) have had since, and hears what all have. So within a
 * window a client gets at most its limit, and from each further replica what that lets through in one period, or a
 * tenth of the limit. Without the store each replica counts for itself.
 * @param windows by the name of their limit, all of the same length
 * @param windowMs that length
 * @param everyMs length of a period; 0 shares nothing
 */
export function shareCounts(
  windows: ReadonlyMap<string, SlidingWindow>,
  { windowMs, everyMs }: { windowMs: number; everyMs: number },
): Replicas {
  let planned = false;
  let counted = false;
  let shared = true;
  let last = Number.NEGATIVE_INFINITY;
  const ttl = Math.ceil((2 * windowMs) / 1_000);

  async function exchange({ sidecar, log, now }: Surroundings): Promise<void> {
    const at = now();
    const number = Math.floor(at / windowMs);
    const news = [...windows].map(([limit, window]) => ({ limit, window, more: window.untold(at).more }));
    const state = sidecar.state("state", Totals, { encrypted: true });
    const key = `rate-limits-${number}`;
    try {
      const totals = news.some(({ more }) => more.size > 0)
        ? await state.update(key, (current) => sum(current ?? {}, news), { ttl })
        : (await state.get(key))?.value;
      const byLimit = Map.groupBy(Object.entries(totals ?? {}), ([name]) => name.slice(0, name.indexOf(" ")));
      for (const { limit, window, more } of news) {
        const ofLimit = (byLimit.get(limit) ?? []).map(
          ([name, count]) => [name.slice(limit.length + 1), count] as const,
        );
        window.heard(number, new Map(ofLimit), more);
      }
      if (!shared) log.info("rate limits are shared with the other gateways again");
      shared = true;
    } catch (error) {
      if (shared) log.warn({ err: String(error) }, "rate limits are counted by this gateway alone");
      shared = false;
    }
  }

  function plan(kit: Surroundings): void {
    planned = true;
    // After a pause there is much to hear: at once.
    const wait = Math.max(0, last + everyMs - performance.now());
    setTimeout(async () => {
      last = performance.now();
      counted = false;
      await exchange(kit);
      planned = false;
      // What was counted in the meantime is told as well, even if nothing more comes.
      if (counted) plan(kit);
    }, wait).unref();
  }

  return {
    get shared() {
      return shared;
    },
    soon(kit) {
      counted = true;
      if (!planned && everyMs > 0) plan(kit);
    },
  };
}

function sum(current: Totals, news: readonly News[]): Totals {
  const totals = { ...current };
  let size = Object.keys(totals).length;
  for (const { limit, more } of news) {
    for (const [client, fresh] of more) {
      const name = `${limit} ${client}`;
      if (!(name in totals) && size++ >= mostShared) continue;
      totals[name] = (totals[name] ?? 0) + fresh;
    }
  }
  return totals;
}

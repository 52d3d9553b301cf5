/** Waits until a shop has come to rest. */
import { setTimeout as pause } from "node:timers/promises";
import { type Api, Refused } from "../api-client.ts";
import type { CheckOptions } from "./checker/index.ts";
import { type Judged, judged } from "./judge.ts";

export interface Rest extends Judged {
  /** From the beginning of the wait to the end of the last order. */
  secondsToFinal: number;
  /** Likewise, until everything held. */
  secondsToRest: number;
}

interface Seen {
  id: string;
  status: string;
  history: { at: string }[];
}

/**
 * Resolves when every order is final and the checker finds nothing wrong, or when the time is up. What is wrong only
 * because something is still under way is right a moment later; what stays wrong is a violation.
 * @param from when the last customer and the last fault were gone, in milliseconds since the epoch
 */
export async function rest(
  api: Api,
  place: CheckOptions,
  { from, signal, withinMs }: { from: number; withinMs: number; signal: AbortSignal },
): Promise<Rest> {
  const by = from + withinMs;
  while (Date.now() < by && !(await allFinal(api))) await look(200, signal);
  for (let wait = 500; ; wait = Math.min(wait * 1.5, 5_000)) {
    const seen = await judged(place);
    const now = Date.now();
    if (seen.verdict.violations.length === 0 || now > by) {
      const final = Math.max(from, await lastEnd(api, signal));
      return { ...seen, secondsToFinal: (final - from) / 1000, secondsToRest: (now - from) / 1000 };
    }
    await look(wait, signal);
  }
}

async function look(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

async function allFinal(api: Api): Promise<boolean> {
  for (const status of ["placed", "reserved"]) {
    const some = await asked(() => api.call<{ items: Seen[] }>(`/api/orders?status=${status}&limit=1`));
    if (some === undefined || some.body.items.length > 0) return false;
  }
  return true;
}

/** When the last order reached its end, in milliseconds since the epoch. */
async function lastEnd(api: Api, signal: AbortSignal): Promise<number> {
  for (;;) {
    const all = await asked(() => Array.fromAsync(api.all<Seen>("/api/orders")));
    if (all)
      return all.reduce((last, { history }) => Math.max(last, Date.parse(history.at(-1)?.at ?? "") || 0), 0);
    await look(500, signal);
  }
}

/** Undefined when the shop does not answer just now: one that was hurt a moment ago does so soon. */
async function asked<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const unavailable = error instanceof Refused && (error.status >= 500 || error.status === 429);
    // What fetch throws when there is no answer: TypeError, an aborted signal, or an error with a system's code.
    const unanswered = error instanceof TypeError || (error as { code?: unknown }).code !== undefined;
    if (unavailable || (unanswered && !(error instanceof Refused))) return undefined;
    throw error;
  }
}

import { setTimeout as pause } from "node:timers/promises";
import { type Answer, type Api, type CallOptions, Refused } from "../api-client.ts";

/**
 * Asks until the shop takes it: again when it says to come back later or cannot be reached. What changes something
 * needs an Idempotency-Key.
 * @param later what else is to be asked again
 * @throws {Error} what it said last, when it refuses or `until` (as performance.now counts) has come
 */
export async function insist<T>(
  api: Api,
  path: string,
  options: CallOptions,
  until: number,
  later: (refused: Refused) => boolean = () => false,
): Promise<Answer<T>> {
  for (;;) {
    try {
      return await api.call<T>(path, options);
    } catch (error) {
      const busy = error instanceof Refused && [429, 502, 503, 504].includes(error.status);
      const again = !(error instanceof Refused) || busy || error.code === "in-progress" || later(error);
      if (!again || performance.now() > until) throw error;
      await pause((error instanceof Refused && error.retryAfter ? error.retryAfter : 0.1) * 1000);
    }
  }
}

/**
 * Looks until it is as it should be, at first often.
 * @returns what was seen last, when `until` has come
 */
export async function look<T>(
  read: () => Promise<T>,
  asItShouldBe: (seen: T) => boolean,
  until: number,
): Promise<T> {
  for (let wait = 5; ; wait = Math.min(250, wait * 1.5)) {
    const seen = await read();
    if (asItShouldBe(seen) || performance.now() > until) return seen;
    await pause(wait);
  }
}

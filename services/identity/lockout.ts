/**
 * How long one must wait after wrong passwords. Failures are counted in a sliding window; from the first one that is
 * not free, each makes the wait twice as long as the one before.
 */
export interface Policy {
  /** Failures within the window that cost nothing. */
  free: number;
  /** Milliseconds. */
  window: number;
  /** The wait after the first failure that is not free (ms). */
  wait: number;
  /** No wait is longer (ms). */
  longest: number;
}

/** Of one account, whether it exists or not: 5 free, then 30 s, 1 min … 1 h: at most some 35 tries a day. */
export const account: Policy = { free: 5, window: 24 * 3_600_000, wait: 30_000, longest: 3_600_000 };

/** Of one network address, behind which many people may be. */
export const address: Policy = { free: 100, window: 3_600_000, wait: 30_000, longest: 900_000 };

/** When the next try is allowed (ms), by the times of failures in their order. */
export function openAt(failures: readonly number[], policy: Policy, now: number): number {
  const counted = recent(failures, policy, now);
  const last = counted.at(-1);
  if (last === undefined || counted.length < policy.free) return 0;
  return last + Math.min(policy.wait * 2 ** (counted.length - policy.free), policy.longest);
}

/** The failures that still count. A clock that was set back makes no failure last longer. */
export const recent = (failures: readonly number[], { window }: Policy, now: number): number[] =>
  failures.filter((at) => at > now - window && at <= now);

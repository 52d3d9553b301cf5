import type { Change } from "drizzle-outbox";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { resealer, resealJob, type SealedRows } from "./resealing.ts";
import type { Sealed } from "./sealed.ts";

/** What has not changed anything is not tried again at every look. */
const tryAgainAfter = 10 * 60_000;

export interface FieldKeysOptions {
  sealed: Sealed;
  /** None, for a service that commits nothing. */
  rows: SealedRows[];
  commit(change: Change): Promise<void>;
  metrics: Metrics;
  log: Log;
  now(): number;
  /** Ms between two looks at the secret store. */
  every: number;
}

/** Follows the keys in the secret store, and has what is sealed with another than the current one sealed anew. */
export function fieldKeys({ sealed, rows, commit, metrics, log, now, every }: FieldKeysOptions) {
  const { stale, run } = resealer({ rows, sealed, commit, log });
  /** What is stale, and by which current key; a count of before says nothing of now. */
  let counted: { current: string; counts: Record<string, number> } | undefined;
  let looks = 0;
  let asked: { why: string; at: number } | undefined;

  async function look(): Promise<void> {
    await sealed.refresh();
    if (!sealed.there) return;
    const { current } = sealed;
    const counts = await stale();
    counted = { current, counts };
    looks++;
    const why = JSON.stringify([current, counts]);
    const idle = Object.values(counts).every((count) => count === 0);
    if (idle || !sealed.writes) return;
    if (asked?.why === why && Math.abs(now() - asked.at) < tryAgainAfter) return;
    asked = { why, at: now() };
    // One row: of several replicas that see it, one does it.
    await commit({ jobs: [{ kind: resealJob, key: "fields", at: now() }] });
  }

  metrics.add({
    souk_field_keys: {
      help: "The keys of encrypted fields that this process knows: 1 for the one that seals",
      label: "key",
      read: () =>
        sealed.there
          ? Object.fromEntries(sealed.keys.map((key) => [key, key === sealed.current ? 1 : 0]))
          : {},
    },
    souk_fields_stale: {
      help: "Rows that are not sealed with the current key, by the key they are sealed with (none: not at all)",
      label: "key",
      read: () =>
        sealed.there && counted?.current === sealed.current
          ? Object.fromEntries(Object.entries(counted.counts).map(([key, count]) => [key || "none", count]))
          : {},
    },
    souk_field_key_looks_total: {
      help: "How often the keys were read again and the rows counted",
      label: "of",
      counts: true,
      read: () => ({ fields: looks }),
    },
  });

  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((error: unknown) => log.warn({ err: String(error) }, "the field keys will be looked at again"))
      .finally(() => {
        looking = false;
      });
  }, every);
  timer.unref();

  return {
    /** The handler of {@link resealJob}. */
    async reseal(): Promise<undefined> {
      const { current } = sealed;
      await run();
      counted = { current, counts: await stale() };
      return undefined;
    },
    stop: () => clearInterval(timer),
  };
}

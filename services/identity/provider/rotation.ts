import { type Config, integer, type JobHandler } from "chassis";
import type { Job } from "drizzle-outbox";
import type { Store } from "../store.ts";
import { issuerOf } from "./issuer.ts";

/** Keys rotate by themselves: a key signs for `KEY_ROTATION_DAYS` (30; 0: only on demand). */
const dayMs = 24 * 3_600_000;

const periodOf = (config: Config): number => integer(config, "KEY_ROTATION_DAYS", 30) * dayMs;

/** The job of the next rotation; the same one whoever asks, so that a restart does not put it off. */
export async function nextRotation(store: Store, config: Config, now: number): Promise<Job | undefined> {
  const period = periodOf(config);
  if (period === 0) return undefined;
  const begun = (await store.signingKeys()).flatMap(({ signsFrom }) => signsFrom ?? []);
  return { kind: "rotate-keys", key: "", at: Math.max(0, ...begun, ...(begun.length ? [] : [now])) + period };
}

/** Rotates the keys when the one that signs has done so for long enough. */
export const rotateKeys: JobHandler<Store> = async (_job, kit) => {
  const { store, config, now, log } = kit;
  const due = await nextRotation(store, config, now());
  if (!due || due.at > now()) return { jobs: due ? [due] : [] };
  const { keys } = issuerOf(kit);
  const { change, at } = await keys.rotate();
  log.info({ signsFrom: new Date(at).toISOString() }, "the next signing key takes over");
  keys.forget();
  return { ...change, jobs: [{ ...due, at: at + periodOf(config) }] };
};

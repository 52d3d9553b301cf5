import type { JobHandler } from "chassis";
import type { Job } from "drizzle-outbox";
import { rotateKeys } from "./provider/rotation.ts";
import type { Store } from "./store.ts";

const every = 3_600_000;

/** The job that forgets links and sessions that have expired, and wrong passwords that no longer count. */
export const forgetting = (at: number): Job => ({ kind: "forget-expired", key: "", at });

export const jobs: Record<string, JobHandler<Store>> = {
  "rotate-keys": rotateKeys,
  "forget-expired": (_job, { store, now }) => ({
    writes: [...store.sweep(now()), store.dropExpired(now())],
    jobs: [forgetting(now() + every)],
  }),
};

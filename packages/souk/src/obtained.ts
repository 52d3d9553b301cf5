/** What has been obtained to run the shop on. */

import { obtainDapr, obtainRedis, type Redis, type Reporter, silent } from "./obtain/index.ts";
import { reporter } from "./terminal.ts";

export interface Obtained {
  daprd: string;
  sentry: string;
  daprVersion: string;
  redis: Redis;
}

export interface ObtainWhat {
  report?: Reporter;
  signal?: AbortSignal;
  runtimePath?: string | null;
}

/** Finds or obtains Dapr and Redis. Throws CannotObtain with the ways to get them. */
export async function obtain(options: ObtainWhat = {}): Promise<Obtained> {
  const report = options.report ?? silent;
  const { signal } = options;
  const dapr = await obtainDapr({
    report,
    signal,
    ...(options.runtimePath ? { runtimePath: options.runtimePath } : {}),
  });
  const redis = await obtainRedis({ report, signal });
  return { daprd: dapr.daprd, sentry: dapr.sentry, daprVersion: dapr.version, redis };
}

// Run by itself it only sees to it that they are here, telling of its progress.
if (import.meta.main) await obtain({ report: reporter((text) => process.stderr.write(`${text}\n`)) });

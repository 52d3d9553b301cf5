/**
 * Obtains what the shop runs on and npm does not bring: the Dapr runtime and a Redis.
 *
 * ```ts
 * const dapr = await obtainDapr({ report, signal });        // → { daprd, sentry, version, origin, programs }
 * const redis = await obtainRedis({ report, signal });      // → { launch, version, origin, from, kind }
 * const { command, env } = redis.launch({ port, dir, configFile });
 * ```
 *
 * Both look for what is there first, print nothing themselves and throw CannotObtain when no way is left.
 */
export { cacheFolder } from "./cache.ts";
export { obtainDapr } from "./dapr.ts";
export { type GoProgram, obtainGoProgram } from "./go-program.ts";
export { durableRedis, obtainRedis } from "./redis.ts";
export * from "./types.ts";

/** What the processes of a shop inherit from the user's shell, and what they must not. */
import { OWNER } from "./processes.ts";

// Another Dapr's variables, and a database that is not ours: nothing of the user's is touched by accident.
const KEPT_OUT = /^(DAPR_|APP_|SOUK_|SENTRY_)|^(PORT|HOST|DATABASE_URL|NAMESPACE|NODE_ENV|PUBLIC_URL)$/;

/**
 * The user's environment without what would confuse a service, plus the mark of its shop.
 * `SOUK_DATABASE_URL` arrives as `DATABASE_URL`.
 */
export function baseEnvironment(
  owner: string,
  from: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(from)) {
    if (value !== undefined && !KEPT_OUT.test(key)) result[key] = value;
  }
  if (from.SOUK_DATABASE_URL) result.DATABASE_URL = from.SOUK_DATABASE_URL;
  // Services speak to their sidecars; a proxy for the world has no part in that.
  for (const key of ["NO_PROXY", "no_proxy"]) {
    result[key] = [...new Set([...(result[key]?.split(",") ?? []), "localhost", "127.0.0.1", "::1"])]
      .filter(Boolean)
      .join(",");
  }
  result[OWNER] = owner;
  return result;
}

import type { Env } from "chassis";
import type { MiddlewareHandler } from "hono";
import { addressOf } from "./addresses.ts";
import type { Memory } from "./edge.ts";
import { requireOurs } from "./hosts.ts";
import { guessing } from "./limited.ts";
import { network } from "./limiter.ts";
import { signedIn } from "./session-routes.ts";

/**
 * What stands before everything else. One middleware, and each look only where there is something to look at: most who
 * come read what is in the cache, and that takes no longer than all of this.
 */
export const door: MiddlewareHandler<Env<Memory>> = async (c, next) => {
  requireOurs(c);
  const { crowd } = c.var.kit.store;
  const who = network(addressOf(c));
  crowd.enter(who);
  try {
    const { headers } = c.req.raw;
    if (headers.has("authorization")) await guessing(c, next);
    else if (headers.has("cookie")) await signedIn(c, next);
    else await next();
  } finally {
    // What goes on after its beginning gives its place back at its end.
    if (!crowd.stays.has(c.req.raw)) crowd.leave(who);
  }
};

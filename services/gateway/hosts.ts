import { isIP } from "node:net";
import { type Config, type Env, Problem } from "chassis";
import type { Context } from "hono";
import type { Memory } from "./edge.ts";

/** A host and port as they are written (RFC 3986 section 3.2.2); two Host headers, which come joined, are none. */
const form = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9.])?)(?::\d{1,5})?$/i;
/** What is asked from within a cluster, under names that nobody told us, and says nothing of anybody. */
const open = new Set(["/health", "/ready", "/metrics"]);

/** There are as many addresses as somebody likes to write down. */
const mostKnown = 100;

/**
 * Whether a name is ours. A page of another site can make its own name lead to this machine (DNS rebinding), and its
 * scripts would then read what is here; an address, or `localhost`, is no name that another site has.
 * @param host as in the Host header
 */
export function isOurs(host: string, { publicUrl, env }: Pick<Config, "publicUrl" | "env">): boolean {
  const name = nameOf(host);
  if (name === nameOf(new URL(publicUrl).host) || name === "localhost" || name.endsWith(".localhost"))
    return true;
  if (isIP(name.replace(/^\[|\]$/g, "")) !== 0) return true;
  return (env.ALLOWED_HOSTS ?? "").split(/[\s,]+/).some((one) => one !== "" && one.toLowerCase() === name);
}

const nameOf = (host: string): string => host.replace(/:\d+$/, "").replace(/\.$/, "").toLowerCase();

/**
 * Refuses requests that do not say whom they are for, or say it is somebody else.
 * @throws {Problem} 400 for what is no host, 421 for another one (RFC 9110 section 7.4)
 */
export function requireOurs(c: Context<Env<Memory>>): void {
  const { config, store } = c.var.kit;
  const host = c.req.raw.headers.get("host");
  // Only HTTP/1.0 may leave it out; the runtime refuses what else does.
  if (host === null || store.hosts.has(host)) return;
  if (!form.test(host))
    throw new Problem(400, { code: "invalid-host", detail: "The Host header is not one host" });
  if (isOurs(host, config)) {
    if (store.hosts.size < mostKnown) store.hosts.add(host);
  } else if (!open.has(c.req.path)) {
    throw new Problem(421, {
      code: "misdirected",
      detail: "This shop has another name: PUBLIC_URL says which, and ALLOWED_HOSTS which else it goes by",
    });
  }
}

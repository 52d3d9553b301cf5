import type { Config } from "chassis";
import Stripe from "stripe";

/** Reads a secret of this service. @throws when there is none, or the store cannot be reached */
export type ReadSecret = (name: string) => Promise<string>;

/** How long a secret that was read holds, in ms: one that is replaced is used soon after. */
const secretHolds = 10_000;

/** The secrets of a store, each read at most every ten seconds. */
export function remembered(read: ReadSecret, now: () => number = () => performance.now()): ReadSecret {
  const known = new Map<string, { value: Promise<string>; at: number }>();
  return async (name) => {
    const before = known.get(name);
    if (before && now() - before.at < secretHolds) return before.value;
    const value = read(name);
    known.set(name, { value, at: now() });
    // What could not be read is asked for again.
    value.catch(() => known.delete(name));
    return value;
  };
}

/**
 * Where Stripe is: its own address, or `STRIPE_API_BASE` for tests, outside production.
 * @throws {Error} in production when it is set, or when it is no http address
 */
export function stripeAddress(config: Config): { protocol: "http" | "https"; host: string; port: string } {
  const base = config.env.STRIPE_API_BASE;
  if (!base) return { protocol: "https", host: "api.stripe.com", port: "443" };
  if (config.env.NODE_ENV === "production")
    throw new Error("STRIPE_API_BASE is for tests: in production payments go to Stripe itself");
  const { protocol, hostname, port } = new URL(base);
  if (protocol !== "http:" && protocol !== "https:")
    throw new Error("STRIPE_API_BASE must be an http address");
  const http = protocol === "http:";
  return { protocol: http ? "http" : "https", host: hostname, port: port || (http ? "80" : "443") };
}

export interface ClientOptions {
  secret: ReadSecret;
  address: ReturnType<typeof stripeAddress>;
  /** Ms to wait for an answer. */
  timeout: number;
  fetch?: typeof fetch;
}

/** Stripe's library with the current API key, over fetch. It tries nothing again by itself: our jobs do. */
export function stripeClient({ secret, address, timeout, fetch }: ClientOptions): () => Promise<Stripe> {
  let current: { key: string; client: Stripe } | undefined;
  return async () => {
    const key = (await secret("stripe-api-key")).trim();
    if (current?.key !== key) {
      const client = new Stripe(key, {
        ...address,
        timeout,
        apiVersion: "2026-10-28.endive",
        httpClient: Stripe.createFetchHttpClient(fetch),
        maxNetworkRetries: 0,
        telemetry: false,
        appInfo: { name: "Souk" },
      });
      current = { key, client };
    }
    return current.client;
  };
}

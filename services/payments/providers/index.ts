import { join } from "node:path";
import type { Config, Kit } from "chassis";
import type { Provider } from "./provider.ts";
import { stripeProvider } from "./stripe.ts";
import { type ReadSecret, remembered, stripeAddress, stripeClient } from "./stripe-client.ts";
import { secretsIn } from "./stripe-webhook.ts";
import { testProvider, usualLifetime } from "./test.ts";

interface Opened {
  providers: Map<string, Provider>;
  secret: ReadSecret;
}

const opened = new WeakMap<Config, Opened>();
const unknown: ReadSecret = async (name) => {
  throw new Error(`there is no secret store to read ${name} from`);
};

/**
 * The providers that an order can be paid with, by its payment method; opened once. `PAYMENT_METHODS` says which,
 * comma between: `test` where nothing is said, in production none. `TEST_PROVIDER_BOOK` is the file of the test
 * provider's book; `:memory:` keeps it in this process.
 * @throws {Error} for a method that is not known
 */
export function providers(
  config: Config,
  secret?: ReadSecret,
  now?: () => number,
): ReadonlyMap<string, Provider> {
  return open(config, secret, now).providers;
}

function open(config: Config, read: ReadSecret = unknown, now = () => Date.now()): Opened {
  const before = opened.get(config);
  if (before) return before;
  const secret = remembered(read);
  const known: Record<string, () => Provider> = {
    test: () =>
      testProvider(config.env.TEST_PROVIDER_BOOK ?? join(config.dataDir, "test-provider.db"), {
        lifetime: lifetimeOf(config),
        now,
      }),
    stripe: () => stripeOf(config, secret),
  };
  const all = methods(config).map((name): [string, Provider] => {
    const make = known[name];
    if (make === undefined) throw new Error(`PAYMENT_METHODS names ${name}; there are: test, stripe`);
    return [name, make()];
  });
  const made = { providers: new Map(all), secret };
  opened.set(config, made);
  return made;
}

function methods({ env }: Config): string[] {
  const usual = env.NODE_ENV === "production" ? "" : "test";
  return (env.PAYMENT_METHODS ?? usual).split(",").flatMap((name) => name.trim() || []);
}

function stripeOf(config: Config, secret: ReadSecret): Provider {
  const timeout = Number(config.env.PROVIDER_TIMEOUT_MS || 10_000);
  return stripeProvider(stripeClient({ secret, address: stripeAddress(config), timeout }), config.publicUrl);
}

/** How long the test provider's authorisations last, in ms: `AUTHORISATION_LIFETIME_MS`. */
export const lifetimeOf = ({ env }: Pick<Config, "env">): number =>
  Number(env.AUTHORISATION_LIFETIME_MS || usualLifetime);

type Of = Pick<Kit<unknown>, "config" | "sidecar" | "now">;
const readerOf =
  ({ sidecar }: Of): ReadSecret =>
  (name) =>
    sidecar.secrets("secrets").get(name);

/** The providers of a service, with their secrets from its secret store. */
export const providersOf = (kit: Of): ReadonlyMap<string, Provider> =>
  providers(kit.config, readerOf(kit), kit.now);

/** What Stripe signs its webhooks with. @throws when it is not in the secret store */
export async function webhookSecrets(kit: Of): Promise<string[]> {
  const secrets = secretsIn(await open(kit.config, readerOf(kit), kit.now).secret("stripe-webhook-secret"));
  if (secrets.length === 0) throw new Error("the secret stripe-webhook-secret is empty");
  return secrets;
}

/** @throws when a method is switched on that has not got all it needs */
export async function complete(kit: Of): Promise<void> {
  const { providers: all, secret } = open(kit.config, readerOf(kit), kit.now);
  if (!all.has("stripe")) return;
  await Promise.all([secret("stripe-api-key"), webhookSecrets(kit)]).catch((cause) => {
    throw new Error(
      `Stripe is switched on: put stripe-api-key and stripe-webhook-secret into the secret store (${cause instanceof Error ? cause.message : cause})`,
    );
  });
}

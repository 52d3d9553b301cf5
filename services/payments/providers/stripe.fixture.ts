import { type FakeStripe, fakeStripe } from "../../../tests/stripe/fake.ts";
import { stripeProvider } from "./stripe.ts";
import { stripeClient } from "./stripe-client.ts";

export const apiKey = "sk_test_souk";
export const patient = new AbortController().signal;

/** The provider before a Stripe in memory. */
export function stripeOn(
  fake: FakeStripe = fakeStripe({ apiKey }),
  { key = apiKey, shop = "http://shop.test" } = {},
) {
  const client = stripeClient({
    secret: async () => key,
    address: { protocol: "http", host: "stripe.test", port: "80" },
    timeout: 1_000,
    fetch: ((url: string, init: RequestInit) => fake.fetch(new Request(url, init))) as typeof fetch,
  });
  return { fake, provider: stripeProvider(client, shop) };
}

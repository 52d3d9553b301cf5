import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type StripeMock, startStripeMock } from "../../../tests/stripe/mock.ts";
import { patient } from "./stripe.fixture.ts";
import { stripeProvider } from "./stripe.ts";
import { stripeClient } from "./stripe-client.ts";

// Each of our calls as Stripe's own description of its API has it: stripe-mock refuses what is not in there, and what
// has not got the right form. It remembers nothing; what happens to a payment is for the other tests.

setDefaultTimeout(60_000);

let mock: StripeMock | string;
const seen: { request: string; status: number; body: string }[] = [];
const amount = { amount: 1_530, currency: "GBP" };

beforeAll(async () => {
  mock = await startStripeMock();
}, 600_000);
afterAll(async () => {
  if (typeof mock === "object") await mock.stop();
});

function provider(url: string) {
  const { hostname: host, port } = new URL(url);
  const client = stripeClient({
    secret: async () => "sk_test_123",
    address: { protocol: "http", host, port },
    timeout: 20_000,
    fetch: (async (input: string, init: RequestInit) => {
      const answer = await fetch(input, init);
      const { pathname } = new URL(input);
      const body = await answer.text();
      const request = `${init.method} ${pathname.replace(/pi_\w+/, "{intent}")}`;
      seen.push({ request, status: answer.status, body: answer.ok ? "" : body });
      // Its intents are never paid: what follows a payment is to be asked for all the same.
      const paid =
        init.method === "GET"
          ? body.replace(/"amount_received":\s*\d+/, '"amount_received": 99999999')
          : body;
      return new Response(paid, { status: answer.status, headers: answer.headers });
    }) as typeof fetch,
  });
  return { client, stripe: stripeProvider(client, "http://shop.test") };
}

test("everything that we ask of Stripe is in its description, and has the right form", async () => {
  if (typeof mock === "string") {
    console.log(`not run: our calls against stripe-mock (${mock})`);
    return;
  }
  const { stripe, client } = provider(mock.url);
  const opened = await stripe.open({ key: "o-1:open", orderId: "o-1", amount }, patient);
  const { reference } = opened as { reference: string };
  const of = (key: string) => ({ key, orderId: "o-1", reference });
  const settled = await Promise.allSettled([
    stripe.authorise({ ...of("a"), amount, token: "pm_card_visa" }, patient),
    stripe.authorise({ ...of("b"), amount, token: "ctoken_1" }, patient),
    stripe.capture({ ...of("c"), amount, final: true }, patient),
    stripe.capture({ ...of("p"), amount, part: "s-1", final: false }, patient),
    stripe.capture({ ...of("f"), amount, part: "s-2", final: true }, patient),
    stripe.void(of("v"), patient),
    stripe.refund({ ...of("r:refund:1"), amount }, patient),
    stripe.statement("o-1", reference),
    stripe.askedSince(Date.now() - 60_000, { limit: 10 }),
    stripe.askedSince(Date.now() - 60_000, { limit: 10, after: "intents:pi_1" }),
    stripe.askedSince(Date.now() - 60_000, { limit: 10, after: "events:" }),
    stripe.orderOf(reference),
    client().then(({ disputes }) => disputes.list({ payment_intent: reference, limit: 100 })),
  ]);
  expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
  expect([...new Set(seen.map(({ request }) => request))].sort()).toEqual([
    "GET /v1/disputes",
    "GET /v1/events",
    "GET /v1/payment_intents",
    "GET /v1/payment_intents/{intent}",
    "GET /v1/refunds",
    "POST /v1/payment_intents",
    "POST /v1/payment_intents/{intent}/cancel",
    "POST /v1/payment_intents/{intent}/capture",
    "POST /v1/payment_intents/{intent}/confirm",
    "POST /v1/refunds",
  ]);
  // It answers with what has not happened: of that alone some complain.
  const complaints = settled.flatMap((one) => (one.status === "rejected" ? String(one.reason) : []));
  expect(complaints.filter((text) => !/Stripe did not (capture|cancel)/.test(text))).toEqual([]);
});

test("what is not in it is refused", async () => {
  if (typeof mock === "string") return;
  const { client } = provider(mock.url);
  const wrong = { amount: 1, currency: "gbp", surprise: "1" } as never;
  await expect((await client()).paymentIntents.create(wrong)).rejects.toThrow();
  await expect(
    (await client()).paymentIntents.create({ amount: "many", currency: "gbp" } as never),
  ).rejects.toThrow();
});

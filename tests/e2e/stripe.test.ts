import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Event } from "../stripe/fake.ts";
import { serveStripe } from "../stripe/serve.ts";
import { signed } from "../stripe/signed.ts";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";

// A whole shop that takes Stripe, before a Stripe with a memory.

setDefaultTimeout(180_000);

const stripe = serveStripe();
const { fake } = stripe;
const webhookSecret = "whsec_of_this_shop";
let it: TestShop;

beforeAll(async () => {
  it = await testShop(
    { PAYMENT_METHODS: "test,stripe", STRIPE_API_BASE: stripe.url },
    {
      prepare(home) {
        const secrets = { "stripe-api-key": "sk_test_souk", "stripe-webhook-secret": webhookSecret };
        mkdirSync(join(home, "secrets"), { recursive: true, mode: 0o700 });
        writeFileSync(join(home, "secrets", "payments.json"), JSON.stringify(secrets), { mode: 0o600 });
      },
    },
  );
}, 600_000);
afterAll(async () => {
  await it?.stop();
  await stripe.stop();
}, 60_000);

const paidBy = (token: string) => ({ payment: { method: "stripe", token } });
/** Services, which are captured at once. */
const buy = async (token = "pm_card_visa") => {
  const sku = await it.product({ kind: "service", price: gbp(1_000) });
  return it.settled(await it.place([{ sku, quantity: 2 }], paidBy(token)));
};
const hook = (event: unknown, over: Record<string, string> = {}, by = webhookSecret) => {
  const { body, headers } = signed(event, by);
  return fetch(`${it.shop.url}/api/payments/webhooks/stripe`, {
    method: "POST",
    body,
    headers: { ...headers, ...over },
  });
};
const last = (type: string): Event => fake.events.findLast((one) => one.type === type) as Event;

test("an order is paid through Stripe, cancelled, and its money given back", async () => {
  const order = await buy();
  expect(order.status).toBe("confirmed");
  expect(fake.intents(order.id)).toMatchObject([
    { status: "succeeded", amount_received: 2_000, currency: "gbp" },
  ]);
  expect(await it.payment(order.id)).toMatchObject({ status: "captured", captured: gbp(2_000) });

  await it.api.call(`/api/orders/${order.id}/cancel`, { method: "POST" });
  await eventually(
    "its money is back",
    async () => (await it.payment(order.id)).refunded.amount === 2_000,
    60_000,
  );
  expect(fake.intents(order.id)).toMatchObject([{ amount_received: 2_000, refunded: 2_000 }]);
  expect((await it.ledger()).balanced).toBe(true);
});

test("an order whose card is declined is rejected, and staff see why", async () => {
  const order = await buy("pm_card_chargeDeclinedInsufficientFunds");
  expect(order).toMatchObject({ status: "rejected", reason: "payment-declined" });
  const { body } = await it.api.call<{ history: { reason?: string }[] }>(`/api/payments/${order.id}`);
  expect(body.history.at(-1)?.reason).toBe("payment-declined: insufficient_funds");
});

test("what Stripe tells three times has its effect once; what others tell has none", async () => {
  const order = await buy();
  fake.refundByHand(order.id, 500);
  const event = last("charge.refunded");
  // It passes the gateway and two sidecars to the byte, or its signature would not hold.
  const answers = await Promise.all([hook(event), hook(event), hook(event)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  await eventually("it is booked", async () => (await it.payment(order.id)).refunded.amount > 0, 60_000);
  expect((await it.payment(order.id)).refunded).toEqual(gbp(500));
  // A last one, told again: by the time that it is booked, whatever came before has had its effect.
  fake.refundByHand(order.id, 1);
  await hook(event);
  await hook(last("charge.refunded"));
  await eventually("it is booked", async () => (await it.payment(order.id)).refunded.amount > 500, 60_000);
  expect((await it.payment(order.id)).refunded).toEqual(gbp(501));

  const forged = await hook(event, {}, "whsec_of_somebody_else");
  expect(forged.status).toBe(400);
  expect(await forged.json()).toMatchObject({ code: "invalid-signature" });
  expect((await hook(event, { "stripe-signature": "" })).status).toBe(400);
  expect((await hook(event, { authorization: "Bearer nonsense" })).status).toBe(200);
  const strange = { id: "evt_strange", object: "event", type: "invoice.paid", data: { object: {} } };
  expect((await hook(strange)).status).toBe(200);
});

test("card numbers get nowhere", async () => {
  const sku = await it.product();
  const number = ["4242", "4242", "4242", "4242"];
  for (const token of [number.join(""), number.join(" "), number.join("-")]) {
    for (const method of ["test", "stripe"]) {
      const response = await fetch(`${it.shop.url}/api/orders`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...customer, lines: [{ sku, quantity: 1 }], payment: { method, token } }),
      });
      expect(response.status).toBe(422);
      const said = await response.text();
      expect(JSON.parse(said)).toMatchObject({ code: "card-number-refused" });
      expect(said).not.toContain(token);
    }
  }
  await it.shop.stop();
  const kept = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => {
        const text = readFileSync(file, "latin1");
        return [number.join(""), number.join(" "), number.join("-")].some((token) => text.includes(token));
      });
  expect(readdirSync(it.shop.home.dir).length).toBeGreaterThan(5);
  expect(kept(it.shop.home.dir)).toEqual([]);
});

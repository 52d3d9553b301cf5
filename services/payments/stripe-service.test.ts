import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type TestService, testService } from "chassis/testing";
import { sql } from "drizzle-orm";
import { type Db, openSqlite, restored } from "drizzle-outbox";
import * as v from "valibot";
import type { Event, FakeStripe } from "../../tests/stripe/fake.ts";
import { serveStripe } from "../../tests/stripe/serve.ts";
import { signed } from "../../tests/stripe/signed.ts";
import { LedgerView, OrderAborting, OrderReserved, OrderShipmentAccepted, PaymentView } from "./contracts.ts";
import payments from "./service.ts";
import type { Store } from "./store.ts";

// The whole service before a Stripe with a memory, over HTTP.

setDefaultTimeout(30_000);

const secret = "whsec_of_this_test";
const manage = ["payments:manage"];
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const total = gbp(1_530);

let stripe: ReturnType<typeof serveStripe>;
let fake: FakeStripe;
let app: TestService<Store>;
let db: Db;
let data: string;
let secrets: Record<string, string>;

/** The service on a database file, with secrets as its sidecar gives them. */
async function start(file: string, env: Record<string, string> = {}): Promise<void> {
  db = await openSqlite(join(data, file));
  app = await testService(payments, {
    folder: import.meta.dir,
    db,
    env: {
      SOUK_DATA: data,
      PAYMENT_METHODS: "test,stripe",
      STRIPE_API_BASE: stripe.url,
      PROVIDER_TIMEOUT_MS: "2000",
      RECONCILE_AFTER_MS: "50",
      ...env,
    },
    others(request) {
      const name = /^\/v1\.0\/secrets\/secrets\/(.+)$/.exec(new URL(request.url).pathname)?.[1] ?? "";
      const value = secrets[name];
      return value === undefined
        ? Response.json({ errorCode: "ERR_SECRET_GET", message: "not found" }, { status: 500 })
        : Response.json({ [name]: value });
    },
  });
}
async function stop(): Promise<void> {
  await app.stop();
  await db.close();
}

beforeEach(async () => {
  stripe = serveStripe();
  ({ fake } = stripe);
  data = mkdtempSync(join(tmpdir(), "payments-stripe-"));
  secrets = { "stripe-api-key": "sk_test_souk", "stripe-webhook-secret": secret };
  await start("payments.db");
});
afterEach(async () => {
  await stop();
  await stripe.stop();
  rmSync(data, { recursive: true, force: true });
});

const reserve = (orderId: string, token = "pm_card_visa") =>
  app.deliver(OrderReserved, { orderId, total, payment: { method: "stripe", token } });
const read = async (orderId: string): Promise<PaymentView | undefined> => {
  const response = await app.request(`/payments/${orderId}`, { scopes: manage });
  return response.ok ? v.parse(PaymentView, await response.json()) : undefined;
};
const ledger = async (): Promise<LedgerView> =>
  v.parse(LedgerView, await (await app.request("/payments/ledger", { scopes: manage })).json());
const said = async (orderId: string) =>
  (await app.published())
    .filter(({ subject }) => subject === orderId)
    .map(({ type, data: body }) => ({ type, data: body }));

async function until(orderId: string, over: Partial<PaymentView>): Promise<PaymentView> {
  const end = performance.now() + 30_000;
  for (;;) {
    const payment = await read(orderId);
    if (payment && isDeepStrictEqual({ ...payment, ...over }, payment)) return payment;
    if (performance.now() > end) throw new Error(`${orderId} is ${JSON.stringify(payment)}`);
    await new Promise(setImmediate);
  }
}
/** Waits until no job is left. */
async function quiet(): Promise<void> {
  const end = performance.now() + 30_000;
  while ((await db.query(sql`select 1 as one from outbox_jobs`)).length > 0) {
    if (performance.now() > end) throw new Error("there are jobs left");
    await new Promise(setImmediate);
  }
}
const hook = (event: unknown, { by = secret, at = Date.now(), headers = {} }: Hook = {}) => {
  const message = signed(event, by, at);
  return app.request("/payments/webhooks/stripe", {
    method: "POST",
    body: message.body,
    headers: { ...message.headers, ...headers },
  });
};
interface Hook {
  by?: string | string[];
  at?: number;
  headers?: Record<string, string>;
}
const last = (type: string): Event => {
  const event = fake.events.findLast((one) => one.type === type);
  if (!event) throw new Error(`nothing of ${type} has happened`);
  return event;
};

describe("an order", () => {
  test("is authorised and captured at Stripe, and booked", async () => {
    await reserve("o-1");
    expect(await until("o-1", { status: "captured" })).toMatchObject({
      authorised: total,
      captured: total,
      history: [
        { status: "authorising" },
        { status: "authorised", amount: total },
        { status: "capturing" },
        { status: "captured", amount: total },
      ],
    });
    expect(fake.intents()).toMatchObject([{ status: "succeeded", amount_received: 1_530 }]);
    expect(await said("o-1")).toEqual([
      { type: "payment.captured", data: { orderId: "o-1", amount: total, held: total } },
    ]);
    expect(await ledger()).toMatchObject({ balanced: true, accounts: [{ debit: 1_530 }, { credit: 1_530 }] });
    // The token is kept no longer than it is needed.
    expect(JSON.stringify(await db.query(sql`select * from payments`))).not.toContain("pm_card_visa");
  });

  test.each([
    ["pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"],
    ["pm_card_authenticationRequired", "authentication_required"],
    ["pm_of_nobody", "resource_missing"],
  ])("with %s is declined, and its history says why: %s", async (token, why) => {
    await reserve("o-1", token);
    const payment = await until("o-1", { status: "declined" });
    expect(payment.reason).toBe("payment-declined");
    expect(payment.history.at(-1)?.reason).toBe(`payment-declined: ${why}`);
    expect(await said("o-1")).toEqual([
      { type: "payment.declined", data: { orderId: "o-1", reason: "payment-declined" } },
    ]);
  });

  test("is paid once, however often Stripe is out of order", async () => {
    const broken = new Set<string>();
    fake.interfere = (when, { method, path }) => {
      const what = `${when} ${path.replace(/pi_\w+/, "…")}`;
      if (method === "GET" || broken.has(what)) return undefined;
      broken.add(what);
      return Response.json({ error: { type: "api_error" } }, { status: 500 });
    };
    await reserve("o-1");
    await until("o-1", { status: "captured" });
    await app.request("/payments/o-1/refunds", { method: "POST", body: {}, scopes: manage });
    await until("o-1", { status: "refunded" });
    const paid = fake.intents().filter(({ amount_received: taken }) => taken > 0);
    expect(paid).toMatchObject([{ amount_received: 1_530, refunded: 1_530 }]);
    expect((await ledger()).balanced).toBe(true);
    expect(broken.size).toBe(8);
  });

  test("that is given up while Stripe is away does not wait for it", async () => {
    fake.interfere = () => Response.json({ error: { type: "api_error" } }, { status: 503 });
    await reserve("o-1");
    await app.deliver(OrderAborting, { orderId: "o-1" });
    await until("o-1", { status: "declined" });
    expect((await said("o-1")).at(-1)).toMatchObject({ type: "payment.voided", data: { held: gbp(0) } });
    fake.interfere = undefined;
    expect(fake.intents().filter(({ status }) => status !== "requires_payment_method")).toEqual([]);
  });

  test("that is given up when it is paid gets its money back", async () => {
    await reserve("o-1");
    await until("o-1", { status: "captured" });
    await app.deliver(OrderAborting, { orderId: "o-1" });
    await until("o-1", { status: "refunded", refunded: total });
    expect(fake.intents()).toMatchObject([{ refunded: 1_530 }]);
  });
});

describe("an order that is shipped in parts", () => {
  const hold = (orderId: string, token = "pm_card_visa", captureNow = gbp(0)) =>
    app.deliver(OrderReserved, { orderId, total, captureNow, payment: { method: "stripe", token } });
  const ship = (orderId: string, shipmentId: string, amount: number, final = false) =>
    app.deliver(OrderShipmentAccepted, { orderId, shipmentId, amount: gbp(amount), final });
  const onlyOnce = "pm_card_credit_disableEnterpriseCardFeatures";

  test("is captured by shipment, and the rest is let go of", async () => {
    await hold("o-1");
    const payment = await until("o-1", { status: "authorised", captured: gbp(0) });
    expect(Date.parse(payment.authorisedUntil ?? "")).toBeGreaterThan(Date.now() + 6 * 24 * 60 * 60_000);
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { status: "authorised", captured: gbp(500) });
    await ship("o-1", "o-1-2", 400, true);
    await until("o-1", { status: "captured", authorised: gbp(900), captured: gbp(900) });
    expect(fake.intents()).toMatchObject([
      {
        status: "succeeded",
        amount_received: 900,
        metadata: { "capture:o-1-1": "500", "capture:o-1-2": "400" },
      },
    ]);
    expect(await ledger()).toMatchObject({ balanced: true, accounts: [{ debit: 900 }, { credit: 900 }] });
  });

  test("is given back what was captured, and let go of, when it is given up", async () => {
    await hold("o-1");
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { captured: gbp(500), status: "authorised" });
    await app.deliver(OrderAborting, { orderId: "o-1" });
    await until("o-1", { status: "refunded" });
    expect(fake.intents()).toMatchObject([{ status: "succeeded", amount_received: 500, refunded: 500 }]);
  });

  test("with a card that can be captured only once goes as a whole", async () => {
    await hold("o-1", onlyOnce);
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    expect((await said("o-1")).at(-1)).toEqual({
      type: "payment.capture-failed",
      data: { orderId: "o-1", key: "o-1-1", reason: "partial-capture-unavailable" },
    });
    expect(await read("o-1")).toMatchObject({ status: "authorised", authorised: total });
    await ship("o-1", "o-1-1", 1_530);
    await until("o-1", { status: "captured", captured: total });
  });

  test("of which a part was to be captured at once is captured whole with such a card", async () => {
    await hold("o-1", onlyOnce, gbp(300));
    await until("o-1", { status: "captured", captured: total });
    expect((await said("o-1")).map(({ type }) => type)).toEqual(["payment.captured"]);
  });

  test("runs out when Stripe lets go of it, and who waits for it hears so", async () => {
    await hold("o-1");
    await until("o-1", { status: "authorised" });
    await quiet();
    fake.expire("o-1");
    expect((await hook(last("payment_intent.canceled"))).status).toBe(200);
    await until("o-1", { status: "expired", authorised: gbp(0) });
    expect((await said("o-1")).at(-1)).toEqual({
      type: "payment.expired",
      data: { orderId: "o-1", amount: total, held: gbp(0) },
    });
    await ship("o-1", "o-1-1", 500);
    expect((await said("o-1")).at(-1)).toMatchObject({ data: { reason: "authorisation-expired" } });
  });

  test("that ran out unheard is found at the next shipment", async () => {
    await hold("o-1");
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { captured: gbp(500), status: "authorised" });
    fake.expire("o-1");
    await ship("o-1", "o-1-2", 500);
    await until("o-1", { status: "captured", authorised: gbp(500), captured: gbp(500) });
    expect((await said("o-1")).slice(-2)).toMatchObject([
      { type: "payment.capture-failed", data: { key: "o-1-2", reason: "authorisation-expired" } },
      { type: "payment.expired", data: { amount: gbp(1_030), held: gbp(500) } },
    ]);
  });
});

describe("a webhook", () => {
  beforeEach(async () => {
    await reserve("o-1");
    await until("o-1", { status: "captured" });
    await quiet();
  });

  test("that comes three times, and more that say the same, credit nothing twice", async () => {
    const event = last("payment_intent.succeeded");
    const answers = await Promise.all([hook(event), hook(event), hook(event)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await answers[0]?.json()).toEqual({ received: true });
    await hook({ ...event, id: "evt_another" });
    await quiet();
    expect(await read("o-1")).toMatchObject({ captured: total, refunded: gbp(0) });
    expect((await said("o-1")).map(({ type }) => type)).toEqual(["payment.captured"]);
    expect(await db.query(sql`select id from webhooks order by id`)).toHaveLength(2);
  });

  test("is about a refund on Stripe's own pages: it is booked, once", async () => {
    fake.refundByHand("o-1", 530);
    const event = last("charge.refunded");
    for (let time = 0; time < 3; time++) expect((await hook(event)).status).toBe(200);
    await hook({ ...event, id: "evt_another" });
    const payment = await until("o-1", { status: "captured", refunded: gbp(530) });
    await quiet();
    expect(payment.history.at(-2)).toMatchObject({
      status: "refunding",
      reason: "given back at the provider",
    });
    expect((await said("o-1")).slice(1)).toEqual([
      { type: "payment.refunded", data: { orderId: "o-1", amount: gbp(530), held: gbp(1_000) } },
    ]);
    expect(await ledger()).toMatchObject({ balanced: true, accounts: [{ debit: 1_530, credit: 530 }, {}] });
    const refund = (body: unknown) =>
      app.request("/payments/o-1/refunds", { method: "POST", body, scopes: manage });
    expect((await refund({ amount: gbp(1_001) })).status).toBe(422);
    expect((await refund({})).status).toBe(202);
    await until("o-1", { status: "refunded", refunded: total });
    expect(fake.intents()).toMatchObject([{ refunded: 1_530 }]);
  });

  test("is about a dispute: each of its states shows, once, and what the bank takes back is booked", async () => {
    fake.dispute("o-1", "needs_response");
    for (let time = 0; time < 2; time++) await hook({ ...last("charge.dispute.created"), id: `evt_${time}` });
    await quiet();
    expect(await read("o-1")).toMatchObject({ status: "captured", refunded: gbp(0) });
    fake.dispute("o-1", "lost");
    await hook(last("charge.dispute.updated"));
    await quiet();
    const payment = await read("o-1");
    expect(payment).toMatchObject({
      status: "refunded",
      refunded: total,
      disputes: [{ status: "lost", reason: "fraudulent", amount: total }],
    });
    expect(await ledger()).toMatchObject({ balanced: true, accounts: [{ debit: 1_530, credit: 1_530 }, {}] });
    expect(fake.intents()).toMatchObject([{ refunded: 0 }]);
    const steps = payment?.history.flatMap(({ reason }) => (reason?.startsWith("dispute") ? reason : []));
    expect(steps).toEqual([
      expect.stringMatching(/^dispute du_\w+ \(fraudulent\): needs_response$/),
      expect.stringMatching(/^dispute du_\w+ \(fraudulent\): lost$/),
    ]);
  });

  test("is believed nothing: what is so is asked of Stripe", async () => {
    const event = structuredClone(last("payment_intent.succeeded"));
    Object.assign(event.data.object, {
      status: "canceled",
      amount_received: 1,
      metadata: { orderId: "o-2" },
    });
    expect((await hook({ ...event, type: "payment_intent.canceled" })).status).toBe(200);
    const refunded = { ...last("payment_intent.succeeded"), id: "evt_refunded", type: "charge.refunded" };
    refunded.data.object = { ...refunded.data.object, refunded: true, amount_refunded: 1_530 };
    expect((await hook(refunded)).status).toBe(200);
    await quiet();
    expect(await read("o-1")).toMatchObject({ status: "captured", captured: total, refunded: gbp(0) });
    expect(await read("o-2")).toBeUndefined();
  });

  test("about a payment that is not ours moves nobody's money", async () => {
    // Another shop's on the same account: here nobody knows its order.
    const foreign = await fetch(`${stripe.url}/v1/payment_intents`, {
      method: "POST",
      headers: { authorization: "Bearer sk_test_souk" },
      body: "amount=500&currency=gbp&capture_method=manual&metadata[orderId]=theirs",
    });
    const { id } = (await foreign.json()) as { id: string };
    for (const [action, body] of [
      ["confirm", "payment_method=pm_card_visa"],
      ["capture", ""],
    ] as const) {
      await fetch(`${stripe.url}/v1/payment_intents/${id}/${action}`, {
        method: "POST",
        headers: { authorization: "Bearer sk_test_souk" },
        body,
      });
    }
    expect((await hook(last("payment_intent.succeeded"))).status).toBe(200);
    await quiet();
    expect(await read("theirs")).toBeUndefined();
    expect(fake.intents("theirs")).toMatchObject([{ amount_received: 500, refunded: 0 }]);
  });

  test("of a kind that is of no interest is taken, and nothing follows", async () => {
    const before = fake.calls.length;
    const event = {
      id: "evt_x",
      object: "event",
      type: "customer.created",
      data: { object: { id: "cus_1" } },
    };
    expect((await hook(event)).status).toBe(200);
    await quiet();
    expect(fake.calls.length).toBe(before);
  });

  const refused: [string, () => Promise<Response>][] = [
    ["signed by somebody else", () => hook(last("payment_intent.succeeded"), { by: "whsec_wrong" })],
    ["that is six minutes old", () => hook(last("payment_intent.succeeded"), { at: Date.now() - 360_000 })],
    ["without a signature", () => hook({}, { headers: { "stripe-signature": "" } })],
    [
      "that was changed on its way",
      () =>
        hook(last("payment_intent.succeeded"), {
          headers: { "stripe-signature": `t=${Math.floor(Date.now() / 1000)},v1=${"0".repeat(64)}` },
        }),
    ],
  ];
  test.each(refused)("%s is refused, and leaves nothing behind", async (_, send) => {
    const response = await send();
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({ code: "invalid-signature" });
    expect(await db.query(sql`select * from webhooks`)).toEqual([]);
  });

  test("needs no token, and is not helped by one", async () => {
    const scopes = ["payments:manage"];
    const unsigned = await app.request("/payments/webhooks/stripe", { method: "POST", body: {}, scopes });
    expect(unsigned.status).toBe(400);
  });
});

test("one payment that Stripe says nothing of does not keep the others from being compared", async () => {
  for (const orderId of ["o-1", "o-2"]) {
    await reserve(orderId);
    await until(orderId, { status: "captured" });
  }
  await quiet();
  const [first] = fake.intents("o-1");
  fake.interfere = (_, { method, path }) =>
    method === "GET" && path.endsWith(`/${first?.id}`)
      ? Response.json({ error: { type: "invalid_request_error", code: "resource_missing" } }, { status: 404 })
      : undefined;
  await app.tick("reconcile");
  await quiet();
  const list = await app.request("/payments/reconciliations", { scopes: manage });
  expect(await list.json()).toMatchObject({ items: [{ status: "done", compared: 1, different: 0 }] });
});

describe("secrets", () => {
  test("of webhooks may be two while one takes the other's place", async () => {
    secrets["stripe-webhook-secret"] = "whsec_new whsec_old";
    const event = { id: "evt_1", object: "event", type: "customer.created", data: { object: {} } };
    for (const [by, status] of [
      ["whsec_old", 200],
      ["whsec_new", 200],
      [secret, 400],
    ] as const)
      expect((await hook({ ...event, id: `evt_${by}` }, { by })).status).toBe(status);
  });

  test("that are missing keep the service from being ready, and webhooks for later", async () => {
    secrets = {};
    const ready = await app.request("/ready");
    expect(ready.status).toBe(503);
    const { dependencies } = (await ready.json()) as { dependencies: Record<string, { detail?: string }> };
    expect(dependencies["payment methods"]?.detail).toContain("put stripe-api-key and stripe-webhook-secret");
    const response = await hook(
      { id: "evt_1", object: "event", type: "customer.created", data: { object: {} } },
      {},
    );
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      503,
      "not-configured",
    ]);
    // An order waits until they are there.
    await reserve("o-1");
    secrets = { "stripe-api-key": "sk_test_souk", "stripe-webhook-secret": secret };
    await until("o-1", { status: "captured" });
    expect((await app.request("/ready")).status).toBe(200);
  });
});

test("a shop that does not take Stripe has no webhook for it, and declines such an order", async () => {
  await stop();
  await start("payments.db", { PAYMENT_METHODS: "test" });
  expect((await hook({})).status).toBe(404);
  await reserve("o-1");
  const payment = await until("o-1", { status: "declined" });
  expect(payment.history.at(-1)?.reason).toBe("payment-declined: method_not_available");
  expect(fake.calls).toEqual([]);
});

test.each([
  [{ PAYMENT_METHODS: "shells" }, "PAYMENT_METHODS names shells"],
  [{ NODE_ENV: "production" }, "STRIPE_API_BASE is for tests"],
])("with %j the service does not become ready", async (env, why) => {
  await stop();
  await start("payments.db", env);
  const ready = await app.request("/ready");
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain(why);
});

test("after a restore from a backup Stripe is asked what was done since", async () => {
  await reserve("refunded-since");
  await until("refunded-since", { status: "captured" });
  await quiet();
  const takenAt = Date.now();
  await db.query(sql`vacuum into ${join(data, "backup.db")}`);
  await app.request("/payments/refunded-since/refunds", {
    method: "POST",
    body: { amount: gbp(300) },
    scopes: manage,
  });
  await until("refunded-since", { refunded: gbp(300), status: "captured" });
  for (const orderId of ["lost", "asks-again"]) {
    await reserve(orderId);
    await until(orderId, { status: "captured" });
  }
  await stop();
  // Stripe does not know our keys of then any more.
  fake.later(3 * 24 * 60 * 60_000);

  const copy = await openSqlite(join(data, "backup.db"));
  await restored(copy, {
    takenAt,
    jobs: [{ kind: "restored", key: "", at: Date.now(), data: { data: { takenAt } } }],
  });
  await copy.close();
  await start("backup.db");
  await reserve("asks-again");
  await until("asks-again", { status: "captured", refunded: gbp(0) });
  await until("refunded-since", { status: "captured", refunded: gbp(300) });
  // Nobody asks for this one any more: its money goes back.
  await until("lost", { status: "refunded", captured: total, refunded: total });
  await quiet();
  for (const orderId of ["refunded-since", "lost", "asks-again"]) {
    const paid = fake.intents(orderId).filter(({ amount_received: taken }) => taken > 0);
    expect(paid).toHaveLength(1);
  }
  const [asksAgain] = fake.intents("asks-again");
  expect(asksAgain).toMatchObject({ amount_received: 1_530, refunded: 0 });
  expect(await ledger()).toMatchObject({
    balanced: true,
    accounts: [{ debit: 3 * 1_530, credit: 300 + 1_530 }, {}],
  });
});

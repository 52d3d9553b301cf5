import { expect, test } from "bun:test";
import fc from "fast-check";
import { fakeStripe } from "../../tests/stripe/fake.ts";
import { captureKey, dueCall, refundKey } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { held } from "./holding.ts";
import { type Command, decide, type Payment } from "./payment.ts";
import { ask } from "./providers/provider.ts";
import { stripeOn } from "./providers/stripe.fixture.ts";

// Stripe, and a service that dies between any two steps: calls that never arrive, answers that get lost, outcomes that
// are not committed, days that pass, people at Stripe's own pages, a store that comes out of a backup. Whatever happens,
// a customer is charged once, and the books agree with Stripe in the end.

const orderId = "o-1";
const total = { amount: 1_000, currency: "GBP" };

/** What each of them is worth; an order does not change its mind about that. */
const shipments = { "s-1": 200, "s-2": 300, "s-3": 500 };
const returns = { "r-1": 100, "r-2": 300 };

type Step =
  | "reserved"
  | "aborting"
  | "released"
  | { shipment: keyof typeof shipments; final: boolean }
  | { return: keyof typeof returns }
  /** The job makes the call that is due, and its outcome is committed. */
  | "call"
  /** The same, and something is lost on the way there, on the way back, or by the end of the process. */
  | { lost: "request" | "answer" | "outcome" }
  | { refund: number }
  | { byHand: number }
  | "expires"
  /** The customer's bank: it asks, and decides for one of them. */
  | { dispute: "needs_response" | "won" | "lost" }
  /** A webhook has come. */
  | "told"
  /** Stripe forgets idempotency keys. */
  | "a day passes"
  | "backup"
  | "restore";

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>("reserved") },
  { weight: 1, arbitrary: fc.constant<Step>("aborting") },
  { weight: 1, arbitrary: fc.constant<Step>("released") },
  {
    weight: 4,
    arbitrary: fc.record({
      shipment: fc.constantFrom("s-1", "s-2", "s-3"),
      final: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 1, arbitrary: fc.record({ return: fc.constantFrom("r-1", "r-2") }) },
  { weight: 9, arbitrary: fc.constant<Step>("call") },
  {
    weight: 4,
    arbitrary: fc.record({
      lost: fc.constantFrom("request" as const, "answer" as const, "outcome" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ refund: fc.integer({ min: 1, max: 1_000 }) }) },
  { weight: 1, arbitrary: fc.record({ byHand: fc.integer({ min: 1, max: 1_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      dispute: fc.constantFrom("needs_response" as const, "won" as const, "lost" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>("expires", "told", "a day passes", "backup", "restore") },
);
const begin: Step[] = ["reserved", "call", "call", "call"];
const walk = fc
  .tuple(fc.boolean(), fc.array(step, { maxLength: 30, size: "max" }))
  .map(([paid, steps]) => (paid ? [...begin, ...steps] : steps));
const tokens = fc.constantFrom(
  ...["pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_visa"],
  ...["pm_card_credit_disableEnterpriseCardFeatures", "pm_card_chargeDeclined"],
);
/** What is to be captured at once; nothing said: all. */
const parts = fc.constantFrom(undefined, undefined, 0, 0, 300);

async function run(token: string, steps: Step[], atOnce?: number) {
  const fake = fakeStripe();
  const { provider } = stripeOn(fake);
  let payment: Payment | undefined;
  let ledger = new Map<string, number>();
  let references = new Map<string, string | undefined>();
  let backup = { payment, ledger: new Map(ledger) };
  const began = Date.now() - 60_000;
  let at = 0;
  let broken = 0;

  const book = (entry: string, amount: number): void => {
    expect(ledger.has(entry)).toBe(false);
    ledger.set(entry, amount);
  };
  const commit = (command: Command): void => {
    const decided = decide(payment, command);
    if (!Array.isArray(decided)) return;
    for (const event of decided) {
      payment = evolve(payment, event);
      if (event.type === "captured") book(captureKey(orderId, event.capture), event.capture.amount);
      if (event.type === "refunded" && event.refund.amount > 0)
        book(refundKey(orderId, event.refund), -event.refund.amount);
    }
  };

  /** As the service's job does it. */
  async function call(lost?: "request" | "answer" | "outcome"): Promise<void> {
    const due = dueCall(payment);
    if (due === undefined) return;
    const known = due.reference === undefined ? references.get(orderId) : undefined;
    if (known !== undefined) return commit({ type: "opened", reference: known, at });
    if (lost === "request" || lost === "answer") {
      fake.interfere = (when, { method }) => {
        if (method !== "POST" || (when === "before") !== (lost === "request")) return undefined;
        fake.interfere = undefined;
        broken++;
        throw new Error("the connection broke");
      };
    }
    const outcome = await ask(provider, due, 5_000).catch(() => undefined);
    fake.interfere = undefined;
    if (outcome && lost !== "outcome") commit({ ...outcome, at });
  }

  async function told(restored = false): Promise<void> {
    if (dueCall(payment)) return;
    const own = payment && "reference" in payment ? payment.reference : undefined;
    const reference = restored ? (references.get(orderId) ?? own) : own;
    if (!restored && reference === undefined) return;
    const statement = await provider.statement(orderId, reference);
    if (statement) commit({ type: "reconcile", at, orderId, method: "stripe", statement });
  }

  async function restore(): Promise<void> {
    ({ payment, ledger } = { payment: backup.payment, ledger: new Map(backup.ledger) });
    references = new Map();
    for (let after: string | undefined = "intents:"; after; ) {
      const page = await provider.askedSince(began, { after, limit: 100 });
      for (const { orderId: of, reference } of page.payments) references.set(of, reference);
      after = page.after;
    }
  }

  const left = () =>
    fake.intents().reduce((all, one) => all + one.amount_received - one.refunded - one.lost, 0);

  async function follow(what: Step): Promise<void> {
    at++;
    const money = (amount: number) => ({ ...total, amount });
    const captureNow = atOnce === undefined ? undefined : money(atOnce);
    if (what === "reserved")
      commit({ type: "authorise", at, orderId, total, method: "stripe", token, captureNow });
    else if (what === "aborting") commit({ type: "abort", at, orderId });
    else if (what === "released") commit({ type: "release", at });
    else if (what === "call") await call();
    else if (what === "told") await told();
    else if (what === "a day passes") fake.later(25 * 60 * 60_000);
    else if (what === "backup") backup = { payment, ledger: new Map(ledger) };
    else if (what === "restore") await restore();
    else if (what === "expires") {
      if (fake.intents().some(({ status }) => status === "requires_capture")) fake.expire(orderId);
    } else if ("lost" in what) await call(what.lost);
    else if ("shipment" in what) {
      const { shipment: key, final } = what;
      commit({ type: "capture", at, orderId, key, amount: money(shipments[key]), final });
    } else if ("return" in what)
      commit({ type: "give-back", at, orderId, key: what.return, amount: money(returns[what.return]) });
    else if ("refund" in what) commit({ type: "refund", at, amount: money(what.refund) });
    else if ("dispute" in what) {
      if (left() > 0) fake.dispute(orderId, what.dispute);
    } else {
      const open = fake.intents().some(({ disputed = "won" }) => disputed !== "won");
      if (left() > 0 && !open) fake.refundByHand(orderId, Math.min(left(), what.byHand));
    }
    // Never more than once, at any moment.
    const charged = fake
      .intents()
      .filter(({ status }) => status === "requires_capture" || status === "succeeded");
    expect(charged.length).toBeLessThan(2);
  }

  for (const what of steps) await follow(what);
  // In the end the bank decides.
  if (fake.intents().some(({ disputed }) => disputed === "needs_response")) await follow({ dispute: "lost" });
  const asked = payment !== undefined;
  for (let round = 0; round < 3; round++) {
    for (let calls = 0; dueCall(payment); calls++) {
      expect(calls).toBeLessThan(40);
      await follow("call");
    }
    at++;
    await told(true);
  }
  expect(dueCall(payment)).toBeUndefined();
  return { fake, payment: payment as Payment | undefined, ledger, asked, broken };
}

test("a customer is charged once, and the books agree with Stripe in the end", async () => {
  let captured = 0;
  let divided = 0;
  let lost = 0;
  await fc.assert(
    fc.asyncProperty(tokens, parts, walk, async (token, atOnce, steps) => {
      const { fake, payment, ledger, asked, broken } = await run(token, steps, atOnce);
      const intents = fake.intents();
      const sum = (of: (intent: (typeof intents)[number]) => number) =>
        intents.reduce((all, one) => all + of(one), 0);
      const taken = sum((one) => one.amount_received);
      const given = sum((one) => one.refunded + one.lost);
      const holds = sum((one) => one.amount_capturable) + taken - given;
      expect(taken).toBeLessThanOrEqual(total.amount);
      expect(payment?.captured ?? 0).toBe(taken);
      expect(payment?.refunded ?? 0).toBe(given);
      expect(payment ? held(payment) : 0).toBe(holds);
      const net = [...ledger.values()].reduce((all, amount) => all + amount, 0);
      expect(net).toBe(taken - given);
      // An order that never asked for its money, or has given up on it, leaves none there.
      if (!asked || payment?.wanted === "undo") expect(holds).toBe(0);
      if (taken > 0) captured++;
      if (payment && payment.asked.filter((one) => one.startsWith("capture")).length > 1) divided++;
      if (broken > 0) lost++;
    }),
    { numRuns: 1_000 },
  );
  // The walks went where it matters.
  expect(captured).toBeGreaterThan(100);
  expect(divided).toBeGreaterThan(20);
  expect(lost).toBeGreaterThan(100);
}, 120_000);

test("an intent whose name got lost is never confirmed, however late it is asked for again", async () => {
  const { fake, payment } = await run("pm_card_visa", ["reserved", { lost: "answer" }, "a day passes"]);
  expect(payment).toMatchObject({ status: "captured", captured: 1_000 });
  expect(fake.intents().map(({ status }) => status)).toEqual(["requires_payment_method", "succeeded"]);
});

test("a store from a backup of before it was paid finds the payment that there is, a day later too", async () => {
  const steps: Step[] = ["reserved", "backup", "call", "call", "call", "a day passes", "restore"];
  const { fake, payment } = await run("pm_card_visa", steps);
  expect(payment).toMatchObject({ status: "captured", captured: 1_000 });
  expect(fake.intents()).toHaveLength(1);
});

import { formerly, lines } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events and bodies, and the fields that it reads from others. */

const currency = v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, "an ISO 4217 code such as GBP"));

export const Money = v.object({ amount: v.pipe(v.number(), v.safeInteger(), v.minValue(0)), currency });

const orderId = v.string();
const Status = v.picklist([
  "authorising",
  "authorised",
  "declined",
  "capturing",
  "captured",
  "voiding",
  "voided",
  "refunding",
  "refunded",
]);
const DeclineReason = v.picklist(["payment-declined", "timed-out"]);

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Without an amount: all that is captured and not yet given back. */
export const NewRefund = v.strictObject({
  amount: v.optional(
    v.strictObject({ amount: v.pipe(v.number(), v.safeInteger(), v.minValue(1)), currency }),
  ),
  reason: v.optional(lines(500)),
});

/** `authorised` is what the provider has approved and not voided. A refund that is under way is not in `refunded` yet. */
export const PaymentView = v.object({
  orderId,
  status: Status,
  reason: v.optional(DeclineReason),
  authorised: Money,
  captured: Money,
  refunded: Money,
  history: v.array(
    v.object({ at: v.string(), status: Status, amount: v.optional(Money), reason: v.optional(v.string()) }),
  ),
  /** The customer's bank wants money back; the provider's own words. */
  disputes: v.optional(
    v.array(v.object({ reference: v.string(), status: v.string(), reason: v.string(), amount: Money })),
  ),
});
export type PaymentView = v.InferOutput<typeof PaymentView>;

/** Amounts in minor units. */
/** The answer to a provider: it has been heard. */
export const Heard = v.object({ received: v.literal(true) });

export const LedgerView = v.object({
  balanced: v.boolean(),
  accounts: v.array(
    v.object({ account: v.string(), currency: v.string(), debit: v.number(), credit: v.number() }),
  ),
});
export type LedgerView = v.InferOutput<typeof LedgerView>;

// ── Published on topic `payments` ───────────────────────────────────────────────────────────────────────────

/** `held` is the customer's money that is still authorised or captured, and not given back. */
const moved = v.object({ orderId, amount: Money, held: Money });

/** Nothing is held at the provider when this is said. */
export const PaymentDeclined = event(
  "payments",
  "payment.declined",
  v.object({ orderId, reason: DeclineReason }),
);
/** The order is paid. */
export const PaymentCaptured = event("payments", "payment.captured", moved);
/** Also the answer for an order that is given up and has nothing held: with amount 0. */
export const PaymentVoided = event("payments", "payment.voided", moved);
export const PaymentRefunded = event("payments", "payment.refunded", moved);

const amount = { amount: 1530, currency: "GBP" };
const nothing = { amount: 0, currency: "GBP" };

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: PaymentDeclined, example: { orderId: "o-1", reason: "payment-declined" as const } },
  { type: PaymentCaptured, example: { orderId: "o-1", amount, held: amount } },
  { type: PaymentVoided, example: { orderId: "o-1", amount, held: nothing } },
  { type: PaymentRefunded, example: { orderId: "o-1", amount, held: nothing } },
];

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

/** Who placed the order, and may read what became of its money; a guest's order has nobody. */
const customerId = v.optional(v.string());
/** Asks for the order's money: authorised, and captured as soon as the provider has approved. */
export const OrderReserved = formerly(
  "orders",
  event(
    "orders-reserved",
    "order.reserved",
    v.object({
      orderId,
      customerId,
      total: Money,
      payment: v.object({ method: v.string(), token: v.string() }),
    }),
  ),
);
export const OrderAborting = event("orders", "order.aborting", v.object({ orderId, customerId }));

// ── Kept for later ──────────────────────────────────────────────────────────────────────────────────────────

/**
 * What is to be compared with its provider, and by what name that knows it; `restored` when this store may have
 * forgotten it. A text alone is a method: so it was kept before providers had names of their own.
 */
const ComparedTo = v.object({
  method: v.string(),
  reference: v.optional(v.string()),
  restored: v.optional(v.boolean()),
});
export const ToReconcile = v.union([
  ComparedTo,
  v.pipe(
    v.string(),
    v.transform((method): v.InferOutput<typeof ComparedTo> => ({ method, restored: true })),
  ),
]);
export type ToReconcile = v.InferOutput<typeof ToReconcile>;

/** The job that comes first after a restore from a backup: when that was taken, and how far the review has come. */
export const Restored = v.object({
  takenAt: v.number(),
  method: v.optional(v.string()),
  after: v.optional(v.string()),
});

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
  "renewing",
  "expired",
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

/**
 * `authorised` is what the provider has approved and not let go of, what was captured included. A refund that is under
 * way is not in `refunded` yet. `key` is the id of the shipment or the return that a step is for.
 */
export const PaymentView = v.object({
  orderId,
  status: Status,
  reason: v.optional(DeclineReason),
  authorised: Money,
  captured: Money,
  refunded: Money,
  /** When what is authorised and not captured runs out; it is renewed before where that can be done. */
  authorisedUntil: v.optional(v.string()),
  history: v.array(
    v.object({
      at: v.string(),
      status: Status,
      amount: v.optional(Money),
      key: v.optional(v.string()),
      reason: v.optional(v.string()),
    }),
  ),
  /** The customer's bank wants money back; the provider's own words. */
  disputes: v.optional(
    v.array(v.object({ reference: v.string(), status: v.string(), reason: v.string(), amount: Money })),
  ),
});
export type PaymentView = v.InferOutput<typeof PaymentView>;

/** The answer to a provider: it has been heard. */
export const Heard = v.object({ received: v.literal(true) });

/**
 * A comparison of every payment that was touched since the one before with the books of the providers. `differences`
 * has the first 100; `settled` is what our books take over, or what is given back. Amounts in minor units.
 */
export const ReconciliationView = v.object({
  id: v.string(),
  status: v.picklist(["running", "done"]),
  startedAt: v.string(),
  endedAt: v.optional(v.string()),
  /** Payments that were touched since then. */
  since: v.string(),
  compared: v.number(),
  different: v.number(),
  differences: v.array(
    v.object({
      orderId,
      what: v.picklist(["captured", "refunded", "held"]),
      ours: v.number(),
      theirs: v.number(),
      currency,
      settled: v.boolean(),
    }),
  ),
});
export type ReconciliationView = v.InferOutput<typeof ReconciliationView>;
export const ReconciliationList = v.object({
  items: v.array(ReconciliationView),
  nextCursor: v.nullable(v.string()),
});
export const Listing = v.strictObject({ limit: v.optional(v.string()), cursor: v.optional(v.string()) });

const sum = v.pipe(v.number(), v.integer());
/** Sums in minor units, exact also beyond 2^53; so is `balanced`. */
export const LedgerView = v.object({
  balanced: v.boolean(),
  accounts: v.array(v.object({ account: v.string(), currency: v.string(), debit: sum, credit: sum })),
});
export type LedgerView = v.InferOutput<typeof LedgerView>;

// ── Published on topic `payments` ───────────────────────────────────────────────────────────────────────────

/** `held` is the customer's money that is still authorised or captured, and not given back. */
const moved = v.object({ orderId, amount: Money, held: Money });
/** `key` is the id of the shipment or the return that it is for. */
const movedFor = v.object({ ...moved.entries, key: v.optional(v.string()) });

/** Nothing is held at the provider when this is said. */
export const PaymentDeclined = event(
  "payments",
  "payment.declined",
  v.object({ orderId, reason: DeclineReason }),
);
/** The money is there to be captured; not said where all of it is captured at once. */
export const PaymentAuthorised = event("payments-authorised", "payment.authorised", moved);
/** Without a key: captured at once with the authorisation, all of it or the part that was asked for. */
export const PaymentCaptured = event("payments", "payment.captured", movedFor);
/** Nothing was captured for this shipment; `partial-capture-unavailable`: all that is open can be, and only once. */
export const PaymentCaptureFailed = event(
  "payments",
  "payment.capture-failed",
  v.object({
    orderId,
    key: v.string(),
    reason: v.picklist(["authorisation-expired", "payment-declined", "partial-capture-unavailable"]),
  }),
);
/** What was authorised and not captured is gone, and could not be renewed. */
export const PaymentExpired = event("payments", "payment.expired", moved);
/**
 * What was authorised and not captured is given back. Also the answer for an order that is given up and has nothing
 * held: with amount 0.
 */
export const PaymentVoided = event("payments", "payment.voided", moved);
/** The answer for a return, also with amount 0 where nothing was left to give back. */
export const PaymentRefunded = event("payments", "payment.refunded", movedFor);

const amount = { amount: 1530, currency: "GBP" };
const nothing = { amount: 0, currency: "GBP" };

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: PaymentDeclined, example: { orderId: "o-1", reason: "payment-declined" as const } },
  { type: PaymentAuthorised, example: { orderId: "o-1", amount, held: amount } },
  { type: PaymentCaptured, example: { orderId: "o-1", amount, held: amount, key: "o-1-1" } },
  {
    type: PaymentCaptureFailed,
    example: { orderId: "o-1", key: "o-1-1", reason: "authorisation-expired" as const },
  },
  { type: PaymentExpired, example: { orderId: "o-1", amount, held: nothing } },
  { type: PaymentVoided, example: { orderId: "o-1", amount, held: nothing } },
  { type: PaymentRefunded, example: { orderId: "o-1", amount, held: nothing, key: "r-1" } },
];

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

/** Who placed the order, and may read what became of its money; a guest's order has nobody. */
const customerId = v.optional(v.string());
/**
 * Asks for the order's money: authorised, and `captureNow` of it captured as soon as the provider has approved; all of
 * it, where nothing is said.
 */
export const OrderReserved = formerly(
  "orders",
  event(
    "orders-reserved",
    "order.reserved",
    v.object({
      orderId,
      customerId,
      total: Money,
      captureNow: v.optional(Money),
      payment: v.object({ method: v.string(), token: v.string() }),
    }),
  ),
);
export const OrderAborting = event("orders", "order.aborting", v.object({ orderId, customerId }));
/** Asks for the money of a shipment before it is handed over; `final`: nothing more will be captured. */
export const OrderShipmentAccepted = event(
  "orders",
  "order.shipment-accepted",
  v.object({ orderId, customerId, shipmentId: v.string(), amount: Money, final: v.boolean() }),
);
/** `remaining` may still be captured. */
export const OrderLinesCancelled = event(
  "orders",
  "order.lines-cancelled",
  v.object({ orderId, customerId, remaining: Money }),
);
/** Goods came back that are worth `amount`. */
export const OrderReturnReceived = event(
  "orders",
  "order.return-received",
  v.object({ orderId, customerId, returnId: v.string(), amount: Money }),
);

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

/** Where a reconciliation has come to: in our own rows first, then at each provider. */
export const Reconciling = v.object({
  /** In ms: what was touched from then on, up to when it began. */
  since: v.number(),
  until: v.number(),
  method: v.optional(v.string()),
  after: v.optional(v.string()),
});
export type Reconciling = v.InferOutput<typeof Reconciling>;

/** The job that comes first after a restore from a backup: when that was taken, and how far the review has come. */
export const Restored = v.object({
  takenAt: v.number(),
  method: v.optional(v.string()),
  after: v.optional(v.string()),
});

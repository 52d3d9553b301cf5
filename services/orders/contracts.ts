import { line } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events and bodies, and the fields that it reads from others. */

export const Money = v.strictObject({
  amount: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  currency: v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, "an ISO 4217 code such as GBP")),
});

// Printable: no control character, no half of a surrogate pair, nothing that breaks a line or turns the reading
// direction. Spaces only inside.
export const Sku = v.pipe(
  v.string(),
  v.regex(
    /^(?!\s)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_C}]{1,64}(?<!\s)$/u,
    "1 to 64 printable characters, spaces only inside",
  ),
);

const Country = v.pipe(v.string(), v.regex(/^[A-Z]{2}$/, "an ISO 3166-1 alpha-2 code such as GB"));
const Kind = v.picklist(["physical", "service"]);
const Reason = v.picklist(["out-of-stock", "payment-declined", "timed-out"]);
const Status = v.picklist(["placed", "reserved", "confirmed", "rejected", "cancelled"]);
const orderId = v.string();

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

export const NewOrder = v.strictObject({
  cartId: v.optional(line(100)),
  lines: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          sku: Sku,
          quantity: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(100_000)),
          unitPrice: v.optional(Money),
        }),
      ),
      v.minLength(1),
      v.maxLength(1_000),
    ),
  ),
  customer: v.strictObject({ email: v.pipe(v.string(), v.email(), v.maxLength(254)), name: line(200) }),
  shippingAddress: v.strictObject({
    name: line(200),
    line1: line(200),
    line2: v.optional(line(200)),
    city: line(200),
    postcode: v.optional(line(32)),
    country: Country,
  }),
  shippingMethod: v.optional(line(64)),
  payment: v.strictObject({ method: v.picklist(["test", "stripe"]), token: line(255) }),
  reference: v.optional(line(100)),
});

export type NewOrder = v.InferOutput<typeof NewOrder>;

export const OrderQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  customer: v.optional(line(254)),
  status: v.optional(Status),
  reference: v.optional(line(100)),
});

export const OrderView = v.object({
  id: v.string(),
  reference: v.nullable(v.string()),
  status: Status,
  reason: v.optional(Reason),
  /** The customer's data was erased: its fields are empty. */
  erased: v.optional(v.boolean()),
  customer: v.object({ email: v.string(), name: v.string() }),
  shippingAddress: v.object({
    name: v.string(),
    line1: v.string(),
    line2: v.optional(v.string()),
    city: v.string(),
    postcode: v.optional(v.string()),
    country: v.string(),
  }),
  lines: v.array(
    v.object({ sku: v.string(), name: v.string(), quantity: v.number(), unitPrice: Money, total: Money }),
  ),
  total: Money,
  history: v.array(v.object({ at: v.string(), status: Status, reason: v.optional(Reason) })),
  orderKey: v.optional(v.string()),
});
export type OrderView = v.InferOutput<typeof OrderView>;

/** A message of an order's live progress. */
export const OrderStep = v.object({
  orderId: v.string(),
  status: Status,
  reason: v.optional(Reason),
  at: v.string(),
});
export type OrderStep = v.InferOutput<typeof OrderStep>;

export const OrderList = v.object({ items: v.array(OrderView), nextCursor: v.nullable(v.string()) });

/** What carts hands over; see its contract. */
export const CartCheckout = v.object({
  orderId: v.string(),
  lines: v.array(v.object({ sku: v.string(), quantity: v.number() })),
});

// ── Published on topic `orders` ─────────────────────────────────────────────────────────────────────────────

const Line = v.object({ sku: v.string(), quantity: v.number(), unitPrice: Money, kind: Kind });
const Lines = v.array(Line);
const reference = v.nullable(v.string());
/** `customerId` is who placed it: a user or a client. A guest's order has none. */
const of = { orderId, customerId: v.optional(v.string()) };

/**
 * `contact`: whom to write to about the order, and in which language, as a JWE (RFC 7516, compact; dir, A256GCM) under
 * the secret `mail`, which only the mailer has as well.
 */
export const OrderPlaced = event(
  "orders",
  "order.placed",
  v.object({
    ...of,
    reference,
    total: Money,
    country: v.string(),
    lines: Lines,
    contact: v.optional(v.string()),
  }),
);
export const OrderReserved = event(
  "orders",
  "order.reserved",
  v.object({ ...of, total: Money, payment: v.object({ method: v.string(), token: v.string() }) }),
);
export const OrderConfirmed = event(
  "orders",
  "order.confirmed",
  v.object({
    ...of,
    reference,
    total: Money,
    country: v.string(),
    lines: v.array(v.object({ ...Line.entries, name: v.optional(v.string()) })),
  }),
);
export const OrderAborting = event(
  "orders",
  "order.aborting",
  v.object({ ...of, outcome: v.picklist(["rejected", "cancelled"]), reason: v.optional(Reason) }),
);
export const OrderRejected = event("orders", "order.rejected", v.object({ ...of, reason: Reason }));
export const OrderCancelled = event("orders", "order.cancelled", v.object(of));

const six = {
  sku: "85123A",
  quantity: 6,
  unitPrice: { amount: 255, currency: "GBP" },
  kind: "physical" as const,
};
const total = { amount: 1530, currency: "GBP" };
const placed = { orderId: "o-1", customerId: "u_1", reference: "536365", total, country: "GB", lines: [six] };

const sealed = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: OrderPlaced, example: { ...placed, contact: sealed } },
  {
    type: OrderReserved,
    example: { orderId: "o-1", customerId: "u_1", total, payment: { method: "test", token: "tok_ok" } },
  },
  {
    type: OrderConfirmed,
    example: { ...placed, lines: [{ ...six, name: "White hanging heart T-light holder" }] },
  },
  {
    type: OrderAborting,
    example: { orderId: "o-1", outcome: "rejected" as const, reason: "payment-declined" as const },
  },
  { type: OrderRejected, example: { orderId: "o-1", reason: "out-of-stock" as const } },
  { type: OrderCancelled, example: { orderId: "o-1" } },
];

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

const product = v.object({
  sku: v.string(),
  name: v.string(),
  category: v.optional(v.string()),
  price: Money,
  kind: Kind,
  weight: v.optional(v.number()),
  taxClass: v.optional(v.string()),
  version: v.number(),
});
export const ProductCreated = event("catalog", "product.created", product);
export const ProductUpdated = event("catalog", "product.updated", product);
export const ProductDeleted = event(
  "catalog",
  "product.deleted",
  v.object({ sku: v.string(), version: v.number() }),
);

export const UserErased = event("identity", "user.erased", v.object({ userId: v.string() }));

const ofOrder = v.object({ orderId });
export const StockReserved = event("inventory", "stock.reserved", ofOrder);
export const StockRefused = event("inventory", "stock.refused", ofOrder);
export const StockReleased = event("inventory", "stock.released", ofOrder);

export const PaymentDeclined = event(
  "payments",
  "payment.declined",
  v.object({ orderId, reason: v.picklist(["payment-declined", "timed-out"]) }),
);
export const PaymentCaptured = event("payments", "payment.captured", ofOrder);
const givenBack = v.object({ orderId, held: Money });
export const PaymentVoided = event("payments", "payment.voided", givenBack);
export const PaymentRefunded = event("payments", "payment.refunded", givenBack);

import { formerly, line, lines } from "chassis";
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

export const Country = v.pipe(v.string(), v.regex(/^[A-Z]{2}$/, "an ISO 3166-1 alpha-2 code such as GB"));
const Kind = v.picklist(["physical", "service"]);
const Reason = v.picklist(["out-of-stock", "payment-declined", "timed-out", "authorisation-expired"]);
const Status = v.picklist([
  "placed",
  "reserved",
  "confirmed",
  "shipped",
  "delivered",
  "rejected",
  "cancelled",
  "returned",
]);
const orderId = v.string();

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where the lines of an order come from, and what they are priced by. */
export const ordering = {
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
  shippingMethod: v.optional(line(64)),
  /** Of promotions, as customers type them. */
  codes: v.optional(v.pipe(v.array(line(40)), v.maxLength(10))),
};

export const Email = v.pipe(v.string(), v.email(), v.maxLength(254));

export const NewOrder = v.strictObject({
  ...ordering,
  customer: v.strictObject({ email: Email, name: line(200) }),
  shippingAddress: v.strictObject({
    name: line(200),
    line1: line(200),
    line2: v.optional(line(200)),
    city: line(200),
    postcode: v.optional(line(32)),
    country: Country,
  }),
  payment: v.strictObject({ method: v.picklist(["test", "stripe"]), token: line(255) }),
  reference: v.optional(line(100)),
});

export type NewOrder = v.InferOutput<typeof NewOrder>;

const Wanted = {
  sku: Sku,
  quantity: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(100_000)),
};
const some = <T extends v.GenericSchema>(one: T) => v.pipe(v.array(one), v.minLength(1), v.maxLength(1_000));

/** Without lines: all that can be cancelled. */
export const NewCancellation = v.strictObject({
  lines: v.optional(some(v.strictObject(Wanted))),
  reason: v.optional(lines(500)),
});
export const NewReturn = v.strictObject({
  lines: some(v.strictObject({ ...Wanted, unitPrice: v.optional(Money) })),
  reason: lines(500),
  /** The goods are not put back into stock; for staff, who have them at hand. */
  writeOff: v.optional(v.boolean()),
});
/** Without lines: all that was to be returned is here, and goes back into stock. What is missing is not returned. */
export const NewReceipt = v.strictObject({
  lines: v.optional(
    v.pipe(
      v.array(v.strictObject({ ...Wanted, condition: v.picklist(["restock", "write-off"]) })),
      v.maxLength(2_000),
    ),
  ),
});

export const OrderQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  customer: v.optional(line(254)),
  status: v.optional(Status),
  reference: v.optional(line(100)),
});

const Ordered = v.array(v.object({ sku: v.string(), quantity: v.number() }));

/** What was given by promotions. */
export const Promotions = v.array(
  v.object({ id: v.string(), name: v.string(), code: v.optional(v.string()), amount: Money }),
);

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
  /** Units of a line that have left, are cancelled and came back; a service has left when it is paid. */
  lines: v.array(
    v.object({
      sku: v.string(),
      name: v.string(),
      quantity: v.number(),
      unitPrice: Money,
      total: Money,
      shipped: v.optional(v.number()),
      cancelled: v.optional(v.number()),
      returned: v.optional(v.number()),
      discount: v.optional(Money),
      tax: v.optional(Money),
    }),
  ),
  /** `subtotal` − `discount` + what of `tax` is not in the prices + `shipping`, where these are said. */
  total: Money,
  subtotal: v.optional(Money),
  discount: v.optional(Money),
  tax: v.optional(Money),
  shipping: v.optional(Money),
  promotions: v.optional(Promotions),
  history: v.array(v.object({ at: v.string(), status: Status, reason: v.optional(Reason) })),
  shipments: v.optional(
    v.array(
      v.object({
        id: v.string(),
        status: v.picklist(["pending", "dispatching", "dispatched", "delivered"]),
        lines: Ordered,
        carrier: v.optional(v.string()),
        tracking: v.optional(v.string()),
      }),
    ),
  ),
  returns: v.optional(
    v.array(
      v.object({
        id: v.string(),
        status: v.picklist(["requested", "received", "refunded"]),
        reason: v.string(),
        lines: Ordered,
        amount: Money,
      }),
    ),
  ),
  /** What was said when something was cancelled. */
  notes: v.optional(v.array(v.object({ at: v.string(), note: v.string() }))),
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

/** Ids with a comma between. */
export const StatusQuery = v.strictObject({
  ids: v.pipe(
    v.string(),
    v.regex(/^[\w-]{1,64}(,[\w-]{1,64}){0,99}$/, "must be 1 to 100 ids of orders, with a comma between"),
  ),
});
/** How far orders are, those that the caller may see. */
export const OrderStatuses = v.object({
  items: v.array(v.object({ id: v.string(), version: v.number(), status: Status })),
});

/** Whom to write to about an order. `language` is an Accept-Language. */
export const Contact = v.object({
  email: v.string(),
  name: v.string(),
  reference: v.nullable(v.string()),
  language: v.optional(v.string()),
});
export type Contact = v.InferOutput<typeof Contact>;

/** What is in a cart; see the contract of carts. */
export const CartLines = v.object({
  lines: v.array(v.object({ sku: v.string(), quantity: v.number() })),
});

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

export const OrderPlaced = event(
  "orders-placed",
  "order.placed",
  v.object({
    ...of,
    reference,
    total: Money,
    country: v.string(),
    lines: Lines,
  }),
);
/**
 * Asks for the order's money: `total` is to be authorised, and `captureNow` of it captured at once; all of it, where
 * nothing is said.
 */
export const OrderReserved = event(
  "orders-reserved",
  "order.reserved",
  v.object({
    ...of,
    total: Money,
    captureNow: v.optional(Money),
    payment: v.object({ method: v.string(), token: v.string() }),
  }),
);
const Piece = v.object({ sku: v.string(), quantity: v.number() });
const Pieces = v.array(Piece);
/** `shipment`: what is to be sent, as long as nobody divides it; absent where there is nothing to send. In grams. */
export const OrderConfirmed = event(
  "orders-confirmed",
  "order.confirmed",
  v.object({
    ...of,
    reference,
    total: Money,
    country: v.string(),
    lines: v.array(v.object({ ...Line.entries, name: v.optional(v.string()) })),
    shipment: v.optional(
      v.object({ id: v.string(), lines: Pieces, weight: v.number(), method: v.optional(v.string()) }),
    ),
  }),
);
export const OrderAborting = event(
  "orders",
  "order.aborting",
  v.object({ ...of, outcome: v.picklist(["rejected", "cancelled"]), reason: v.optional(Reason) }),
);
export const OrderRejected = event("orders", "order.rejected", v.object({ ...of, reason: Reason }));
export const OrderCancelled = event(
  "orders",
  "order.cancelled",
  v.object({ ...of, reason: v.optional(Reason) }),
);

/**
 * A part of an order will not be sent: `lines` are physical and cancelled now, `open` is what is still to be sent
 * without what is in hand-over. `remaining`: what may still be captured; when it is nothing, the rest of the
 * authorisation may go.
 */
export const OrderLinesCancelled = event(
  "orders",
  "order.lines-cancelled",
  v.object({ ...of, lines: Pieces, open: Pieces, remaining: Money, reason: v.optional(Reason) }),
);
/** A shipment may go once `amount`, which is more than nothing, is captured; `final`: nothing will be captured after it. */
export const OrderShipmentAccepted = event(
  "orders",
  "order.shipment-accepted",
  v.object({ ...of, shipmentId: v.string(), amount: Money, final: v.boolean() }),
);
const RefusalReason = v.picklist([
  "not-confirmed",
  "not-open",
  "dispatch-in-progress",
  "authorisation-expired",
  "payment-declined",
  "partial-capture-unavailable",
]);
/** A shipment may not go; `open` is what is still to be sent. */
export const OrderShipmentRefused = event(
  "orders",
  "order.shipment-refused",
  v.object({ ...of, shipmentId: v.string(), reason: RefusalReason, open: Pieces }),
);
/** A shipment has left; `complete`: nothing is left to be sent. */
export const OrderShipped = event(
  "orders",
  "order.shipped",
  v.object({
    ...of,
    reference,
    shipmentId: v.string(),
    lines: v.array(v.object({ ...Piece.entries, name: v.string() })),
    carrier: v.optional(v.string()),
    tracking: v.optional(v.string()),
    complete: v.boolean(),
  }),
);
/** A shipment has arrived; `complete`: the last of the order. */
export const OrderDelivered = event(
  "orders",
  "order.delivered",
  v.object({ ...of, reference, shipmentId: v.string(), complete: v.boolean() }),
);
/**
 * What was sent has come back: `lines` are physical, to be put back into stock or not; `amount` is to be refunded.
 * Also without lines, for what an order has paid and will not get.
 */
export const OrderReturnReceived = event(
  "orders",
  "order.return-received",
  v.object({
    ...of,
    returnId: v.string(),
    lines: v.array(v.object({ ...Piece.entries, restock: v.boolean() })),
    amount: Money,
  }),
);
/** All that was sent has come back. */
export const OrderReturned = event("orders", "order.returned", v.object({ ...of, reference }));

const six = {
  sku: "85123A",
  quantity: 6,
  unitPrice: { amount: 255, currency: "GBP" },
  kind: "physical" as const,
};
const total = { amount: 1530, currency: "GBP" };
const placed = { orderId: "o-1", customerId: "u_1", reference: "536365", total, country: "GB", lines: [six] };

const two = { sku: "85123A", quantity: 2 };
const four = { sku: "85123A", quantity: 4 };
const paid = { amount: 510, currency: "GBP" };
const ours = { orderId: "o-1", customerId: "u_1" };

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: OrderPlaced, example: placed },
  {
    type: OrderReserved,
    example: {
      ...ours,
      total,
      captureNow: { amount: 0, currency: "GBP" },
      payment: { method: "test", token: "tok_ok" },
    },
  },
  {
    type: OrderConfirmed,
    example: {
      ...placed,
      lines: [{ ...six, name: "White hanging heart T-light holder" }],
      shipment: { id: "o-1-1", lines: [{ sku: "85123A", quantity: 6 }], weight: 1200, method: "standard" },
    },
  },
  {
    type: OrderAborting,
    example: { orderId: "o-1", outcome: "rejected" as const, reason: "payment-declined" as const },
  },
  { type: OrderRejected, example: { orderId: "o-1", reason: "out-of-stock" as const } },
  { type: OrderCancelled, example: { orderId: "o-1" } },
  {
    type: OrderLinesCancelled,
    example: {
      ...ours,
      lines: [two],
      open: [four],
      remaining: { amount: 1020, currency: "GBP" },
      reason: "authorisation-expired" as const,
    },
  },
  {
    type: OrderShipmentAccepted,
    example: { ...ours, shipmentId: "o-1-1", amount: paid, final: false },
  },
  {
    type: OrderShipmentRefused,
    example: { ...ours, shipmentId: "o-1-1", reason: "not-open" as const, open: [four] },
  },
  {
    type: OrderShipped,
    example: {
      ...ours,
      reference: "536365",
      shipmentId: "o-1-1",
      lines: [{ ...two, name: "White hanging heart T-light holder" }],
      carrier: "Royal Mail",
      tracking: "RM123456785GB",
      complete: false,
    },
  },
  {
    type: OrderDelivered,
    example: { ...ours, reference: "536365", shipmentId: "o-1-1", complete: true },
  },
  {
    type: OrderReturnReceived,
    example: { ...ours, returnId: "o-1-r1", lines: [{ ...two, restock: true }], amount: paid },
  },
  { type: OrderReturned, example: { ...ours, reference: "536365" } },
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

/** `upToGrams` null: whatever it weighs; `country` `*`: anywhere else. */
const rate = {
  country: v.string(),
  method: v.string(),
  currency: v.string(),
  upToGrams: v.nullable(v.number()),
  version: v.number(),
};
export const RateSet = event("shipping", "rate.set", v.object({ ...rate, amount: v.number() }));
export const RateRemoved = event("shipping", "rate.removed", v.object(rate));

export const UserErased = event("identity", "user.erased", v.object({ userId: v.string() }));

const ofOrder = v.object({ orderId });
export const StockReserved = formerly(
  "inventory",
  event("inventory-reservations", "stock.reserved", ofOrder),
);
export const StockRefused = formerly("inventory", event("inventory-reservations", "stock.refused", ofOrder));
export const StockReleased = formerly(
  "inventory",
  event("inventory-reservations", "stock.released", ofOrder),
);
export const StockRestocked = event(
  "inventory",
  "stock.restocked",
  v.object({ orderId, returnId: v.string() }),
);

const ofShipment = { orderId, shipmentId: v.string() };
export const ShipmentDispatching = event(
  "shipping",
  "shipment.dispatching",
  v.object({
    ...ofShipment,
    lines: v.array(
      v.object({ sku: v.string(), quantity: v.pipe(v.number(), v.safeInteger(), v.minValue(1)) }),
    ),
    carrier: v.optional(v.string()),
    tracking: v.optional(v.string()),
  }),
);
export const ShipmentDelivered = event("shipping", "shipment.delivered", v.object(ofShipment));

export const PaymentDeclined = event(
  "payments",
  "payment.declined",
  v.object({ orderId, reason: v.picklist(["payment-declined", "timed-out"]) }),
);
export const PaymentAuthorised = event("payments-authorised", "payment.authorised", ofOrder);
export const PaymentExpired = event("payments", "payment.expired", ofOrder);
export const PaymentCaptureFailed = event(
  "payments",
  "payment.capture-failed",
  v.object({
    orderId,
    key: v.string(),
    reason: v.picklist(["authorisation-expired", "payment-declined", "partial-capture-unavailable"]),
  }),
);
/** `key`: the shipment that it was captured for; without it what was captured at once. */
export const PaymentCaptured = event(
  "payments",
  "payment.captured",
  v.object({ orderId, amount: v.optional(Money), key: v.optional(v.string()) }),
);
/** `key`: what was to be given back, as it was asked for. */
const givenBack = v.object({ orderId, held: Money, key: v.optional(v.string()) });
export const PaymentVoided = event("payments", "payment.voided", givenBack);
export const PaymentRefunded = event("payments", "payment.refunded", givenBack);

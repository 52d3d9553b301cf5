import { formerly } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's bodies and answers, and the fields that it reads from others. It publishes nothing. */

/** What a webhook may be told. */
const EventName = v.picklist([
  "order.confirmed",
  "order.rejected",
  "order.cancelled",
  "order.lines-cancelled",
  "order.shipped",
  "order.delivered",
  "order.return-received",
  "order.returned",
  "payment.captured",
  "payment.capture-failed",
  "payment.expired",
  "payment.declined",
  "payment.voided",
  "payment.refunded",
]);
export type EventName = v.InferOutput<typeof EventName>;
const Status = v.picklist(["enabled", "disabled"]);
const DeliveryStatus = v.picklist(["pending", "delivered", "failed"]);
const Url = v.pipe(
  v.string(),
  v.maxLength(2_000),
  v.regex(/^[^\p{Cc}\p{Cs}\s]+$/u, "no spaces, no control characters"),
  v.url(),
);
const Events = v.pipe(v.array(EventName), v.minLength(1), v.maxLength(EventName.options.length));

export const NewWebhook = v.strictObject({ url: Url, events: Events });
export const WebhookPatch = v.strictObject({
  url: v.optional(Url),
  events: v.optional(Events),
  status: v.optional(Status),
});

/** `secret` is shown when it is made, and never again. `secrets` counts those that sign now. */
export const WebhookView = v.object({
  id: v.string(),
  url: v.string(),
  events: v.array(EventName),
  status: Status,
  reason: v.nullable(v.string()),
  secrets: v.number(),
  secret: v.optional(v.string()),
  createdAt: v.string(),
});
export type WebhookView = v.InferOutput<typeof WebhookView>;
export const WebhookList = v.object({ items: v.array(WebhookView), nextCursor: v.nullable(v.string()) });

export const Listing = v.strictObject({ limit: v.optional(v.string()), cursor: v.optional(v.string()) });
export const DeliveryQuery = v.strictObject({ ...Listing.entries, status: v.optional(DeliveryStatus) });

export const DeliveryView = v.object({
  id: v.string(),
  event: v.object({ id: v.string(), type: EventName }),
  status: DeliveryStatus,
  attempts: v.array(
    v.object({
      at: v.string(),
      ms: v.number(),
      status: v.optional(v.number()),
      error: v.optional(v.string()),
    }),
  ),
  nextAttemptAt: v.nullable(v.string()),
  createdAt: v.string(),
});
export type DeliveryView = v.InferOutput<typeof DeliveryView>;
export const DeliveryList = v.object({ items: v.array(DeliveryView), nextCursor: v.nullable(v.string()) });

/** What the form of the page sends, or a mail program with one click (RFC 8058). */
export const Unsubscribing = v.object({
  "List-Unsubscribe": v.optional(v.literal("One-Click")),
  again: v.optional(v.literal("yes")),
});

export const publishes = [];

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

/** A JWE (RFC 7516, compact; dir, A256GCM) under the secret `mail`. */
const Sealed = v.string();

export const UserMailRequested = event(
  "identity",
  "user.mail-requested",
  v.object({
    userId: v.string(),
    template: v.picklist(["verify-email", "reset-password", "already-registered"]),
    language: v.string(),
    to: Sealed,
    name: Sealed,
    link: Sealed,
  }),
);
export const UserErased = event("identity", "user.erased", v.object({ userId: v.string() }));

const Money = v.object({ amount: v.number(), currency: v.string() });
const Lines = v.array(
  v.object({ sku: v.string(), name: v.optional(v.string()), quantity: v.number(), unitPrice: Money }),
);
const orderId = v.string();
const order = v.object({
  orderId,
  reference: v.nullable(v.string()),
  total: Money,
  country: v.string(),
  lines: Lines,
});
const reference = v.nullable(v.string());
const Reason = v.picklist(["out-of-stock", "payment-declined", "timed-out", "authorisation-expired"]);
const piece = { sku: v.string(), quantity: v.number() };
const Pieces = v.array(v.object(piece));

export const OrderConfirmed = formerly("orders", event("orders-confirmed", "order.confirmed", order));
export const OrderRejected = event("orders", "order.rejected", v.object({ orderId, reason: Reason }));
export const OrderCancelled = event(
  "orders",
  "order.cancelled",
  v.object({ orderId, reason: v.optional(Reason) }),
);
/** `open`: what is still to be sent. */
export const OrderLinesCancelled = event(
  "orders",
  "order.lines-cancelled",
  v.object({ orderId, lines: Pieces, open: Pieces, remaining: Money, reason: v.optional(Reason) }),
);
/** `complete`: nothing is left to be sent. */
export const OrderShipped = event(
  "orders",
  "order.shipped",
  v.object({
    orderId,
    reference,
    shipmentId: v.string(),
    lines: v.array(v.object({ ...piece, name: v.string() })),
    carrier: v.optional(v.string()),
    tracking: v.optional(v.string()),
    complete: v.boolean(),
  }),
);
export const OrderDelivered = event(
  "orders",
  "order.delivered",
  v.object({ orderId, reference, shipmentId: v.string(), complete: v.boolean() }),
);
export const OrderReturnReceived = event(
  "orders",
  "order.return-received",
  v.object({
    orderId,
    returnId: v.string(),
    lines: v.array(v.object({ ...piece, restock: v.boolean() })),
    amount: Money,
  }),
);
export const OrderReturned = event("orders", "order.returned", v.object({ orderId, reference }));

const moved = v.object({ orderId, amount: Money, held: Money });
/** `key`: the shipment or the return that it is for. */
const movedFor = v.object({ ...moved.entries, key: v.optional(v.string()) });
export const PaymentCaptured = event("payments", "payment.captured", movedFor);
export const PaymentCaptureFailed = event(
  "payments",
  "payment.capture-failed",
  v.object({ orderId, key: v.string(), reason: v.string() }),
);
export const PaymentExpired = event("payments", "payment.expired", moved);
export const PaymentDeclined = event(
  "payments",
  "payment.declined",
  v.object({ orderId, reason: v.picklist(["payment-declined", "timed-out"]) }),
);
export const PaymentVoided = event("payments", "payment.voided", moved);
export const PaymentRefunded = event("payments", "payment.refunded", movedFor);

/** What orders says of whom to write to. */
export const Contact = v.object({
  email: v.string(),
  name: v.string(),
  reference: v.nullable(v.string()),
  language: v.optional(v.string()),
});
export type Contact = v.InferOutput<typeof Contact>;

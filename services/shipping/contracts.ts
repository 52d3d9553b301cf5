import { line } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events and bodies, and the fields that it reads from others. */

const whole = v.pipe(v.number(), v.safeInteger());
const Money = v.strictObject({
  amount: v.pipe(whole, v.minValue(0)),
  currency: v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, "an ISO 4217 code such as GBP")),
});
const Quantities = v.array(v.object({ sku: v.string(), quantity: whole }));
const Status = v.picklist(["pending", "dispatching", "dispatched", "delivered", "cancelled"]);
const Grams = v.pipe(whole, v.minValue(1), v.maxValue(100_000_000));

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

export const Dispatch = v.strictObject({
  lines: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          sku: line(64),
          quantity: v.pipe(whole, v.minValue(1), v.maxValue(100_000_000)),
        }),
      ),
      v.minLength(1),
      v.maxLength(1_000),
    ),
  ),
  carrier: v.optional(line(64)),
  tracking: v.optional(line(100)),
});

export const ShipmentQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  order: v.optional(line(100)),
  status: v.optional(Status),
});

/** `weight` in grams, while everything that was ordered is in it. `reports`: what its carrier has told. */
export const ShipmentView = v.object({
  id: v.string(),
  orderId: v.string(),
  status: Status,
  lines: Quantities,
  method: v.optional(v.string()),
  weight: v.optional(v.number()),
  carrier: v.optional(v.string()),
  tracking: v.optional(v.string()),
  refused: v.optional(v.string()),
  history: v.array(v.object({ at: v.string(), status: Status, reason: v.optional(v.string()) })),
  reports: v.array(
    v.object({
      at: v.string(),
      type: v.picklist(["in-transit", "exception", "delivered"]),
      detail: v.optional(v.string()),
    }),
  ),
});
export type ShipmentView = v.InferOutput<typeof ShipmentView>;

export const ShipmentList = v.object({ items: v.array(ShipmentView), nextCursor: v.nullable(v.string()) });

/** Of a path: which rate. */
export const RateKey = v.object({
  country: v.pipe(
    v.string(),
    v.regex(/^(?:[A-Z]{2}|\*)$/, "an ISO 3166-1 alpha-2 code such as GB, or * for anywhere else"),
  ),
  method: v.pipe(
    v.string(),
    v.regex(/^(?=.{1,64}$)[a-z0-9]+(?:-[a-z0-9]+)*$/, "a kebab-case word of at most 64 characters"),
  ),
});

/** `upToGrams` null: whatever it weighs. */
const Price = v.strictObject({ upToGrams: v.nullable(Grams), price: Money });

export const NewRate = v.strictObject({
  name: line(200),
  prices: v.pipe(v.array(Price), v.minLength(1), v.maxLength(100)),
});

export const RateView = v.object({ ...RateKey.entries, name: v.string(), prices: v.array(Price) });

export const RateQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  country: v.optional(RateKey.entries.country),
  weight: v.optional(v.pipe(v.string(), v.regex(/^\d{1,9}$/, "grams, a whole number"))),
  currency: v.optional(Money.entries.currency),
});

export const OfferList = v.object({
  items: v.array(
    v.object({
      country: v.string(),
      method: v.string(),
      name: v.string(),
      upToGrams: v.nullable(v.number()),
      price: Money,
    }),
  ),
  nextCursor: v.nullable(v.string()),
});

/**
 * What a carrier sends, signed as Standard Webhooks says. Of `type` only delivered, in-transit and exception matter; what
 * else it says is taken and left alone.
 */
export const CarrierMessage = v.object({
  type: v.string(),
  data: v.optional(v.object({ tracking: v.optional(line(100)), detail: v.optional(v.string()) })),
});

export const Heard = v.object({ received: v.literal(true) });

/** The secret `carrier-webhooks`: by carrier, what it signs with; while one replaces another, both with a space between. */
export const CarrierSecrets = v.record(v.string(), v.string());

// ── Published on topic `shipping` ───────────────────────────────────────────────────────────────────────────

const ofShipment = { orderId: v.string(), shipmentId: v.string() };

/** It is to be handed over: orders says whether it may, once its money is there. */
export const ShipmentDispatching = event(
  "shipping",
  "shipment.dispatching",
  v.object({
    ...ofShipment,
    lines: Quantities,
    carrier: v.optional(v.string()),
    tracking: v.optional(v.string()),
  }),
);
export const ShipmentDelivered = event("shipping", "shipment.delivered", v.object(ofShipment));

/** What names a price; `version` is that of the rate of this country and method, and rises with every change of it. */
const ofPrice = {
  ...RateKey.entries,
  currency: v.string(),
  upToGrams: v.nullable(v.number()),
  version: v.number(),
};
export const RateSet = event(
  "shipping",
  "rate.set",
  v.object({ ...ofPrice, name: v.string(), amount: v.number() }),
);
export const RateRemoved = event("shipping", "rate.removed", v.object(ofPrice));

const lines = [{ sku: "85123A", quantity: 6 }];
const shipment = { orderId: "o-1", shipmentId: "o-1-1" };
const price = { country: "GB", method: "standard", currency: "GBP", upToGrams: 2_000 };

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  {
    type: ShipmentDispatching,
    example: { ...shipment, lines, carrier: "royal-mail", tracking: "AB123456789GB" },
  },
  { type: ShipmentDelivered, example: shipment },
  { type: RateSet, example: { ...price, name: "Standard, 3 to 5 days", amount: 395, version: 1 } },
  { type: RateRemoved, example: { ...price, version: 2 } },
];

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

/** An order has at most a thousand lines of 100,000 pieces: sums of more would not be whole numbers any more. */
const Pieces = v.array(
  v.object({ sku: v.string(), quantity: v.pipe(whole, v.minValue(1), v.maxValue(100_000_000)) }),
);
const of = { orderId: v.string(), customerId: v.optional(v.string()) };

export const OrderConfirmed = event(
  "orders-confirmed",
  "order.confirmed",
  v.object({
    ...of,
    /** Absent: there is nothing to ship, or a version before this service has confirmed it. */
    shipment: v.optional(
      v.object({
        id: v.string(),
        lines: Pieces,
        weight: v.optional(v.number()),
        method: v.optional(v.string()),
      }),
    ),
  }),
);
export const OrderAborting = event("orders", "order.aborting", v.object(of));
export const OrderLinesCancelled = event(
  "orders",
  "order.lines-cancelled",
  v.object({ ...of, lines: Pieces }),
);
export const OrderShipmentRefused = event(
  "orders",
  "order.shipment-refused",
  v.object({ ...of, shipmentId: v.string(), reason: v.string() }),
);
export const OrderShipped = event(
  "orders",
  "order.shipped",
  v.object({
    ...of,
    shipmentId: v.string(),
    lines: Pieces,
    carrier: v.optional(v.string()),
    tracking: v.optional(v.string()),
  }),
);

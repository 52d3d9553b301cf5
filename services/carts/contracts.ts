import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's bodies, of what it keeps, and the fields that it reads from others. */

const Money = v.object({ amount: v.pipe(v.number(), v.safeInteger()), currency: v.string() });
const sku = v.string();

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

const quantity = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(9_999));

/** Nothing has to be said to begin one. */
export const NewCart = v.strictObject({
  lines: v.optional(v.pipe(v.array(v.strictObject({ sku, quantity })), v.maxLength(1_000))),
});

export const NewQuantity = v.strictObject({ quantity });

export const Merge = v.strictObject({
  cartId: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/, "a cart's id")),
});

/**
 * `availability`: `low` with the number that is left, `unavailable` when it is for sale no more, or has become so dear
 * that no order could count it. `priceWas` is the price when it was put in, where that has changed. `total` counts what
 * is available; null where nothing is, or where it cannot be said as one exact amount.
 */
export const CartView = v.object({
  id: v.string(),
  status: v.picklist(["open", "ordered"]),
  orderId: v.optional(v.string()),
  lines: v.array(
    v.object({
      sku,
      name: v.string(),
      quantity: v.number(),
      unitPrice: Money,
      priceWas: v.optional(Money),
      total: Money,
      availability: v.picklist(["in-stock", "low", "sold-out", "unavailable"]),
      available: v.optional(v.number()),
    }),
  ),
  total: v.nullable(Money),
  changedAt: v.string(),
});
export type CartView = v.InferOutput<typeof CartView>;

/** What an order takes over. */
export const Checkout = v.object({
  orderId: v.string(),
  lines: v.array(v.object({ sku, quantity: v.number() })),
});
/** What a quote is about. */
export const CartLines = v.object({ lines: Checkout.entries.lines });
export const CartOwner = v.strictObject({ owner: v.optional(v.string()) });
export const CheckoutRequest = v.strictObject({ orderId: v.string(), owner: v.optional(v.string()) });
export const Ordered = v.strictObject({ orderId: v.string() });

/** Nothing is published: a cart is nobody's business until it is an order. */
export const publishes = [];

// ── Kept in the state store ─────────────────────────────────────────────────────────────────────────────────

export const StoredCart = v.object({
  id: v.string(),
  version: v.number(),
  owner: v.optional(v.string()),
  lines: v.array(v.object({ sku, quantity: v.number(), seen: Money })),
  merged: v.array(v.string()),
  orderId: v.optional(v.string()),
  ordered: v.boolean(),
  changedAt: v.number(),
});

/** Which cart is a user's; since when this says so (ms), so that it is said anew long before it expires. */
export const StoredOwner = v.object({ cartId: v.string(), at: v.optional(v.number()) });

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

const product = v.object({
  sku,
  name: v.string(),
  price: Money,
  kind: v.picklist(["physical", "service"]),
  version: v.number(),
});
export const ProductCreated = event("catalog", "product.created", product);
export const ProductUpdated = event("catalog", "product.updated", product);
export const ProductDeleted = event("catalog", "product.deleted", v.object({ sku, version: v.number() }));
export const StockAvailability = event(
  "inventory",
  "stock.availability",
  v.object({ sku, available: v.number(), plenty: v.boolean(), version: v.number() }),
);

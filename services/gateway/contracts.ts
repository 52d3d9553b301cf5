import { event } from "hono-dapr";
import * as v from "valibot";

/** What the gateway reads of others' events: only what names the answers that no longer hold. */

const product = v.object({ sku: v.string() });
export const ProductCreated = event("catalog", "product.created", product);
export const ProductUpdated = event("catalog", "product.updated", product);
export const ProductDeleted = event("catalog", "product.deleted", product);

const ofOrder = v.object({ lines: v.array(v.object({ sku: v.string() })) });
export const StockReserved = event("inventory", "stock.reserved", ofOrder);
export const StockReleased = event("inventory", "stock.released", ofOrder);
export const StockAdjusted = event("inventory", "stock.adjusted", v.object({ sku: v.string() }));

/** Which dead letters are to be replayed: all, or those of a service, a topic, a type, or from before a time. */
export const DeadLetterReplay = v.strictObject({
  service: v.optional(v.string()),
  topic: v.optional(v.string()),
  type: v.optional(v.string()),
  before: v.optional(v.string()),
});

/** Nothing is published. */
export const publishes = [];

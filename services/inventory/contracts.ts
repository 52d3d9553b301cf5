import { formerly } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events and bodies, and the fields that it reads from others. */

const orderId = v.string();
const sku = v.string();
const whole = v.pipe(v.number(), v.safeInteger());
const Quantities = v.array(v.object({ sku, quantity: whole }));
const Kind = v.picklist(["physical", "service"]);

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

export const NewLevel = v.strictObject({
  onHand: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(1_000_000_000)),
});

export const StockQuery = v.strictObject({ limit: v.optional(v.string()), cursor: v.optional(v.string()) });

/** What everybody may know. */
export const PublicStock = v.object({ sku, available: whole });
/** What staff sees. */
export const StaffStock = v.object({ sku, onHand: whole, reserved: whole, available: whole });
export const Stock = v.union([StaffStock, PublicStock]);
export const StockList = v.object({ items: v.array(StaffStock), nextCursor: v.nullable(v.string()) });

export type PublicStock = v.InferOutput<typeof PublicStock>;
export type StaffStock = v.InferOutput<typeof StaffStock>;

// ── Published on topic `inventory` ──────────────────────────────────────────────────────────────────────────

export const StockReserved = event(
  "inventory-reservations",
  "stock.reserved",
  v.object({ orderId, lines: Quantities }),
);
export const StockRefused = event(
  "inventory-reservations",
  "stock.refused",
  v.object({ orderId, reason: v.literal("out-of-stock"), skus: v.array(sku) }),
);
/** Without lines when the order held nothing: then it never will. */
export const StockReleased = event(
  "inventory-reservations",
  "stock.released",
  v.object({ orderId, lines: Quantities }),
);
/** The answer to a return: what of it is on the shelf again. Without lines when nothing is, or it was said before. */
export const StockRestocked = event(
  "inventory",
  "stock.restocked",
  v.object({ orderId, returnId: v.string(), lines: Quantities }),
);
/**
 * `counted` is there when an import counted less than is reserved; `onHand` is then what is reserved. `sold`, `restocked`
 * and `writtenOff`: the pieces that had by then left with orders, come back on the shelf, and come back for nothing.
 */
export const StockAdjusted = event(
  "inventory",
  "stock.adjusted",
  v.object({
    sku,
    onHand: whole,
    reserved: whole,
    available: whole,
    version: whole,
    counted: v.optional(whole),
    sold: v.optional(whole),
    restocked: v.optional(whole),
    writtenOff: v.optional(whole),
  }),
);

/** While ten or fewer are left, how many; `plenty` once there are more again. Of the rest nobody hears. */
export const StockAvailability = event(
  "inventory",
  "stock.availability",
  v.object({ sku, available: whole, plenty: v.boolean(), version: whole }),
);

const lines = [{ sku: "85123A", quantity: 6 }];

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: StockReserved, example: { orderId: "o-1", lines } },
  { type: StockRefused, example: { orderId: "o-1", reason: "out-of-stock" as const, skus: ["85123A"] } },
  { type: StockReleased, example: { orderId: "o-1", lines } },
  { type: StockRestocked, example: { orderId: "o-1", returnId: "r-1", lines } },
  {
    type: StockAdjusted,
    example: {
      sku: "85123A",
      onHand: 100,
      reserved: 6,
      available: 94,
      version: 3,
      sold: 12,
      restocked: 2,
      writtenOff: 1,
    },
  },
  { type: StockAvailability, example: { sku: "85123A", available: 3, plenty: false, version: 4 } },
];

// ── Read from others: only the fields that matter here ──────────────────────────────────────────────────────

const product = v.object({ sku, kind: Kind });
export const ProductCreated = event("catalog", "product.created", product);
export const ProductUpdated = event("catalog", "product.updated", product);
export const ProductStocked = event("catalog", "product.stocked", v.object({ sku, onHand: whole }));

/** An order has at most a thousand lines of 100,000 pieces: sums of more would not be whole numbers any more. */
const pieces = { sku, quantity: v.pipe(whole, v.minValue(1), v.maxValue(100_000_000)) };
const wanted = { orderId, lines: v.array(v.object({ ...pieces, kind: Kind })) };
export const OrderPlaced = formerly("orders", event("orders-placed", "order.placed", v.object(wanted)));
export const OrderAborting = event("orders", "order.aborting", v.object({ orderId }));
export const OrderLinesCancelled = event(
  "orders",
  "order.lines-cancelled",
  v.object({ orderId, lines: v.array(v.object(pieces)) }),
);
export const OrderShipped = event(
  "orders",
  "order.shipped",
  v.object({ orderId, shipmentId: v.string(), lines: v.array(v.object(pieces)) }),
);
export const OrderReturnReceived = event(
  "orders",
  "order.return-received",
  v.object({
    orderId,
    returnId: v.string(),
    lines: v.array(v.object({ ...pieces, restock: v.boolean() })),
  }),
);

/** An order that waits for a count, as the job keeps it. */
export const Deferred = v.object({ ...wanted, until: whole });

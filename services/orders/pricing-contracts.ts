import { line } from "chassis";
import * as v from "valibot";
import { Country, Email, Money, OrderView, ordering, Promotions, Sku } from "./contracts.ts";

/** The schemas of what orders are priced by, and of quotes. */

const time = v.pipe(v.string(), v.isoTimestamp());
const basisPoints = v.pipe(v.number(), v.safeInteger(), v.maxValue(10_000));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(1_000_000_000));

// ── Promotions ──────────────────────────────────────────────────────────────────────────────────────────────

export const Code = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, "1 to 40 letters, digits, - and _"),
);

const on = v.strictObject({
  skus: v.optional(v.pipe(v.array(Sku), v.minLength(1), v.maxLength(1_000))),
  category: v.optional(line(100)),
  minimum: v.optional(Money),
});

const promotion = {
  name: line(200),
  code: v.optional(Code),
  on: v.optional(on, {}),
  from: v.optional(time),
  until: v.optional(time),
  limit: v.optional(count),
  limitPerCustomer: v.optional(count),
  active: v.optional(v.boolean(), true),
};

export const NewPromotion = v.variant("kind", [
  v.strictObject({
    kind: v.literal("percentage"),
    basisPoints: v.pipe(basisPoints, v.minValue(1)),
    ...promotion,
  }),
  v.strictObject({
    kind: v.literal("amount"),
    amount: v.strictObject({ ...Money.entries, amount: v.pipe(Money.entries.amount, v.minValue(1)) }),
    ...promotion,
  }),
]);
export type NewPromotion = v.InferOutput<typeof NewPromotion>;

export const PromotionView = v.object({
  id: v.string(),
  kind: v.picklist(["percentage", "amount"]),
  basisPoints: v.optional(v.number()),
  amount: v.optional(Money),
  name: v.string(),
  code: v.optional(v.string()),
  on: v.object({
    skus: v.optional(v.array(v.string())),
    category: v.optional(v.string()),
    minimum: v.optional(Money),
  }),
  from: v.optional(v.string()),
  until: v.optional(v.string()),
  limit: v.optional(v.number()),
  limitPerCustomer: v.optional(v.number()),
  active: v.boolean(),
});
export type PromotionView = v.InferOutput<typeof PromotionView>;

/** `used`: orders that use it and are neither rejected nor cancelled. */
export const PromotionList = v.object({
  items: v.array(v.object({ ...PromotionView.entries, used: v.number() })),
  nextCursor: v.nullable(v.string()),
});

export const PromotionQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  code: v.optional(Code),
});

export const TaxRateQuery = v.strictObject({ limit: v.optional(v.string()), cursor: v.optional(v.string()) });

// ── Tax rates ───────────────────────────────────────────────────────────────────────────────────────────────

/** As in the catalog. */
const TaxClass = v.pipe(
  v.string(),
  v.regex(/^(?=.{1,40}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, "lower-case words with - between, such as reduced"),
);

/** What a tax rate is named by, in the path. */
export const TaxKey = v.strictObject({ country: Country, class: TaxClass });

export const NewTaxRate = v.strictObject({
  basisPoints: v.pipe(basisPoints, v.minValue(0)),
  included: v.boolean(),
});

export const TaxRateView = v.object({
  country: v.string(),
  class: v.string(),
  basisPoints: v.number(),
  included: v.boolean(),
});

export const TaxRateList = v.object({ items: v.array(TaxRateView), nextCursor: v.nullable(v.string()) });

// ── Quotes ──────────────────────────────────────────────────────────────────────────────────────────────────

/** `email`: for promotions that a customer may use so often. Who is signed in does not have to say it. */
export const QuoteRequest = v.strictObject({ ...ordering, country: Country, email: v.optional(Email) });

export const QuoteView = v.object({
  lines: v.array(v.required(OrderView.entries.lines.item, ["discount", "tax"])),
  subtotal: Money,
  discount: Money,
  tax: Money,
  shipping: Money,
  total: Money,
  promotions: Promotions,
});
export type QuoteView = v.InferOutput<typeof QuoteView>;

import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events and bodies. */

export const Money = v.strictObject({
  amount: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  currency: v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, "an ISO 4217 code such as GBP")),
});

// Printable characters, spaces only inside; no lone surrogates, which no encoding carries.
export const Sku = v.pipe(
  v.string(),
  v.regex(
    /^(?!\s)[ -~\u00a0-\ud7ff\ue000-\uffff]{1,64}(?<!\s)$/,
    "1 to 64 printable characters, spaces only inside",
  ),
  v.regex(/^(?!\.{1,2}$)/, "no URL can end in . or .."),
);

// No control characters, and surrogates in pairs only.
const oneLine = /^(?:[ -~\u00a0-\ud7ff\ue000-\uffff]|[\ud800-\udbff][\udc00-\udfff])*$/;
const manyLines = /^(?:[\t\n\r -~\u00a0-\ud7ff\ue000-\uffff]|[\ud800-\udbff][\udc00-\udfff])*$/;

const text = (max: number, allowed = oneLine) =>
  v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(max), v.regex(allowed, "no control characters"));

const Name = text(200);
const Description = text(5_000, manyLines);
const Category = text(100);
const Kind = v.picklist(["physical", "service"]);
const Images = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.maxLength(2_048),
      v.regex(/^https:\/\/[!-~]+$/, "an https URL, percent-encoded where it has to be"),
      v.url("an https URL, percent-encoded where it has to be"),
    ),
  ),
  v.maxLength(20),
);

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

const description = {
  name: Name,
  description: v.optional(Description),
  category: v.optional(Category),
  price: Money,
  kind: Kind,
  images: v.optional(Images, []),
};

export const NewProduct = v.strictObject({ sku: Sku, ...description });

/** The SKU is in the path; in the body it may stand again. */
export const Replacement = v.strictObject({ sku: v.optional(Sku), ...description });

/** RFC 7396: `null` removes, what is left out stays. */
export const ProductPatch = v.strictObject({
  sku: v.optional(Sku),
  name: v.optional(v.nullable(Name)),
  description: v.optional(v.nullable(Description)),
  category: v.optional(v.nullable(Category)),
  price: v.optional(
    v.nullable(
      v.strictObject({
        amount: v.optional(v.nullable(Money.entries.amount)),
        currency: v.optional(v.nullable(Money.entries.currency)),
      }),
    ),
  ),
  kind: v.optional(v.nullable(Kind)),
  images: v.optional(v.nullable(Images)),
});

/** One line of an import; `onHand` is how many pieces were counted. */
export const ImportLine = v.strictObject({
  ...NewProduct.entries,
  onHand: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
});

export const ProductQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  search: v.optional(v.pipe(v.string(), v.maxLength(200))),
  category: v.optional(v.pipe(v.string(), v.maxLength(100))),
});

export const CategoryQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
});

export const ProductView = v.object({
  sku: v.string(),
  name: v.string(),
  description: v.optional(v.string()),
  category: v.optional(v.string()),
  price: Money,
  kind: Kind,
  images: v.array(v.string()),
});

export const ProductList = v.object({ items: v.array(ProductView), nextCursor: v.nullable(v.string()) });

export const CategoryList = v.object({
  items: v.array(v.object({ category: v.string(), products: v.number() })),
  nextCursor: v.nullable(v.string()),
});

/** `rejected` names the first 10,000; `rejectedCount` counts all. */
export const ImportReport = v.object({
  accepted: v.number(),
  rejected: v.array(v.object({ line: v.number(), detail: v.string() })),
  rejectedCount: v.number(),
});

// ── Published on topic `catalog` ────────────────────────────────────────────────────────────────────────────

const snapshot = v.object({ ...ProductView.entries, version: v.number() });

export const ProductCreated = event("catalog", "product.created", snapshot);
export const ProductUpdated = event("catalog", "product.updated", snapshot);
export const ProductDeleted = event(
  "catalog",
  "product.deleted",
  v.object({ sku: v.string(), version: v.number() }),
);
export const ProductStocked = event(
  "catalog",
  "product.stocked",
  v.object({ sku: v.string(), onHand: v.number() }),
);

const example = {
  sku: "85123A",
  name: "White hanging heart T-light holder",
  description: "Holds one tea light.",
  category: "Candles",
  price: { amount: 255, currency: "GBP" },
  kind: "physical" as const,
  images: ["https://images.example/85123A.jpg"],
  version: 1,
};

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: ProductCreated, example },
  { type: ProductUpdated, example: { ...example, price: { amount: 295, currency: "GBP" }, version: 2 } },
  { type: ProductDeleted, example: { sku: example.sku, version: 3 } },
  { type: ProductStocked, example: { sku: example.sku, onHand: 120 } },
];

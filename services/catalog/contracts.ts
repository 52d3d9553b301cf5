import { line, lines } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events and bodies. */

export const Money = v.strictObject({
  amount: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  currency: v.pipe(v.string(), v.regex(/^[A-Z]{3}$/, "an ISO 4217 code such as GBP")),
});

// Printable: no control character, no half of a surrogate pair, nothing that breaks a line or turns the reading
// direction. Spaces only inside; no URL can end in . or ..
export const Sku = v.pipe(
  v.string(),
  v.regex(
    /^(?!\s|\.{1,2}$)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_C}]{1,64}(?<!\s)$/u,
    "1 to 64 printable characters, spaces only inside, and not . or ..",
  ),
);

const Name = line(200);
const Description = lines(5_000);
const Category = line(100);
const Kind = v.picklist(["physical", "service"]);
/** Grams a piece. */
const Weight = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(10_000_000));
const TaxClass = v.pipe(
  v.string(),
  v.regex(/^(?=.{1,40}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, "lower-case words with - between, such as reduced"),
);
const Images = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.maxLength(2_048),
      // RFC 3986: what may stand as it is, or as % and two digits; `new URL` lets more pass.
      v.regex(
        /^https:\/\/(?:[\w\-.~:/?@!$&'()*+,;=]|%[\da-fA-F]{2})+(?:#(?:[\w\-.~:/?@!$&'()*+,;=]|%[\da-fA-F]{2})*)?$/,
        "an https URL, percent-encoded where it has to be",
      ),
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
  weight: v.optional(Weight),
  /** Left out: `standard`. */
  taxClass: v.optional(TaxClass),
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
  weight: v.optional(v.nullable(Weight)),
  taxClass: v.optional(v.nullable(TaxClass)),
});

/** One line of an import; `onHand` is how many pieces were counted. */
export const ImportLine = v.strictObject({
  ...NewProduct.entries,
  onHand: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
});

export const ProductQuery = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  search: v.optional(v.pipe(v.string(), v.regex(/^[\s\S]{0,200}$/u, "at most 200 characters"))),
  category: v.optional(Category),
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
  weight: v.optional(v.number()),
  taxClass: v.optional(v.string()),
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
  weight: 120,
  taxClass: "reduced",
  version: 1,
};

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: ProductCreated, example },
  { type: ProductUpdated, example: { ...example, price: { amount: 295, currency: "GBP" }, version: 2 } },
  { type: ProductDeleted, example: { sku: example.sku, version: 3 } },
  { type: ProductStocked, example: { sku: example.sku, onHand: 120 } },
];

import { defineStore, emit, type StoreOf } from "chassis";
import { inArray } from "drizzle-orm";
import { type Change, type Dialect, insert, type NewEvent, remove, update, type Write } from "drizzle-outbox";
import { ProductCreated, ProductDeleted, ProductStocked, ProductUpdated } from "./contracts.ts";
import { type Entry, evolve, type Money, type Product, type ProductEvent } from "./product.ts";
import { reads } from "./queries.ts";
import { wordsOf } from "./words.ts";

/** An entry after what was decided, and what has to be committed for it. */
export interface Decided {
  entry: Entry;
  change: Change;
}

const build = (t: Dialect) => ({
  products: t.table(
    "products",
    {
      sku: t.text("sku").primaryKey(),
      version: t.integer("version").notNull(),
      /** Nothing but its version is kept of a deleted product. */
      deleted: t.boolean("deleted").notNull(),
      name: t.text("name"),
      description: t.text("description"),
      category: t.text("category"),
      price: t.json<Money>("price"),
      kind: t.text("kind").$type<Product["kind"]>(),
      images: t.json<string[]>("images"),
      weight: t.integer("weight"),
      taxClass: t.text("tax_class"),
    },
    (products) => [t.index("products_by_category").on(products.category, products.sku)],
  ),
  /** Which word finds which product: see words.ts. */
  words: t.table(
    "product_words",
    { word: t.text("word").notNull(), sku: t.text("sku").notNull(), weight: t.integer("weight").notNull() },
    (words) => [
      t.primaryKey({ columns: [words.word, words.sku, words.weight] }),
      t.index("product_words_by_sku").on(words.sku),
    ],
  ),
});

export type CatalogTables = ReturnType<typeof build>;
export type ProductRow = CatalogTables["products"]["$inferSelect"];

export const store = defineStore(build, (db, t) => ({
  ...reads(db, t),

  async load(sku: string): Promise<Entry | undefined> {
    const row = await db.find(t.products, { sku });
    return row && entryOf(row);
  },

  async loadAll(skus: string[]): Promise<Map<string, Entry>> {
    const rows =
      skus.length === 0 ? [] : await db.select().from(t.products).where(inArray(t.products.sku, skus));
    return new Map(rows.map((row) => [row.sku, entryOf(row)]));
  },

  /** The rows and events that come of what was decided about one product. */
  change(before: Entry | undefined, decided: ProductEvent[]): Decided {
    let entry = before;
    const events: NewEvent[] = [];
    for (const event of decided) {
      entry = evolve(entry, event);
      events.push(published(entry, event));
    }
    if (entry === undefined) throw new Error("nothing was decided about a product that is not there");
    return { entry, change: { writes: writes(t, before, entry), events } };
  },
}));

function writes(t: CatalogTables, before: Entry | undefined, after: Entry): Write[] {
  const { sku, version } = after;
  if (version === before?.version) return [];
  const row = {
    ...(after.status === "listed" ? facts(after.product) : nothing),
    version,
    deleted: after.status === "deleted",
  };
  const product = before
    ? update(t.products, row, { sku, version: before.version }, { rows: 1 })
    : insert(t.products, { sku, ...row });
  return [product, ...wordsWrites(t, before, after)];
}

function wordsWrites(t: CatalogTables, before: Entry | undefined, after: Entry): Write[] {
  const old = before?.status === "listed" ? wordsOf(before.product) : new Map<string, number>();
  const current = after.status === "listed" ? wordsOf(after.product) : new Map<string, number>();
  if (old.size === current.size && [...current].every(([word, weight]) => old.get(word) === weight))
    return [];
  const rows = Array.from(current, ([word, weight]) => ({ word, weight, sku: after.sku }));
  return [
    ...(before?.status === "listed" ? [remove(t.words, { sku: after.sku })] : []),
    insert(t.words, rows),
  ];
}

const facts = ({ name, description, category, price, kind, images, weight, taxClass }: Product) => ({
  name,
  description: description ?? null,
  category: category ?? null,
  price,
  kind,
  images,
  weight: weight ?? null,
  taxClass: taxClass ?? null,
});

const nothing = {
  name: null,
  description: null,
  category: null,
  price: null,
  kind: null,
  images: null,
  weight: null,
  taxClass: null,
};

function entryOf(row: ProductRow): Entry {
  const { sku, version } = row;
  return row.deleted
    ? { status: "deleted", sku, version }
    : { status: "listed", sku, version, product: productOf(row) };
}

/** The product of a row that is not deleted. */
export function productOf({
  sku,
  name,
  description,
  category,
  price,
  kind,
  images,
  weight,
  taxClass,
}: ProductRow): Product {
  if (name === null || price === null || kind === null) throw new Error(`the row of ${sku} holds no product`);
  return {
    sku,
    name,
    ...(description === null ? {} : { description }),
    ...(category === null ? {} : { category }),
    price,
    kind,
    images: images ?? [],
    ...(weight === null ? {} : { weight }),
    ...(taxClass === null ? {} : { taxClass }),
  };
}

/** What the others are told of an event. */
function published({ sku, version }: Entry, event: ProductEvent): NewEvent {
  switch (event.type) {
    case "created":
      return emit(ProductCreated, sku, { ...event.product, version });
    case "updated":
      return emit(ProductUpdated, sku, { ...event.product, version });
    case "deleted":
      return emit(ProductDeleted, sku, { sku, version });
    case "stocked":
      return emit(ProductStocked, sku, { sku, onHand: event.onHand });
    default:
      return event satisfies never;
  }
}

export const { tables } = store;
export type Store = StoreOf<typeof store>;

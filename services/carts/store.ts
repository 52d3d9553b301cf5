import { defineStore, type StoreOf } from "chassis";
import { inArray, sql } from "drizzle-orm";
import { upsert, type Write } from "drizzle-outbox";
import type { Money } from "./cart.ts";

/** What we know of a product from the others' events. */
export interface Shown {
  sku: string;
  name: string;
  price: Money;
  kind: "physical" | "service";
  /** How few are left; null: plenty, or nobody has said. */
  few: number | null;
}

interface Product extends Omit<Shown, "few"> {
  version: number;
}

/** Our copies of what others own. The carts themselves lie in the state store: see carts.ts. */
export const store = defineStore(
  (t) => ({
    products: t.table("products", {
      sku: t.text("sku").primaryKey(),
      name: t.text("name").notNull(),
      amount: t.integer("amount").notNull(),
      currency: t.text("currency").notNull(),
      kind: t.text("kind").$type<"physical" | "service">().notNull(),
      version: t.integer("version").notNull(),
      deleted: t.boolean("deleted").notNull(),
    }),
    scarce: t.table("scarce", {
      sku: t.text("sku").primaryKey(),
      /** Null: plenty again. */
      few: t.integer("few"),
      version: t.integer("version").notNull(),
    }),
  }),
  (db, t) => ({
    /** Those that are for sale, by SKU. */
    async products(skus: string[]): Promise<Map<string, Shown>> {
      if (skus.length === 0) return new Map();
      const [products, scarce] = await Promise.all([
        db.select().from(t.products).where(inArray(t.products.sku, skus)),
        db.select().from(t.scarce).where(inArray(t.scarce.sku, skus)),
      ]);
      const few = new Map(scarce.map((row) => [row.sku, row.few]));
      return new Map(
        products
          .filter(({ deleted }) => !deleted)
          .map(({ sku, name, amount, currency, kind }) => [
            sku,
            { sku, name, price: { amount, currency }, kind, few: few.get(sku) ?? null },
          ]),
      );
    },

    /** Takes over the catalog's word on a product, unless ours is as new. */
    product({ sku, name, price: { amount, currency }, kind, version }: Product): Write {
      const row = { sku, name, amount, currency, kind, version, deleted: false };
      return upsert(t.products, row, { on: ["sku"], where: sql`${t.products.version} < ${version}` });
    },

    productGone(sku: string, version: number): Write {
      const row = {
        sku,
        name: "",
        amount: 0,
        currency: "",
        kind: "service" as const,
        version,
        deleted: true,
      };
      return upsert(t.products, row, { on: ["sku"], where: sql`${t.products.version} < ${version}` });
    },

    left(sku: string, few: number | null, version: number): Write {
      const row = { sku, few, version };
      return upsert(t.scarce, row, { on: ["sku"], where: sql`${t.scarce.version} <= ${version}` });
    },
  }),
);

export const { tables } = store;

export type Store = StoreOf<typeof store>;

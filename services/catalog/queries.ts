import { and, asc, count, eq, gt, inArray, isNotNull, type SQL, sql } from "drizzle-orm";
import type { Db } from "drizzle-outbox";
import type { Product } from "./product.ts";
import { type CatalogTables, productOf } from "./store.ts";
import { searched } from "./words.ts";

/** A place in a list: by rank, the best first, then by SKU. Without a search every rank is 0. */
export interface Place {
  rank: number;
  sku: string;
}

export interface Wanted {
  search?: string;
  category?: string;
  after?: Place;
  limit: number;
}

export type Found = Place & { product: Product };

/** What readers ask of the catalog. */
export const reads = (db: Db, t: CatalogTables) => ({
  async products({ search = "", category, after, limit }: Wanted): Promise<Found[]> {
    if (search.trim() !== "")
      return withProducts(db, t, await ranked(db, t, searched(search), { category, after, limit }));
    const wanted: (SQL | undefined)[] = [
      eq(t.products.deleted, false),
      category === undefined ? undefined : eq(t.products.category, category),
      after === undefined ? undefined : gt(t.products.sku, after.sku),
    ];
    const rows = await db
      .select()
      .from(t.products)
      .where(and(...wanted))
      .orderBy(asc(t.products.sku))
      .limit(limit);
    return rows.map((row) => ({ rank: 0, sku: row.sku, product: productOf(row) }));
  },

  /** The categories in use, in their order, each with the number of its products. */
  async categories({
    after,
    limit,
  }: {
    after?: string;
    limit: number;
  }): Promise<{ category: string; products: number }[]> {
    const rows = await db
      .select({ category: t.products.category, products: count() })
      .from(t.products)
      .where(
        and(isNotNull(t.products.category), after === undefined ? undefined : gt(t.products.category, after)),
      )
      .groupBy(t.products.category)
      .orderBy(asc(t.products.category))
      .limit(limit);
    return rows.map(({ category, products }) => ({ category: category ?? "", products }));
  },
});

/**
 * The products that have, for each word asked for, one that begins with it. A word counts by the best place it stands
 * in (SKU, name, category, description), and a whole word more than the beginning of one.
 */
async function ranked(
  db: Db,
  t: CatalogTables,
  asked: string[],
  { category, after, limit }: Omit<Wanted, "search">,
): Promise<Place[]> {
  if (asked.length === 0) return [];
  const { word, sku, weight } = t.words;
  const matches = asked.map(
    (
      begin,
    ) => sql`select ${sku} as sku, min(${weight} * 2 + case when ${word} = ${begin} then 0 else 1 end) as rank
      from ${t.words} where ${word} >= ${begin} and ${word} < ${begin + last} group by ${sku}`,
  );
  const inCategory = category === undefined ? sql`` : sql` and p.category = ${category}`;
  const afterwards =
    after === undefined
      ? sql``
      : sql` and (r.rank > ${after.rank} or (r.rank = ${after.rank} and r.sku > ${after.sku}))`;
  return db.query<Place & Record<string, unknown>>(sql`
    select r.sku as sku, r.rank as rank from (
      select m.sku as sku, cast(sum(m.rank) as integer) as rank from (${sql.join(matches, sql` union all `)}) m
      group by m.sku having count(*) = ${asked.length}
    ) r join ${t.products} p on p.sku = r.sku where true${inCategory}${afterwards}
    order by r.rank, r.sku limit ${limit}`);
}

/** Comes after every other character, in the order of bytes that both databases keep words in. */
const last = "\u{10ffff}";

async function withProducts(db: Db, t: CatalogTables, places: Place[]): Promise<Found[]> {
  if (places.length === 0) return [];
  const rows = await db
    .select()
    .from(t.products)
    .where(
      inArray(
        t.products.sku,
        places.map(({ sku }) => sku),
      ),
    );
  const bySku = new Map(rows.filter((row) => !row.deleted).map((row) => [row.sku, productOf(row)]));
  return places.flatMap(({ rank, sku }) => {
    const product = bySku.get(sku);
    return product ? [{ rank, sku, product }] : [];
  });
}

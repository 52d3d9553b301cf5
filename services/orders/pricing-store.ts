import type { Place } from "chassis";
import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lt, or, type SQL, sql } from "drizzle-orm";
import {
  type Change,
  type Db,
  type Dialect,
  insert,
  remove,
  update,
  upsert,
  type Write,
} from "drizzle-outbox";
import type { AskedLine, Order } from "./order.ts";
import { folded, obstacle, type Promotion, type Uses } from "./promotion.ts";
import { goodsOf, type Offer, type PriceParts } from "./quote.ts";
import type { ShippingRate } from "./shipping-rate.ts";
import type { TaxRate } from "./tax.ts";

/** What orders are priced by: promotions and who has used them, tax rates, and our copy of shipping's rates. */
export const pricingTables = (t: Dialect) => ({
  promotions: t.table(
    "promotions",
    {
      id: t.text("id").primaryKey(),
      version: t.integer("version").notNull(),
      createdAt: t.integer("created_at").notNull(),
      /** As codes are compared. */
      code: t.text("code"),
      active: t.boolean("active").notNull(),
      until: t.integer("until"),
      limit: t.integer("most"),
      limitPerCustomer: t.integer("most_each"),
      promotion: t.json<Promotion>("promotion").notNull(),
    },
    (promotions) => [
      t.uniqueIndex("promotions_by_code").on(promotions.code),
      t.index("promotions_by_time").on(promotions.createdAt, promotions.id),
    ],
  ),
  /** How many orders use a promotion: of each customer, and under `everybody` of all. */
  promotionUses: t.table(
    "promotion_uses",
    {
      promotion: t.text("promotion").notNull(),
      customer: t.text("customer").notNull(),
      used: t.integer("used").notNull(),
    },
    (uses) => [t.primaryKey({ columns: [uses.promotion, uses.customer] })],
  ),
  taxRates: t.table(
    "tax_rates",
    {
      country: t.text("country").notNull(),
      class: t.text("class").notNull(),
      version: t.integer("version").notNull(),
      basisPoints: t.integer("basis_points").notNull(),
      included: t.boolean("included").notNull(),
      deleted: t.boolean("deleted").notNull(),
    },
    (rates) => [t.primaryKey({ columns: [rates.country, rates.class] })],
  ),
  shippingRates: t.table("shipping_rates", {
    id: t.text("id").primaryKey(),
    version: t.integer("version").notNull(),
    /** Null: it was removed. */
    rate: t.json<ShippingRate>("rate"),
  }),
  /** One row, which counts the changes of all of these: who has read them sees by it that nothing is new. */
  priceBook: t.table("price_book", {
    id: t.text("id").primaryKey(),
    version: t.integer("version").notNull(),
  }),
});

type PricingTables = ReturnType<typeof pricingTables>;

/** All that orders are priced by now; in memory. */
interface PriceBook {
  /** Those that are switched on and not over: for everybody, and by their codes. */
  automatic: Promotion[];
  byCode: ReadonlyMap<string, Promotion>;
  /** By country and class. */
  taxes: ReadonlyMap<string, ReadonlyMap<string, TaxRate>>;
  shippingRates: ShippingRate[];
}

/** A promotion with what else there is about it. */
export interface KeptPromotion {
  promotion: Promotion;
  version: number;
  /** Milliseconds since the epoch. */
  createdAt: number;
}

/** A tax rate that was taken away leaves its version behind. */
export interface KeptTaxRate {
  rate: TaxRate;
  version: number;
  deleted: boolean;
}

/** What is known of an order before it is priced. */
export interface Wanted {
  country: string;
  /** Now: milliseconds since the epoch. */
  at: number;
  shippingMethod?: string;
  codes?: string[];
  /** What the customer's uses are counted under: now, then under keys that are no longer current. */
  customers(): string[];
}

/** A change of another replica is seen after so long: milliseconds. */
const seenAfter = 500;
const everybody = "";
const theBook = "book";

export function pricingStore(db: Db, t: PricingTables) {
  let book: (PriceBook & { version: number; readAt: number }) | undefined;
  let reading: Promise<PriceBook> | undefined;
  let forgotten = 0;

  async function read(at: number): Promise<PriceBook> {
    const began = forgotten;
    // The version first: what is changed meanwhile is seen at the next look.
    const version = (await db.find(t.priceBook, { id: theBook }))?.version ?? 0;
    const same = book?.version === version && began === forgotten ? book : undefined;
    const next = { ...(same ?? (await all(at))), version, readAt: at };
    if (began === forgotten && (book?.version ?? 0) <= version) book = next;
    return next;
  }

  async function all(at: number): Promise<PriceBook> {
    const [promotions, taxRates, shippingRates] = await Promise.all([
      db
        .select({ promotion: t.promotions.promotion })
        .from(t.promotions)
        .where(
          and(eq(t.promotions.active, true), or(isNull(t.promotions.until), gt(t.promotions.until, at))),
        ),
      db.select().from(t.taxRates).where(eq(t.taxRates.deleted, false)),
      db.select({ rate: t.shippingRates.rate }).from(t.shippingRates).where(isNotNull(t.shippingRates.rate)),
    ]);
    const taxes = new Map<string, Map<string, TaxRate>>();
    for (const row of taxRates) {
      const { rate } = keptTax(row);
      const ofCountry = taxes.get(rate.country) ?? new Map<string, TaxRate>();
      taxes.set(rate.country, ofCountry.set(rate.class, rate));
    }
    const held = promotions.map(({ promotion }) => promotion);
    return {
      automatic: held.filter(({ code }) => code === undefined),
      byCode: new Map(held.flatMap((one) => (one.code === undefined ? [] : [[folded(one.code), one]]))),
      taxes,
      shippingRates: shippingRates.flatMap(({ rate }) => (rate === null ? [] : [rate])),
    };
  }

  const changed = (): Write =>
    upsert(
      t.priceBook,
      { id: theBook, version: 1 },
      { on: ["id"], set: { version: sql`${t.priceBook.version} + 1` } },
    );

  /** Takes a place below a limit; a `Conflict` where there is none. */
  function take(promotion: string, customer: string, limit: SQL): Write {
    const { used } = t.promotionUses;
    return upsert(
      t.promotionUses,
      { promotion, customer, used: 1 },
      {
        on: ["promotion", "customer"],
        set: { used: sql`${used} + 1` },
        where: sql`${used} < ${limit}`,
        rows: 1,
      },
    );
  }

  /** A limit as it stands in the database at that moment, whatever is in memory. */
  const limitOf = (id: string, column: PricingTables["promotions"]["limit" | "limitPerCustomer"]): SQL =>
    sql`coalesce((select ${column} from ${t.promotions} where ${t.promotions.id} = ${id}), ${unlimited})`;

  /** All that orders are priced by; what another replica has changed is there half a second later. */
  function current(at: number): PriceBook | Promise<PriceBook> {
    if (book && at >= book.readAt && at - book.readAt < seenAfter) return book;
    reading ??= read(at).finally(() => {
      reading = undefined;
    });
    return reading;
  }

  async function usesOf(promotions: string[], customers: string[]): Promise<Map<string, Uses>> {
    const found = new Map(promotions.map((id): [string, Uses] => [id, { all: 0, byCustomer: 0, before: 0 }]));
    const { promotion, customer } = t.promotionUses;
    const rows = await db
      .select()
      .from(t.promotionUses)
      .where(and(inArray(promotion, promotions), inArray(customer, [everybody, ...customers])));
    for (const row of rows) {
      const uses = found.get(row.promotion);
      if (uses === undefined) continue;
      if (row.customer === everybody) uses.all = row.used;
      else uses.byCustomer += row.used;
      if (row.customer !== everybody && row.customer !== customers[0]) uses.before += row.used;
    }
    return found;
  }

  const givenBack = ({ promotions }: PriceParts, customers: string[]): Write[] => {
    const { promotion, customer, used } = t.promotionUses;
    return inTurn(promotions).flatMap(({ id }) =>
      customers.map((one) =>
        update(
          t.promotionUses,
          { used: sql`${used} - 1` },
          and(eq(promotion, id), eq(customer, one), gt(used, 0)),
        ),
      ),
    );
  };

  return {
    /**
     * What holds for an order.
     * @param anew read everything again: a commit was refused, so what is in memory may be old
     */
    async offer(
      asked: AskedLine[],
      { country, at, shippingMethod, codes = [], customers }: Wanted,
      anew = false,
    ): Promise<Offer> {
      const { automatic, byCode, taxes, shippingRates } = await (anew ? read(at) : current(at));
      const coded = new Set(codes.flatMap((code) => byCode.get(folded(code)) ?? []));
      const offer = { country, at, shippingMethod, codes, shippingRates, taxes: taxes.get(country) };
      const promotions = automatic.length + coded.size === 0 ? none : [...automatic, ...coded];
      if (promotions.length === 0) return { ...offer, promotions, uses: nobody };
      const goods = goodsOf(asked);
      const currency = (asked[0]?.unitPrice ?? asked[0]?.product?.price)?.currency ?? "";
      const limited = promotions.filter(
        (one) =>
          (one.limit ?? one.limitPerCustomer) !== undefined &&
          obstacle(one, { goods, currency, at, uses: undefined }) === undefined,
      );
      const keys = customers();
      const ids = limited.map(({ id }) => id);
      const uses = ids.length === 0 ? nobody : await usesOf(ids, keys);
      return { ...offer, promotions, uses, customer: keys[0] };
    },

    /** This process has changed it: it is read again when it is needed. */
    forget(): void {
      forgotten++;
      book = undefined;
      reading = undefined;
    },

    async promotion(id: string): Promise<KeptPromotion | undefined> {
      return db.find(t.promotions, { id });
    },

    /** Newest first, each with the number of orders that use it. */
    async promotions({
      code,
      after,
      limit,
    }: {
      code?: string;
      after?: Place;
      limit: number;
    }): Promise<(KeptPromotion & { used: number })[]> {
      const { promotions, promotionUses } = t;
      const place =
        after &&
        or(
          lt(promotions.createdAt, after.at),
          and(eq(promotions.createdAt, after.at), lt(promotions.id, after.id)),
        );
      const rows = await db
        .select()
        .from(promotions)
        .leftJoin(
          promotionUses,
          and(eq(promotionUses.promotion, promotions.id), eq(promotionUses.customer, everybody)),
        )
        .where(and(place, code === undefined ? undefined : eq(promotions.code, folded(code))))
        .orderBy(desc(promotions.createdAt), desc(promotions.id))
        .limit(limit);
      return rows.map((row) => ({ ...row.promotions, used: row.promotion_uses?.used ?? 0 }));
    },

    /** The id of the promotion that has a code. */
    async idOfCode(code: string): Promise<string | undefined> {
      return (await db.find(t.promotions, { code: folded(code) }))?.id;
    },

    keepPromotion(
      before: Pick<KeptPromotion, "version"> | undefined,
      promotion: Promotion,
      createdAt: number,
    ): Write[] {
      const { id, code, active, until, limit, limitPerCustomer } = promotion;
      const row = {
        version: (before?.version ?? 0) + 1,
        code: code === undefined ? null : folded(code),
        active,
        until: until ?? null,
        limit: limit ?? null,
        limitPerCustomer: limitPerCustomer ?? null,
        promotion,
      };
      const write = before
        ? update(t.promotions, row, { id, version: before.version }, { rows: 1 })
        : insert(t.promotions, { id, createdAt, ...row });
      return [write, changed()];
    },

    dropPromotion: (id: string, version: number): Write[] => [
      remove(t.promotions, { id, version }, { rows: 1 }),
      remove(t.promotionUses, { promotion: id }),
      changed(),
    ],

    async taxRate({
      country,
      class: taxClass,
    }: Pick<TaxRate, "country" | "class">): Promise<KeptTaxRate | undefined> {
      const row = await db.find(t.taxRates, { country, class: taxClass });
      return row && keptTax(row);
    },

    /** By country and class. */
    async taxRates(
      after: Pick<TaxRate, "country" | "class"> | undefined,
      limit: number,
    ): Promise<KeptTaxRate[]> {
      const { country, class: taxClass, deleted } = t.taxRates;
      const place =
        after && or(gt(country, after.country), and(eq(country, after.country), gt(taxClass, after.class)));
      const rows = await db
        .select()
        .from(t.taxRates)
        .where(and(eq(deleted, false), place))
        .orderBy(asc(country), asc(taxClass))
        .limit(limit);
      return rows.map(keptTax);
    },

    keepTaxRate(before: KeptTaxRate | undefined, rate: TaxRate, deleted = false): Write[] {
      const { country, class: taxClass, basisPoints, included } = rate;
      const row = { basisPoints, included, deleted, version: (before?.version ?? 0) + 1 };
      const write = before
        ? update(t.taxRates, row, { country, class: taxClass, version: before.version }, { rows: 1 })
        : insert(t.taxRates, { country, class: taxClass, ...row });
      return [write, changed()];
    },

    /** Takes over shipping's word on a rate, unless ours is as new; without an amount it is there no more. */
    shippingRate({
      version,
      amount,
      ...of
    }: Omit<ShippingRate, "amount"> & { version: number; amount?: number }): Write[] {
      const id = JSON.stringify([of.country, of.method, of.currency, of.upToGrams]);
      const kept = amount === undefined ? null : { ...of, amount };
      const where = sql`${t.shippingRates.version} < ${version}`;
      return [upsert(t.shippingRates, { id, version, rate: kept }, { on: ["id"], where }), changed()];
    },

    /** A change that places an order, which also counts its uses. A limit that is reached meanwhile is a `Conflict`. */
    claiming(change: Change, { price }: Pick<Order, "price">, { uses }: Offer): Change {
      const { promotions = [], customer } = price ?? {};
      if (promotions.length === 0 || customer === undefined) return change;
      const writes = inTurn(promotions).flatMap(({ id }) => {
        const before = uses.get(id)?.before ?? 0;
        const each = limitOf(id, t.promotions.limitPerCustomer);
        return [
          take(id, everybody, limitOf(id, t.promotions.limit)),
          take(id, customer, before === 0 ? each : sql`${each} - ${before}`),
        ];
      });
      return { ...change, writes: [...(change.writes ?? []), ...writes] };
    },

    /**
     * The order with its uses counted under another key of its customer.
     * @param customer absent: nothing is moved
     */
    moving<O extends Pick<Order, "price" | "status">>(
      order: O,
      customer: string | undefined,
    ): { order: O; writes: Write[] } {
      const { price, status } = order;
      if (price?.customer === undefined || customer === undefined || price.customer === customer)
        return { order, writes: [] };
      const over = status === "rejected" || status === "cancelled";
      const taken = inTurn(price.promotions).map(({ id }) => take(id, customer, unlimited));
      const writes = over ? [] : [...givenBack(price, [price.customer]), ...taken];
      return { order: { ...order, price: { ...price, customer } }, writes };
    },

    /** Gives an order's uses back. */
    givingBack: ({ price }: Pick<Order, "price">): Write[] =>
      price?.customer === undefined ? [] : givenBack(price, [everybody, price.customer]),
  };
}

const unlimited = sql`${Number.MAX_SAFE_INTEGER}`;
const none: Promotion[] = [];
const nobody: ReadonlyMap<string, Uses> = new Map();

const keptTax = ({ version, deleted, ...rate }: PricingTables["taxRates"]["$inferSelect"]): KeptTaxRate => ({
  rate,
  version,
  deleted,
});

/** Whoever locks several rows does it in one order, so that nobody waits for each other. */
const inTurn = <T extends { id: string }>(all: T[]): T[] => all.toSorted((a, b) => (a.id < b.id ? -1 : 1));

import { type Caller, defineStore, guest, type Place, type Reach, type StoreOf, sealedRows } from "chassis";
import { and, desc, eq, inArray, isNull, lt, ne, or, type SQL, sql } from "drizzle-orm";
import { type Change, insert, type NewEvent, update, upsert, type Write } from "drizzle-outbox";
import { type AskedLine, evolve, type Order, type OrderEvent, type PublicStatus, shown } from "./order.ts";
import { type Kept, personalKeeper } from "./personal.ts";
import { pricingStore, pricingTables } from "./pricing-store.ts";
import { published } from "./published.ts";

/** The job that ends an order which is neither paid nor refused in time. */
export const deadlineJob = "checkout-deadline";

/** The job that tells a cart that it is ordered; its key is the cart's id, its data the order's. */
export const closeCartJob = "close-cart";

/** The job that erases what is personal in the orders of a user who is gone; its key is the user's id. */
export const eraseJob = "erase-customer";

export interface OrderFilter {
  /** An e-mail address or an owner's id. */
  customer?: string;
  status?: PublicStatus;
  reference?: string;
  after?: Place;
  limit: number;
}

/** The order after what was decided, and what has to be committed for it. */
export interface Decided {
  order: Order;
  change: Change;
}

interface Product {
  sku: string;
  name: string;
  price: { amount: number; currency: string };
  kind: "physical" | "service";
  category?: string;
  /** Grams a piece. */
  weight?: number;
  taxClass?: string;
  version: number;
}

export const store = defineStore(
  (t) => ({
    orders: t.table(
      "orders",
      {
        id: t.text("id").primaryKey(),
        version: t.integer("version").notNull(),
        status: t.text("status").$type<PublicStatus>().notNull(),
        owner: t.text("owner").notNull(),
        /** Empty, but in rows of versions that sealed nothing. */
        email: t.text("email").notNull(),
        /** Keyed digest of the e-mail address, by which it is looked up. */
        customerKey: t.text("customer_key"),
        /** The key that the state's personal part is sealed with; null: it is not; empty: there is none any more. */
        sealedWith: t.text("sealed_with"),
        reference: t.text("reference"),
        placedAt: t.integer("placed_at").notNull(),
        state: t.json<Kept>("state").notNull(),
      },
      (orders) => [
        t.index("orders_by_time").on(orders.placedAt, orders.id),
        t.index("orders_by_owner").on(orders.owner, orders.placedAt),
        t.index("orders_by_email").on(orders.email, orders.placedAt),
        t.index("orders_by_reference").on(orders.reference),
        t.index("orders_by_customer").on(orders.customerKey, orders.placedAt),
        t.index("orders_by_seal").on(orders.sealedWith, orders.id),
        t.index("orders_by_status").on(orders.status, orders.placedAt, orders.id),
      ],
    ),
    /** Our copy of the catalog, fed by its events. */
    products: t.table("products", {
      sku: t.text("sku").primaryKey(),
      name: t.text("name").notNull(),
      amount: t.integer("amount").notNull(),
      currency: t.text("currency").notNull(),
      kind: t.text("kind").$type<"physical" | "service">().notNull(),
      category: t.text("category"),
      weight: t.integer("weight"),
      taxClass: t.text("tax_class"),
      version: t.integer("version").notNull(),
      deleted: t.boolean("deleted").notNull(),
    }),
    ...pricingTables(t),
  }),
  (db, t, sealed) => {
    const personal = personalKeeper(sealed);
    const pricing = pricingStore(db, t);
    /** Those that a caller may ask for together. A key opens one order: of many, none. */
    const within = (reach: Reach): SQL | undefined => {
      if (reach === "all") return undefined;
      return reach.owner === undefined ? sql`1 = 0` : eq(t.orders.owner, reach.owner);
    };
    const orderOf = (row: { state: Kept } | undefined): Order | undefined => row && personal.read(row.state);
    return {
      personal,
      pricing,

      /** What a customer's uses of promotions are counted under: a user's id, or keyed digests of the e-mail address. */
      countedUnder: ({ kind, id }: Caller, email: string | undefined): string[] =>
        kind === "user" ? [id] : email === undefined ? [] : personal.keysOf(email),

      async load(id: string): Promise<Order | undefined> {
        return orderOf(await db.find(t.orders, { id }));
      },

      /**
       * The order, if it is within the caller's reach; else nothing, like one that does not exist.
       * @param reach its key is the digest of the Order-Key
       */
      async reachable(id: string, reach: Reach): Promise<Order | undefined> {
        if (reach === "all") return orderOf(await db.find(t.orders, { id }));
        const { owner, key } = reach;
        const own = owner === undefined ? undefined : await db.find(t.orders, { id, owner });
        if (own || key === undefined) return orderOf(own);
        // Only what a guest has placed is opened by a key.
        const guests = await db.find(t.orders, { id, owner: guest.id });
        return guests?.state.keyDigest === key ? orderOf(guests) : undefined;
      },

      /** How far those of these orders are that are within the caller's reach. */
      async statuses(
        reach: Reach,
        ids: string[],
      ): Promise<{ id: string; version: number; status: PublicStatus }[]> {
        const { id, version, status } = t.orders;
        return db
          .select({ id, version, status })
          .from(t.orders)
          .where(and(inArray(id, ids), within(reach)));
      },

      /** The rows, events and deadlines that come of what was decided. */
      change(before: Order | undefined, decided: OrderEvent[], deadlineAt?: number): Decided {
        let order = before;
        const events: NewEvent[] = [];
        const jobs: Change["jobs"] = [];
        for (const event of decided) {
          const { payment } = order ?? {};
          order = evolve(order, event);
          events.push(...published(order, event, payment));
          jobs.push(...deadlines(order.id, event, deadlineAt));
        }
        if (order === undefined) throw new Error("nothing was decided about an order that is not there");
        if (decided.length === 0) return { order, change: {} };
        const row = { version: order.version, status: shown(order) };
        // What is sealed stays as it is; a row from before is sealed when it is touched.
        const kept = before && personal.settled(order) ? { state: order } : personal.columns(order);
        const write = before
          ? update(t.orders, { ...row, ...kept }, { id: order.id, version: before.version }, { rows: 1 })
          : insert(t.orders, {
              ...row,
              ...personal.columns(order),
              id: order.id,
              owner: order.owner,
              reference: order.reference,
              placedAt: decided[0]?.at ?? 0,
            });
        const over = decided.some(({ type }) => type === "rejected" || type === "cancelled");
        const writes = over ? [write, ...pricing.givingBack(order)] : [write];
        return { order, change: { writes, events, jobs } };
      },

      /** The change that places an order, which also closes the cart that it came from. */
      closing: (
        cartId: string,
        { id, placedAt }: { id: string; placedAt: number },
        change: Change,
      ): Change => ({
        ...change,
        jobs: [...(change.jobs ?? []), { kind: closeCartJob, key: cartId, at: placedAt, data: id }],
      }),

      /** The asked lines, each with our copy of its product. */
      async withProducts(asked: Omit<AskedLine, "product">[]): Promise<AskedLine[]> {
        const skus = [...new Set(asked.map((line) => line.sku))];
        // By key a statement is ready; a query for many at once has to be built, and pays for many only.
        const rows =
          skus.length <= 8
            ? (await Promise.all(skus.map((sku) => db.find(t.products, { sku })))).filter(
                (row) => row !== undefined,
              )
            : await db.select().from(t.products).where(inArray(t.products.sku, skus));
        const bySku = new Map(rows.filter((row) => !row.deleted).map((row) => [row.sku, row]));
        return asked.map((line) => {
          const row = bySku.get(line.sku);
          if (row === undefined) return line;
          const { name, amount, currency, kind, category, weight, taxClass } = row;
          return {
            ...line,
            product: {
              name,
              price: { amount, currency },
              kind,
              category: category ?? undefined,
              weight: weight ?? undefined,
              taxClass: taxClass ?? undefined,
            },
          };
        });
      },

      /** Takes over the catalog's word on a product, unless ours is as new. */
      product({ sku, name, price, kind, category, weight, taxClass, version }: Product): Write {
        const row = {
          sku,
          name,
          amount: price.amount,
          currency: price.currency,
          kind,
          category: category ?? null,
          weight: weight ?? null,
          taxClass: taxClass ?? null,
          version,
          deleted: false,
        };
        return upsert(t.products, row, { on: ["sku"], where: sql`${t.products.version} < ${version}` });
      },

      productGone(sku: string, version: number): Write {
        const row = {
          sku,
          name: "",
          amount: 0,
          currency: "",
          kind: "service" as const,
          category: null,
          weight: null,
          taxClass: null,
          version,
          deleted: true,
        };
        return upsert(t.products, row, { on: ["sku"], where: sql`${t.products.version} < ${version}` });
      },

      /** Those within the caller's reach, newest first. */
      async list(
        reach: Reach,
        { customer, status, reference, after, limit }: OrderFilter,
      ): Promise<{ order: Order; placedAt: number }[]> {
        const wanted: (SQL | undefined)[] = [
          within(reach),
          customer === undefined
            ? undefined
            : or(
                inArray(t.orders.customerKey, personal.keysOf(customer)),
                eq(t.orders.owner, customer),
                eq(t.orders.email, customer),
              ),
          status === undefined ? undefined : eq(t.orders.status, status),
          reference === undefined ? undefined : eq(t.orders.reference, reference),
          after === undefined
            ? undefined
            : or(
                lt(t.orders.placedAt, after.at),
                and(eq(t.orders.placedAt, after.at), lt(t.orders.id, after.id)),
              ),
        ];
        const rows = await db
          .select({ state: t.orders.state, placedAt: t.orders.placedAt })
          .from(t.orders)
          .where(and(...wanted))
          .orderBy(desc(t.orders.placedAt), desc(t.orders.id))
          .limit(limit);
        return rows.map(({ state, placedAt }) => ({ order: personal.read(state), placedAt }));
      },

      /** The next orders of somebody that still hold what is personal, each with the write that erases it. */
      async erasable(owner: string, limit: number): Promise<Write[]> {
        const rows = await db
          .select()
          .from(t.orders)
          .where(and(eq(t.orders.owner, owner), or(isNull(t.orders.sealedWith), ne(t.orders.sealedWith, ""))))
          .limit(limit);
        return rows.map(({ id, version, state }) =>
          rewrite({ ...personal.read(state), personal: null }, { id, version }),
        );
      },

      /** What is brought over to another key. */
      sealedRows: () => [
        sealedRows(db, t.orders, {
          id: t.orders.id,
          sealedWith: t.orders.sealedWith,
          reseal: ({ id, version, state }) => {
            const kept = personal.read(state);
            const { order, writes } = pricing.moving(kept, digestNow(kept));
            return [rewrite(order, { id, version }), ...writes];
          },
        }),
      ],
    };

    /** What the customer of an order is counted under now, where that is a digest. */
    function digestNow(order: Order): string | undefined {
      const { customer } = order.price ?? {};
      const of = customer === undefined || customer === order.owner ? undefined : personal.open(order);
      return of && personal.keysOf(of.customer.email)[0];
    }

    /** Writes an order down anew, as what has changed in it is not for its history. */
    function rewrite(order: Order, { id, version }: { id: string; version: number }): Write {
      const next = { ...order, version: version + 1 };
      return update(
        t.orders,
        { version: next.version, ...personal.columns(next) },
        { id, version },
        { rows: 1 },
      );
    }
  },
);

/** The deadline stands from placing until the order is paid or given up. */
function deadlines(key: string, event: OrderEvent, at: number | undefined): NonNullable<Change["jobs"]> {
  switch (event.type) {
    case "placed":
      return at === undefined ? [] : [{ kind: deadlineJob, key, at }];
    case "confirmed":
    case "aborting":
    case "rejected":
      return [{ kind: deadlineJob, key, cancel: true }];
    default:
      return [];
  }
}

export type Store = StoreOf<typeof store>;
export const { tables } = store;

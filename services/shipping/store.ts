import { defineStore, emit, type Place, type Reach, type StoreOf } from "chassis";
import { and, desc, eq, inArray, lt, ne, or } from "drizzle-orm";
import { type Change, insert, type NewEvent, remove, update, type Write } from "drizzle-outbox";
import { RateRemoved, RateSet, ShipmentDelivered, ShipmentDispatching } from "./contracts.ts";
import { type Entry, elsewhere, evolve as evolveRate, gone, type Rate, type RateEvent } from "./rate.ts";
import { type Consignment, evolve, type Shipment, type ShipmentEvent, shipmentOf } from "./shipment.ts";

export interface ShipmentFilter {
  order?: string;
  status?: Shipment["status"];
  after?: Place;
  limit: number;
}

/** A shipment with what its readers need besides. */
export interface Found {
  orderId: string;
  /** Rises with each change of it. */
  version: number;
  madeAt: number;
  shipment: Shipment;
}

/** Milliseconds for which a carrier's message is remembered: far longer than it goes on repeating it. */
const messagesKeptFor = 30 * 24 * 60 * 60_000;

/** Shipments of one tracking number at once: several orders may travel in one parcel. */
const inOneParcel = 100;

export const store = defineStore(
  (t) => ({
    /** What is known of an order; its shipments have rows of their own. */
    consignments: t.table("consignments", {
      orderId: t.text("order_id").primaryKey(),
      customerId: t.text("customer_id"),
      version: t.integer("version").notNull(),
      state: t.json<Omit<Consignment, "orderId" | "customerId" | "version" | "shipments">>("state").notNull(),
    }),
    shipments: t.table(
      "shipments",
      {
        id: t.text("id").primaryKey(),
        orderId: t.text("order_id").notNull(),
        customerId: t.text("customer_id"),
        /** The consignment's, when this shipment was last changed. */
        version: t.integer("version").notNull(),
        madeAt: t.integer("made_at").notNull(),
        status: t.text("status").$type<Shipment["status"]>().notNull(),
        carrier: t.text("carrier"),
        tracking: t.text("tracking"),
        state: t.json<Shipment>("state").notNull(),
      },
      (own) => [
        t.index("shipments_by_time").on(own.madeAt, own.id),
        t.index("shipments_by_order").on(own.orderId),
        t.index("shipments_by_status").on(own.status, own.madeAt, own.id),
        t.index("shipments_by_customer").on(own.customerId, own.madeAt),
        t.index("shipments_by_tracking").on(own.tracking),
      ],
    ),
    rates: t.table(
      "rates",
      {
        country: t.text("country").notNull(),
        method: t.text("method").notNull(),
        version: t.integer("version").notNull(),
        /** Null: it was removed. */
        rate: t.json<Rate>("rate"),
      },
      (own) => [t.primaryKey({ columns: [own.country, own.method] })],
    ),
    /** What carriers have told, by their ids of it: it has its effect once. */
    messages: t.table("messages", { id: t.text("id").primaryKey(), at: t.integer("at").notNull() }, (own) => [
      t.index("messages_at").on(own.at),
    ]),
  }),
  (db, t) => {
    type Row = typeof t.shipments.$inferSelect;
    const foundOf = ({ orderId, version, madeAt, state }: Row): Found => ({
      orderId,
      version,
      madeAt,
      shipment: state,
    });

    return {
      /** All that is known of an order. */
      async load(orderId: string): Promise<Consignment | undefined> {
        const row = await db.find(t.consignments, { orderId });
        if (row === undefined) return undefined;
        const { state, ...own } = row;
        const rows = await db
          .select()
          .from(t.shipments)
          .where(eq(t.shipments.orderId, orderId))
          .orderBy(t.shipments.madeAt, t.shipments.id);
        return { ...own, ...state, shipments: rows.map((one) => one.state) };
      },

      /** One of these shipments that is another order's. */
      async ofAnother(orderId: string, ids: string[]): Promise<{ id: string; orderId: string } | undefined> {
        if (ids.length === 0) return undefined;
        const [found] = await db
          .select({ id: t.shipments.id, orderId: t.shipments.orderId })
          .from(t.shipments)
          .where(and(inArray(t.shipments.id, ids), ne(t.shipments.orderId, orderId)))
          .limit(1);
        return found;
      },

      /** The shipment, if it is within the caller's reach; else nothing, like one that does not exist. */
      async reachable(id: string, reach: Reach): Promise<Found | undefined> {
        const customerId = reach === "all" ? undefined : reach.owner;
        if (reach !== "all" && customerId === undefined) return undefined;
        const row = await db.find(t.shipments, customerId === undefined ? { id } : { id, customerId });
        return row && foundOf(row);
      },

      /** Those within the caller's reach, newest first. */
      async list(reach: Reach, { order, status, after, limit }: ShipmentFilter): Promise<Found[]> {
        if (reach !== "all" && reach.owner === undefined) return [];
        const { shipments: all } = t;
        const rows = await db
          .select()
          .from(all)
          .where(
            and(
              reach === "all" ? undefined : eq(all.customerId, reach.owner ?? ""),
              order === undefined ? undefined : eq(all.orderId, order),
              status === undefined ? undefined : eq(all.status, status),
              after === undefined
                ? undefined
                : or(lt(all.madeAt, after.at), and(eq(all.madeAt, after.at), lt(all.id, after.id))),
            ),
          )
          .orderBy(desc(all.madeAt), desc(all.id))
          .limit(limit);
        return rows.map(foundOf);
      },

      /** What travels under a tracking number and has not arrived, as far as is known. */
      async travelling(carrier: string, tracking: string): Promise<{ id: string; orderId: string }[]> {
        return db
          .select({ id: t.shipments.id, orderId: t.shipments.orderId })
          .from(t.shipments)
          .where(
            and(
              eq(t.shipments.tracking, tracking),
              eq(t.shipments.carrier, carrier),
              inArray(t.shipments.status, ["dispatching", "dispatched"]),
            ),
          )
          .limit(inOneParcel);
      },

      /** What was sent under it once and has arrived: there is nothing more to be told of that. */
      async hasArrived(carrier: string, tracking: string): Promise<boolean> {
        return (await db.find(t.shipments, { tracking, carrier, status: "delivered" })) !== undefined;
      },

      /** The rows and events that come of what was decided about an order's shipments. */
      change(
        before: Consignment | undefined,
        decided: ShipmentEvent[],
      ): { consignment: Consignment | undefined; change: Change } {
        let after = before;
        const events: NewEvent[] = [];
        for (const event of decided) {
          after = evolve(after, event);
          events.push(...published(after, event));
        }
        if (after === undefined || after === before) return { consignment: after, change: {} };
        return { consignment: after, change: { writes: writes(before, after, decided[0]?.at ?? 0), events } };
      },

      hasHeard: async (id: string): Promise<boolean> => (await db.find(t.messages, { id })) !== undefined,

      /** Notes what a carrier has told. */
      heard: (id: string, at: number): Write[] => [
        remove(t.messages, lt(t.messages.at, at - messagesKeptFor)),
        insert(t.messages, { id, at }),
      ],

      async rate(country: string, method: string): Promise<Entry | undefined> {
        const row = await db.find(t.rates, { country, method });
        if (row === undefined) return undefined;
        const { version, rate } = row;
        return rate === null
          ? { status: "removed", version, country, method }
          : { status: "set", version, rate };
      },

      /** The rates that may count for a country; all, where none is named. */
      async rates(country?: string): Promise<Rate[]> {
        const rows = await db
          .select({ rate: t.rates.rate })
          .from(t.rates)
          .where(country === undefined ? undefined : inArray(t.rates.country, [country, elsewhere]));
        return rows.flatMap(({ rate }) => rate ?? []);
      },

      /** The row and the events that come of what was decided about a rate. */
      changeRate(
        before: Entry | undefined,
        decided: RateEvent[],
      ): { entry: Entry | undefined; change: Change } {
        const after = decided.reduce<Entry | undefined>(evolveRate, before);
        if (after === undefined || after === before) return { entry: after, change: {} };
        const { country, method } = after.status === "set" ? after.rate : after;
        const row = { version: after.version, rate: after.status === "set" ? after.rate : null };
        const write = before
          ? update(t.rates, row, { country, method, version: before.version }, { rows: 1 })
          : insert(t.rates, { country, method, ...row });
        return { entry: after, change: { writes: [write], events: told(before, after) } };
      },
    };

    /** Guarded by the consignment's version: of two who decide about one order, one decides again. */
    function writes(before: Consignment | undefined, after: Consignment, at: number): Write[] {
      const { orderId, customerId, version, shipments, ...state } = after;
      const row = before
        ? update(t.consignments, { version, state }, { orderId, version: before.version }, { rows: 1 })
        : insert(t.consignments, { orderId, customerId, version, state });
      const changed = shipments.flatMap((one): Write[] => {
        const known = shipmentOf(before, one.id);
        if (known === one) return [];
        const { id, status, carrier = null, tracking = null } = one;
        const columns = { version, status, carrier, tracking, state: one };
        return [
          known
            ? update(t.shipments, columns, { id }, { rows: 1 })
            : insert(t.shipments, { id, orderId, customerId, madeAt: at, ...columns }),
        ];
      });
      return [row, ...changed];
    }
  },
);

/** What the others are told of a shipment; what is only our own bookkeeping is not. */
function published(after: Consignment, event: ShipmentEvent): NewEvent[] {
  const { orderId } = after;
  switch (event.type) {
    case "dispatching": {
      const { id: shipmentId, lines, carrier, tracking } = event;
      return [
        emit(ShipmentDispatching, orderId, {
          orderId,
          shipmentId,
          lines,
          ...(carrier === undefined ? {} : { carrier }),
          ...(tracking === undefined ? {} : { tracking }),
        }),
      ];
    }
    case "delivered":
      return [emit(ShipmentDelivered, orderId, { orderId, shipmentId: event.id })];
    default:
      return [];
  }
}

/** What the others are told of a rate: each price that there is, and each that is gone. */
function told(before: Entry | undefined, after: Entry): NewEvent[] {
  const { country, method } = after.status === "set" ? after.rate : after;
  const key = `${country} ${method}`;
  const of = { country, method, version: after.version };
  const set = after.status === "set" ? after.rate.prices : [];
  const { name = "" } = after.status === "set" ? after.rate : {};
  return [
    ...gone(before, after).map(({ upToGrams, price: { currency } }) =>
      emit(RateRemoved, key, { ...of, currency, upToGrams }),
    ),
    ...set.map(({ upToGrams, price: { amount, currency } }) =>
      emit(RateSet, key, { ...of, name, currency, upToGrams, amount }),
    ),
  ];
}

export const { tables } = store;
export type Store = StoreOf<typeof store>;

import { defineStore, emit, type StoreOf } from "chassis";
import { asc, gt, inArray, sql } from "drizzle-orm";
import { type Change, insert, type NewEvent, update, upsert, type Write } from "drizzle-outbox";
import {
  StockAdjusted,
  StockAvailability,
  StockRefused,
  StockReleased,
  StockReserved,
  StockRestocked,
} from "./contracts.ts";
import {
  type Back,
  evolve as evolveReservation,
  type Leaving,
  type Quantity,
  type Reservation,
  type ReservationEvent,
} from "./reservation.ts";
import { available, evolve as evolveLevel, type Level, type StockEvent } from "./stock.ts";

/** The job that looks again at an order which waits for a count. */
export const reserveJob = "reserve";

/** The job that tells the others how few of a product are left: once for all that happens to it in a while. */
export const tellJob = "tell-availability";
const tellAfter = 500;

export const store = defineStore(
  (t) => ({
    stock: t.table("stock", {
      sku: t.text("sku").primaryKey(),
      onHand: t.integer("on_hand").notNull(),
      reserved: t.integer("reserved").notNull(),
      version: t.integer("version").notNull(),
      madeAt: t.integer("made_at").notNull(),
      countedAt: t.integer("counted_at"),
      told: t.integer("told"),
      sold: t.integer("sold").notNull().default(0),
      restocked: t.integer("restocked").notNull().default(0),
      writtenOff: t.integer("written_off").notNull().default(0),
    }),
    reservations: t.table("reservations", {
      orderId: t.text("order_id").primaryKey(),
      status: t.text("status").$type<Reservation["status"]>().notNull(),
      lines: t.json<Quantity[]>("lines").notNull(),
      shipments: t.json<string[]>("shipments").notNull().default([]),
      returns: t.json<string[]>("returns").notNull().default([]),
      version: t.integer("version").notNull().default(1),
    }),
  }),
  (db, t) => {
    // The guard stands in the statement: of many who reserve one product at once, each waits for the row and
    // takes its pieces, and only who finds too few left decides again.
    const reserve = ({ sku, quantity }: Quantity): Write =>
      update(
        t.stock,
        { reserved: sql`${t.stock.reserved} + ${quantity}`, version: sql`${t.stock.version} + 1` },
        sql`${t.stock.sku} = ${sku} and ${t.stock.onHand} - ${t.stock.reserved} >= ${quantity}`,
        { rows: 1 },
      );
    const release = ({ sku, quantity }: Quantity): Write =>
      update(
        t.stock,
        { reserved: sql`${t.stock.reserved} - ${quantity}`, version: sql`${t.stock.version} + 1` },
        sql`${t.stock.sku} = ${sku} and ${t.stock.reserved} >= ${quantity}`,
        { rows: 1 },
      );
    const dispatch = ({ sku, quantity, held }: Leaving): Write =>
      update(
        t.stock,
        {
          onHand: sql`${t.stock.onHand} - ${quantity}`,
          reserved: sql`${t.stock.reserved} - ${held}`,
          sold: sql`${t.stock.sold} + ${quantity}`,
          version: sql`${t.stock.version} + 1`,
        },
        sql`${t.stock.sku} = ${sku} and ${t.stock.reserved} >= ${held} and ${t.stock.onHand} - ${t.stock.reserved} >= ${quantity - held}`,
        { rows: 1 },
      );
    // Also of a product that never had a level here.
    const takeBack = ({ sku, restocked, writtenOff }: Back, at: number): Write => {
      const listed = evolveLevel(undefined, { type: "listed", sku, at });
      return upsert(
        t.stock,
        { ...listed, onHand: restocked, restocked, writtenOff, version: 2 },
        {
          on: ["sku"],
          set: {
            onHand: sql`${t.stock.onHand} + ${restocked}`,
            restocked: sql`${t.stock.restocked} + ${restocked}`,
            writtenOff: sql`${t.stock.writtenOff} + ${writtenOff}`,
            version: sql`${t.stock.version} + 1`,
          },
        },
      );
    };

    return {
      level(sku: string): Promise<Level | undefined> {
        return db.find(t.stock, { sku });
      },

      async levels(skus: string[]): Promise<Map<string, Level>> {
        const rows = skus.length === 0 ? [] : await db.findAll(t.stock, inArray(t.stock.sku, skus));
        return new Map(rows.map((level) => [level.sku, level]));
      },

      reservation(orderId: string): Promise<Reservation | undefined> {
        return db.find(t.reservations, { orderId });
      },

      /** By SKU. */
      list({ after, limit }: { after?: string; limit: number }): Promise<Level[]> {
        return db
          .select()
          .from(t.stock)
          .where(after === undefined ? undefined : gt(t.stock.sku, after))
          .orderBy(asc(t.stock.sku))
          .limit(limit);
      },

      /** The level after what was decided, and what has to be committed for it. */
      adjust(before: Level | undefined, decided: StockEvent[]): { level: Level | undefined; change: Change } {
        let level = before;
        const events: NewEvent[] = [];
        for (const event of decided) {
          level = evolveLevel(level, event);
          events.push(...adjusted(level, event));
        }
        if (level === undefined || decided.length === 0) return { level, change: {} };
        const { onHand, countedAt, version, told } = level;
        const write = before
          ? update(
              t.stock,
              { onHand, countedAt, version, told },
              { sku: before.sku, version: before.version },
              { rows: 1 },
            )
          : insert(t.stock, level);
        return { level, change: { writes: [write], events } };
      },

      /** Looks soon whether the others know how few there are of these. */
      tellSoon: (skus: string[], now: number): NonNullable<Change["jobs"]> =>
        skus.map((sku) => ({ kind: tellJob, key: sku, at: now + tellAfter })),

      /**
       * What has to be committed for what was decided of an order: its claim first, then the stock by SKU.
       * @param at now, for the level of a product that comes back and has none
       */
      change(before: Reservation | undefined, decided: ReservationEvent[], at = 0): Change {
        let reservation = before;
        const stock: Write[] = [];
        const events: NewEvent[] = [];
        const jobs: Change["jobs"] = [];
        for (const event of decided) {
          reservation = evolveReservation(reservation, event);
          switch (event.type) {
            case "reserved": {
              const { orderId, lines } = event;
              stock.push(...lines.map(reserve));
              events.push(emit(StockReserved, orderId, { orderId, lines }));
              break;
            }
            case "refused": {
              const { orderId, skus } = event;
              events.push(emit(StockRefused, orderId, { orderId, reason: "out-of-stock", skus }));
              break;
            }
            case "released": {
              const { orderId, lines } = event;
              stock.push(...lines.map(release));
              events.push(emit(StockReleased, orderId, { orderId, lines }));
              break;
            }
            case "deferred":
              jobs.push({ kind: reserveJob, key: event.wanted.orderId, at: event.again, data: event.wanted });
              break;
            case "reduced":
              stock.push(...event.lines.map(release));
              break;
            case "dispatched":
              stock.push(...event.lines.map(dispatch));
              break;
            case "restocked": {
              const { orderId, returnId } = event;
              stock.push(...event.lines.map((line) => takeBack(line, at)));
              const lines = event.lines
                .filter(({ restocked }) => restocked > 0)
                .map(({ sku, restocked: quantity }) => ({ sku, quantity }));
              events.push(emit(StockRestocked, orderId, { orderId, returnId, lines }));
              break;
            }
            default:
              event satisfies never;
          }
        }
        return { writes: [...claim(before, reservation), ...stock], events, jobs };
      },
    };

    /** The row of an order's claim, guarded by what it was: of two who decide about one order, one decides again. */
    function claim(before: Reservation | undefined, after: Reservation | undefined): Write[] {
      if (after === undefined || after.version === before?.version) return [];
      if (before === undefined) return [insert(t.reservations, after)];
      // The status as well: versions before this one do not count.
      const { orderId, status, version } = before;
      return [update(t.reservations, after, { orderId, status, version }, { rows: 1 })];
    }
  },
);

export const { tables } = store;

export type Store = StoreOf<typeof store>;

function adjusted(level: Level, event: StockEvent): NewEvent[] {
  switch (event.type) {
    case "listed":
      return [];
    case "adjusted": {
      const { sku, onHand, reserved, version, sold, restocked, writtenOff } = level;
      const { counted } = event;
      const moved = { sold, restocked, writtenOff };
      const now = { sku, onHand, reserved, available: available(level), version, ...moved };
      return [emit(StockAdjusted, sku, counted === undefined ? now : { ...now, counted })];
    }
    case "told": {
      const { sku, version } = level;
      return [
        emit(StockAvailability, sku, {
          sku,
          available: available(level),
          plenty: event.few === null,
          version,
        }),
      ];
    }
    default:
      return event satisfies never;
  }
}

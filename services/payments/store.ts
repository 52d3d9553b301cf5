import { defineStore, emit, type Reach, type StoreOf } from "chassis";
import { and, asc, desc, eq, gt, gte, inArray, isNotNull, lt, lte, or, sql } from "drizzle-orm";
import { type Change, insert, type NewEvent, remove, update, upsert, type Write } from "drizzle-outbox";
import { captureKey, dueCall, isSame, refundKey } from "./calls.ts";
import {
  PaymentAuthorised,
  PaymentCaptured,
  PaymentCaptureFailed,
  PaymentDeclined,
  PaymentExpired,
  PaymentRefunded,
  PaymentVoided,
  type Reconciling,
} from "./contracts.ts";
import { evolve } from "./evolve.ts";
import { mayBeHeld } from "./holding.ts";
import { today } from "./kept.ts";
import { type Account, type Movement, type Posting, postings, summed, type Total } from "./ledger.ts";
import type { Money, Payment, PaymentEvent } from "./payment.ts";
import type { Found, Reconciliation } from "./reconcile.ts";

/** The job that makes the call which the payment's status asks for. */
export const callJob = "provider-call";

/** The job that compares a payment with what its provider knows of it. */
export const reconcileJob = "reconcile";

/** The job that looks at what a provider has told of. */
export const toldJob = "told-by-provider";

/** The job that asks for a payment's authorisation to be renewed. */
export const renewJob = "renew";

/** The job that compares some payments with the providers' books, and goes on until all are. */
export const reconcileAllJob = "reconcile-all";

/** Milliseconds for which a webhook is remembered: far longer than a provider goes on repeating it. */
const webhooksKeptFor = 30 * 24 * 60 * 60_000;

/** Milliseconds for which a reconciliation is remembered. */
const reconciliationsKeptFor = 400 * 24 * 60 * 60_000;

/** What is noted of the time at which a payment is touched: so an order that is quickly paid touches the index once. */
const hour = 60 * 60_000;

/** Each account's totals are spread over so many rows, so that payments at the same time do not queue for one. */
const shards = 8;

/** The payment after what was decided, and what has to be committed for it. */
export interface Decided {
  payment: Payment | undefined;
  change: Change;
}

export const store = defineStore(
  (t) => ({
    payments: t.table(
      "payments",
      {
        orderId: t.text("order_id").primaryKey(),
        version: t.integer("version").notNull(),
        state: t.json<Payment>("state").notNull(),
        /** Who placed the order: nobody, where a guest did. */
        customerId: t.text("customer_id"),
        /** When what is held and waits to be captured runs out; nothing, where nothing does. */
        expiresAt: t.integer("expires_at"),
        /** The hour of the last change, in ms. */
        touchedAt: t.integer("touched_at"),
      },
      (own) => [
        t.index("payments_expires_at").on(own.expiresAt).where(isNotNull(own.expiresAt)),
        t.index("payments_touched_at").on(own.touchedAt),
      ],
    ),
    /** The books. `entry` is the key of the call to the provider that moved the money: booked once, like the call. */
    ledgerPostings: t.table(
      "ledger_postings",
      {
        entry: t.text("entry").notNull(),
        account: t.text("account").$type<Account>().notNull(),
        currency: t.text("currency").notNull(),
        debit: t.integer("debit").notNull(),
        credit: t.integer("credit").notNull(),
        at: t.integer("at").notNull(),
      },
      (own) => [t.primaryKey({ columns: [own.entry, own.account] })],
    ),
    /** What providers have told us of, by their ids of it: it has its effect once. */
    webhooks: t.table("webhooks", { id: t.text("id").primaryKey(), at: t.integer("at").notNull() }, (own) => [
      t.index("webhooks_at").on(own.at),
    ]),
    /** Providers' names for payments that a restored store may have forgotten. */
    foundReferences: t.table("found_references", {
      orderId: t.text("order_id").primaryKey(),
      reference: t.text("reference").notNull(),
    }),
    reconciliations: t.table(
      "reconciliations",
      {
        id: t.text("id").primaryKey(),
        startedAt: t.integer("started_at").notNull(),
        endedAt: t.integer("ended_at"),
        since: t.integer("since").notNull(),
        compared: t.integer("compared").notNull(),
        different: t.integer("different").notNull(),
        differences: t.json<Found[]>("differences").notNull(),
      },
      (own) => [t.index("reconciliations_started_at").on(own.startedAt, own.id)],
    ),
    /** The sums of the postings, kept with every one of them. */
    ledgerTotals: t.table(
      "ledger_totals",
      {
        account: t.text("account").$type<Account>().notNull(),
        currency: t.text("currency").notNull(),
        shard: t.integer("shard").notNull(),
        debit: t.integer("debit").notNull(),
        credit: t.integer("credit").notNull(),
      },
      (own) => [t.primaryKey({ columns: [own.account, own.currency, own.shard] })],
    ),
  }),
  (db, t) => {
    function book(orderId: string, entry: string, movement: Movement, at: number): Write[] {
      const rows = postings(movement);
      const shard = shardOf(orderId);
      // Always in the same order, so that two payments cannot wait for each other.
      const sums = rows.toSorted((a, b) => a.account.localeCompare(b.account));
      return [
        insert(
          t.ledgerPostings,
          rows.map((row) => ({ entry, ...row, at })),
        ),
        ...sums.map((row) => add({ ...row, shard })),
      ];
    }

    function add(row: Posting & { shard: number }): Write {
      const { ledgerTotals: totals } = t;
      return upsert(totals, row, {
        on: ["account", "currency", "shard"],
        set: {
          debit: sql`${totals.debit} + excluded.debit`,
          credit: sql`${totals.credit} + excluded.credit`,
        },
      });
    }

    async function load(orderId: string): Promise<Payment | undefined> {
      const row = await db.find(t.payments, { orderId });
      return row && today(row.state);
    }

    return {
      load,

      /** The payment, if it is within the caller's reach; else nothing, like one that does not exist. */
      async reachable(orderId: string, reach: Reach): Promise<Payment | undefined> {
        if (reach === "all") return load(orderId);
        const { owner: customerId } = reach;
        if (customerId === undefined) return undefined;
        const row = await db.find(t.payments, { orderId, customerId });
        return row && today(row.state);
      },

      /** The rows, events, ledger entries and calls that come of what was decided. */
      change(before: Payment | undefined, decided: PaymentEvent[], customerId?: string): Decided {
        let payment = before;
        const writes: Write[] = [];
        const events: NewEvent[] = [];
        for (const event of decided) {
          payment = evolve(payment, event);
          events.push(...published(payment, event));
          const booked = moved(payment, event);
          if (booked) writes.push(...book(payment.orderId, booked.entry, booked.movement, event.at));
        }
        if (payment === undefined || payment === before) return { payment, change: {} };
        const { orderId, version } = payment;
        const at = decided[0]?.at ?? 0;
        const now = {
          version,
          state: payment,
          // While something is under way its answer says what has run out.
          expiresAt: payment.status === "authorised" ? (payment.until ?? null) : null,
          touchedAt: at - (at % hour),
        };
        const row = before
          ? update(t.payments, now, { orderId, version: before.version }, { rows: 1 })
          : insert(t.payments, { orderId, ...now, customerId: customerId ?? null });
        const call = dueCall(payment);
        const jobs = call && !isSame(call, dueCall(before)) ? [{ kind: callJob, key: orderId, at }] : [];
        return { payment, change: { writes: [row, ...writes], events, jobs } };
      },

      /** Of what runs out up to a time: the first, of those that come after a place. */
      async runningOut(until: number, after: Place | undefined, limit: number) {
        const { orderId, expiresAt, state } = t.payments;
        const later = after
          ? or(gt(expiresAt, after.at), and(eq(expiresAt, after.at), gt(orderId, after.orderId)))
          : undefined;
        const rows = await db
          .select({ orderId, expiresAt, state })
          .from(t.payments)
          .where(and(isNotNull(expiresAt), lte(expiresAt, until), later))
          .orderBy(asc(expiresAt), asc(orderId))
          .limit(limit);
        return rows.map((row) => ({ at: row.expiresAt ?? 0, payment: today(row.state) }));
      },

      /** Payments that were touched from one time to another: some, of those that come after a place. */
      async touched({ since, until }: Reconciling, after: Place | undefined, limit: number) {
        const { orderId, touchedAt, state } = t.payments;
        const later = after
          ? or(gt(touchedAt, after.at), and(eq(touchedAt, after.at), gt(orderId, after.orderId)))
          : undefined;
        const rows = await db
          .select({ touchedAt, state })
          .from(t.payments)
          .where(and(gte(touchedAt, since - (since % hour)), lte(touchedAt, until), later))
          .orderBy(asc(touchedAt), asc(orderId))
          .limit(limit);
        return rows.map((row) => ({ at: row.touchedAt ?? 0, payment: today(row.state) }));
      },

      /** Those of some orders that there is a payment of. */
      async known(orderIds: string[]): Promise<Set<string>> {
        if (orderIds.length === 0) return new Set();
        const { orderId } = t.payments;
        const rows = await db.select({ orderId }).from(t.payments).where(inArray(orderId, orderIds));
        return new Set(rows.map((row) => row.orderId));
      },

      reconciliation: async (id: string): Promise<Reconciliation | undefined> =>
        db.find(t.reconciliations, { id }),

      /** The newest first. */
      reconciliations(
        after: { at: number; id: string } | undefined,
        limit: number,
      ): Promise<Reconciliation[]> {
        const { startedAt, id } = t.reconciliations;
        const earlier = after
          ? or(lt(startedAt, after.at), and(eq(startedAt, after.at), lt(id, after.id)))
          : undefined;
        return db
          .select()
          .from(t.reconciliations)
          .where(earlier)
          .orderBy(desc(startedAt), desc(id))
          .limit(limit);
      },

      /** Begins a reconciliation of what was touched since the last one that was done. */
      beginReconciliation(run: Reconciliation): Change {
        const { id, startedAt: at, since } = run;
        const old = remove(t.reconciliations, lt(t.reconciliations.startedAt, at - reconciliationsKeptFor));
        const data: Reconciling = { since, until: at };
        return {
          writes: [old, insert(t.reconciliations, run)],
          jobs: [{ kind: reconcileAllJob, key: id, at, data }],
        };
      },

      saveReconciliation: ({ id, ...run }: Reconciliation): Write =>
        update(t.reconciliations, run, { id }, { rows: 1 }),

      /** Whether a provider has told of this before. */
      hasHeard: async (id: string): Promise<boolean> => (await db.find(t.webhooks, { id })) !== undefined,

      /** Notes what a provider has told of, and what has to be looked at because of it. */
      hear(id: string, look: { method: string; reference?: string }, at: number): Change {
        const writes = [
          remove(t.webhooks, lt(t.webhooks.at, at - webhooksKeptFor)),
          insert(t.webhooks, { id, at }),
        ];
        return look.reference === undefined
          ? { writes }
          : { writes, jobs: [{ kind: toldJob, key: id, at, data: look }] };
      },

      /** Whether it is still being found out what providers have done in a time that this store does not remember. */
      async reviewing(): Promise<boolean> {
        return (await db.query(sql`select 1 as one from outbox_jobs where kind = 'restored'`)).length > 0;
      },

      keepReferences: (found: { orderId: string; reference?: string }[]): Write[] =>
        found.flatMap(({ orderId, reference }) =>
          reference ? upsert(t.foundReferences, { orderId, reference }, { on: ["orderId"] }) : [],
        ),

      foundReference: async (orderId: string): Promise<string | undefined> =>
        (await db.find(t.foundReferences, { orderId }))?.reference,

      /** Totals by account and currency. */
      async ledger(): Promise<Total[]> {
        const { account, currency, debit, credit } = t.ledgerTotals;
        // As text, since neither driver gives more than a number; and added up here, since SQLite's own sum may overflow.
        const exact = (column: typeof debit) => sql<bigint>`cast(${column} as text)`.mapWith(BigInt);
        const shares = await db
          .select({ account, currency, debit: exact(debit), credit: exact(credit) })
          .from(t.ledgerTotals)
          .orderBy(account, currency);
        return summed(shares);
      },
    };
  },
);

/** A place among payments in the order of a time. */
interface Place {
  at: number;
  orderId: string;
}

export const { tables } = store;

export type Store = StoreOf<typeof store>;

/** What the others are told of an event; what is only our own bookkeeping is not. */
function published(payment: Payment, event: PaymentEvent): NewEvent[] {
  const { orderId, total, wanted, atOnce } = payment;
  const money = (amount: number): Money => ({ amount, currency: total.currency });
  const movedBy = (amount: number) => ({ orderId, amount: money(amount), held: money(mayBeHeld(payment)) });
  const authorised = () => emit(PaymentAuthorised, orderId, movedBy(total.amount));
  switch (event.type) {
    case "declined":
      return [emit(PaymentDeclined, orderId, { orderId, reason: event.reason })];
    case "authorised":
      return atOnce === 0 && wanted === "capture" ? [authorised()] : [];
    case "captured": {
      if (event.untold) return [];
      const { key, amount } = event.capture;
      const captured = emit(PaymentCaptured, orderId, { ...movedBy(amount), ...(key ? { key } : {}) });
      // What is captured at once says that the order is paid; of a part the rest has to be said, too.
      return key === undefined && amount < total.amount ? [captured, authorised()] : [captured];
    }
    case "capture-failed":
      return [emit(PaymentCaptureFailed, orderId, { orderId, key: event.key, reason: event.reason })];
    case "voided":
      return [emit(PaymentVoided, orderId, movedBy(lastAmount(payment)))];
    case "expired":
      return [emit(PaymentExpired, orderId, movedBy(lastAmount(payment)))];
    case "refunded": {
      const { key, amount } = event.refund;
      return [emit(PaymentRefunded, orderId, { ...movedBy(amount), ...(key ? { key } : {}) })];
    }
    case "nothing-refunded":
      return [emit(PaymentRefunded, orderId, { ...movedBy(0), key: event.key })];
    case "closed":
    case "nothing-held":
      return [emit(PaymentVoided, orderId, movedBy(0))];
    case "authorising":
    case "opened":
    case "disputed":
    case "found":
    case "given-up":
    case "released":
    case "capturing":
    case "voiding":
    case "renewing":
    case "renewed":
    case "refunding":
      return [];
    default:
      return event satisfies never;
  }
}

/** What the step that was noted last has moved. */
const lastAmount = ({ history }: Payment): number => history.at(-1)?.amount ?? 0;

/** The entry in the ledger that an event makes, under the key of the call that moved the money. */
function moved(
  { orderId, total: { currency } }: Payment,
  event: PaymentEvent,
): { entry: string; movement: Movement } | undefined {
  if (event.type === "captured") {
    const { amount } = event.capture;
    const movement: Movement = { type: "captured", amount: { amount, currency } };
    return { entry: captureKey(orderId, event.capture), movement };
  }
  // A refund that turned out to have no money left moves none.
  if (event.type !== "refunded" || event.refund.amount === 0) return undefined;
  const movement: Movement = { type: "refunded", amount: { amount: event.refund.amount, currency } };
  return { entry: refundKey(orderId, event.refund), movement };
}

function shardOf(orderId: string): number {
  let hash = 0;
  for (let i = 0; i < orderId.length; i++) hash = (hash * 31 + orderId.charCodeAt(i)) | 0;
  return Math.abs(hash) % shards;
}

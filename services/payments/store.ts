import { defineStore, emit, type Reach, type StoreOf } from "chassis";
import { lt, sql } from "drizzle-orm";
import { type Change, insert, type NewEvent, remove, update, upsert, type Write } from "drizzle-outbox";
import { dueCall, isSame } from "./calls.ts";
import { PaymentCaptured, PaymentDeclined, PaymentRefunded, PaymentVoided } from "./contracts.ts";
import { evolve } from "./evolve.ts";
import { type Account, type Movement, type Posting, postings } from "./ledger.ts";
import { held, type Money, type Payment, type PaymentEvent } from "./payment.ts";

/** The job that makes the call which the payment's status asks for. */
export const callJob = "provider-call";

/** The job that compares a payment with what its provider knows of it. */
export const reconcileJob = "reconcile";

/** The job that looks at what a provider has told of. */
export const toldJob = "told-by-provider";

/** Milliseconds for which a webhook is remembered: far longer than a provider goes on repeating it. */
const webhooksKeptFor = 30 * 24 * 60 * 60_000;

/** Each account's totals are spread over so many rows, so that payments at the same time do not queue for one. */
const shards = 8;

/** The payment after what was decided, and what has to be committed for it. */
export interface Decided {
  payment: Payment | undefined;
  change: Change;
}

export const store = defineStore(
  (t) => ({
    payments: t.table("payments", {
      orderId: t.text("order_id").primaryKey(),
      version: t.integer("version").notNull(),
      state: t.json<Payment>("state").notNull(),
      /** Who placed the order: nobody, where a guest did. */
      customerId: t.text("customer_id"),
    }),
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

    return {
      async load(orderId: string): Promise<Payment | undefined> {
        return (await db.find(t.payments, { orderId }))?.state;
      },

      /** The payment, if it is within the caller's reach; else nothing, like one that does not exist. */
      async reachable(orderId: string, reach: Reach): Promise<Payment | undefined> {
        if (reach === "all") return (await db.find(t.payments, { orderId }))?.state;
        const { owner: customerId } = reach;
        if (customerId === undefined) return undefined;
        return (await db.find(t.payments, { orderId, customerId }))?.state;
      },

      /** The rows, events, ledger entries and calls that come of what was decided. */
      change(before: Payment | undefined, decided: PaymentEvent[], customerId?: string): Decided {
        let payment = before;
        const writes: Write[] = [];
        const events: NewEvent[] = [];
        for (const event of decided) {
          const call = dueCall(payment);
          payment = evolve(payment, event);
          events.push(...published(payment, event));
          const movement = moved(payment, event);
          if (movement && call) writes.push(...book(payment.orderId, call.key, movement, event.at));
        }
        if (payment === undefined || payment === before) return { payment, change: {} };
        const { orderId, version } = payment;
        const row = before
          ? update(t.payments, { version, state: payment }, { orderId, version: before.version }, { rows: 1 })
          : insert(t.payments, { orderId, version, state: payment, customerId: customerId ?? null });
        const call = dueCall(payment);
        const at = decided[0]?.at ?? 0;
        const jobs = call && !isSame(call, dueCall(before)) ? [{ kind: callJob, key: orderId, at }] : [];
        return { payment, change: { writes: [row, ...writes], events, jobs } };
      },

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
      ledger(): Promise<Posting[]> {
        const { account, currency, debit, credit } = t.ledgerTotals;
        return db
          .select({
            account,
            currency,
            debit: sql<number>`sum(${debit})`.mapWith(Number),
            credit: sql<number>`sum(${credit})`.mapWith(Number),
          })
          .from(t.ledgerTotals)
          .groupBy(account, currency)
          .orderBy(account, currency);
      },
    };
  },
);

export const { tables } = store;

export type Store = StoreOf<typeof store>;

/** What the others are told of an event; what is only our own bookkeeping is not. */
function published(payment: Payment, event: PaymentEvent): NewEvent[] {
  const { orderId, total, captured } = payment;
  const money = (amount: number): Money => ({ amount, currency: total.currency });
  const movedBy = (amount: number) => ({ orderId, amount: money(amount), held: money(held(payment)) });
  switch (event.type) {
    case "declined":
      return [emit(PaymentDeclined, orderId, { orderId, reason: event.reason })];
    case "captured":
      return event.untold ? [] : [emit(PaymentCaptured, orderId, movedBy(captured))];
    case "voided":
      return [emit(PaymentVoided, orderId, movedBy(total.amount))];
    case "refunded":
      return [emit(PaymentRefunded, orderId, movedBy(event.refund.amount))];
    case "closed":
    case "nothing-held":
      return [emit(PaymentVoided, orderId, movedBy(0))];
    case "authorising":
    case "opened":
    case "disputed":
    case "found":
    case "authorised":
    case "given-up":
    case "capturing":
    case "voiding":
    case "refunding":
      return [];
    default:
      return event satisfies never;
  }
}

function moved({ total: { currency }, captured }: Payment, event: PaymentEvent): Movement | undefined {
  if (event.type === "captured") return { type: "captured", amount: { amount: captured, currency } };
  // A refund that turned out to have no money left moves none.
  if (event.type === "refunded" && event.refund.amount > 0)
    return { type: "refunded", amount: { amount: event.refund.amount, currency } };
  return undefined;
}

function shardOf(orderId: string): number {
  let hash = 0;
  for (let i = 0; i < orderId.length; i++) hash = (hash * 31 + orderId.charCodeAt(i)) | 0;
  return Math.abs(hash) % shards;
}

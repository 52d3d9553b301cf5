import { defineStore, type Place, type StoreOf, sealedRows } from "chassis";
import { and, count, desc, eq, lt, or, sql } from "drizzle-orm";
import { type Change, insert, remove, update, upsert, type Write } from "drizzle-outbox";
import type { EventName } from "./contracts.ts";
import type { AfterTry, Mail } from "./mail.ts";
import { tablesOf } from "./tables.ts";
import type { Delivery, Outcome, Webhook } from "./webhook.ts";

/** Sends one mail. */
export const mailJob = "mail";
/** Makes one try of a delivery. */
export const deliverJob = "deliver";
/** Forgets what is old, every hour. */
export const sweepJob = "sweep";

/** Where a webhook's secrets stand, for their seal. */
export const secretPlace = "webhooks.secret";

interface Listener {
  id: string;
  events: EventName[];
}

/** For so long it is remembered who listens, so that an order does not cost a look (ms). */
const listeningHolds = 1_000;

export const store = defineStore(tablesOf, (db, t, sealed) => {
  const webhookOf = ({ sealedWith: _, ...row }: typeof t.webhooks.$inferSelect): Webhook => ({
    ...row,
    events: JSON.parse(row.events) as EventName[],
  });
  const rowOf = ({ events, secrets, ...webhook }: Webhook) => ({
    ...webhook,
    events: JSON.stringify(events),
    secrets: secrets.map((secret) => ({ ...secret, sealed: current(secret.sealed, webhook.id) })),
    sealedWith: sealed.current,
  });
  /** As it is sealed with the current key. */
  const current = (secret: string, id: string): string =>
    sealed.keyOf(secret) === sealed.current
      ? secret
      : sealed.seal(sealed.open(secret, secretPlace, id), secretPlace, id);
  const delivery = (id: string): Promise<Delivery | undefined> => db.find(t.deliveries, { id });
  let listeners: { at: number; found: Promise<Listener[]> } | undefined;
  const forgetListeners = (): void => {
    listeners = undefined;
  };

  return {
    // ── Webhooks ──────────────────────────────────────────────────────────────────────────────────────────

    async webhook(id: string): Promise<Webhook | undefined> {
      const row = await db.find(t.webhooks, { id });
      return row && webhookOf(row);
    },
    /** Newest first. */
    async webhooks(owner: string, { after, limit }: { after?: Place; limit: number }): Promise<Webhook[]> {
      const { createdAt, id } = t.webhooks;
      const rows = await db
        .select()
        .from(t.webhooks)
        .where(
          and(
            eq(t.webhooks.owner, owner),
            after && or(lt(createdAt, after.at), and(eq(createdAt, after.at), lt(id, after.id))),
          ),
        )
        .orderBy(desc(createdAt), desc(id))
        .limit(limit);
      return rows.map(webhookOf);
    },
    async countWebhooks(owner: string): Promise<number> {
      const rows = await db.select({ id: t.webhooks.id }).from(t.webhooks).where(eq(t.webhooks.owner, owner));
      return rows.length;
    },
    /** Those that are to be told of an event. Of one that another replica has made or changed, within a second. */
    async listening(event: EventName, now: number): Promise<Listener[]> {
      if (listeners === undefined || Math.abs(now - listeners.at) >= listeningHolds) {
        const { id, events, status } = t.webhooks;
        const all = db.select({ id, events }).from(t.webhooks).where(eq(status, "enabled"));
        const found = all.then((rows) => rows.map((row) => ({ ...row, events: JSON.parse(row.events) })));
        listeners = { at: now, found };
        found.catch(forgetListeners);
      }
      return (await listeners.found).filter(({ events }) => events.includes(event));
    },
    addWebhook(webhook: Webhook): Write {
      forgetListeners();
      return insert(t.webhooks, rowOf(webhook));
    },
    saveWebhook(before: Webhook, { version: _, ...after }: Webhook): Write {
      forgetListeners();
      return update(
        t.webhooks,
        { ...rowOf({ ...after, version: before.version + 1 }) },
        { id: before.id, version: before.version },
        { rows: 1 },
      );
    },
    removeWebhook: (id: string): Write[] => [
      remove(t.webhooks, { id }, { rows: 1 }),
      remove(t.deliveries, { webhookId: id }),
    ],

    // ── Deliveries ────────────────────────────────────────────────────────────────────────────────────────

    delivery,
    /** Newest first. */
    deliveries(
      webhookId: string,
      { status, after, limit }: { status?: Delivery["status"]; after?: Place; limit: number },
    ): Promise<Delivery[]> {
      const { createdAt, id } = t.deliveries;
      return db
        .select()
        .from(t.deliveries)
        .where(
          and(
            eq(t.deliveries.webhookId, webhookId),
            status && eq(t.deliveries.status, status),
            after && or(lt(createdAt, after.at), and(eq(createdAt, after.at), lt(id, after.id))),
          ),
        )
        .orderBy(desc(createdAt), desc(id))
        .limit(limit);
    },
    addDeliveries(deliveries: Delivery[], at: number): Change {
      if (deliveries.length === 0) return {};
      return {
        writes: [insert(t.deliveries, deliveries)],
        jobs: deliveries.map(({ id: key }) => ({ kind: deliverJob, key, at })),
      };
    },
    /**
     * What a try has led to. Nothing here asks for a version: what was sent must not be sent again because somebody
     * else has changed something meanwhile.
     */
    afterTry({ id, webhookId }: Delivery, { delivery, webhook }: Outcome, at: number): Change {
      const { nextAt } = delivery;
      return {
        writes: [update(t.deliveries, delivery, { id }), ...webhookWrites(webhookId, webhook, at)],
        jobs: nextAt === null ? [] : [{ kind: deliverJob, key: id, at: nextAt }],
      };
    },
    deliverAgain: ({ id }: Delivery, change: Pick<Delivery, "status" | "nextAt">, at: number): Change => ({
      writes: [update(t.deliveries, { ...change, nextAt: at }, { id }, { rows: 1 })],
      jobs: [{ kind: deliverJob, key: id, at }],
    }),
    giveUp: ({ id }: Delivery): Change => ({
      writes: [update(t.deliveries, { status: "failed", nextAt: null }, { id })],
    }),

    // ── Mails ─────────────────────────────────────────────────────────────────────────────────────────────

    mail: (id: string): Promise<Mail | undefined> => db.find(t.mails, { id }),
    addMail: (mail: Mail, at: number): Change => ({
      writes: [insert(t.mails, mail)],
      jobs: [{ kind: mailJob, key: mail.id, at }],
    }),
    async mailsWaiting(): Promise<number> {
      const waiting = db.select({ many: count() }).from(t.mails).where(eq(t.mails.status, "pending"));
      return (await waiting)[0]?.many ?? 0;
    },
    /** Whom it goes to is forgotten with its end. */
    afterMail: ({ id }: Mail, { mail, nextAt }: AfterTry): Change => ({
      writes: [update(t.mails, mail.status === "pending" ? mail : { ...mail, sealed: null }, { id })],
      jobs: nextAt === undefined ? [] : [{ kind: mailJob, key: id, at: nextAt }],
    }),
    isUnsubscribed: async (digest: string): Promise<boolean> =>
      (await db.find(t.unsubscribed, { digest })) !== undefined,
    unsubscribe: (digest: string, at: number): Write =>
      upsert(t.unsubscribed, { digest, at }, { on: ["digest"] }),
    subscribe: (digest: string): Write => remove(t.unsubscribed, { digest }),

    // ── Forgetting ────────────────────────────────────────────────────────────────────────────────────────

    /** Of a user who is erased nothing stays that leads to them. */
    erase: (userId: string, at: number): Write[] => [
      update(
        t.mails,
        { sealed: null, status: "dropped", reason: "the user is erased", endedAt: at },
        { userId, status: "pending" },
      ),
      update(t.mails, { userId: null }, { userId }),
      remove(t.contacts, { customerId: userId }),
    ],
    sweep: (before: { deliveries: number; mails: number; contacts: number }): Write[] => [
      remove(
        t.deliveries,
        and(sql`${t.deliveries.status} <> 'pending'`, lt(t.deliveries.createdAt, before.deliveries)),
      ),
      remove(t.mails, and(sql`${t.mails.status} <> 'pending'`, lt(t.mails.createdAt, before.mails))),
      remove(t.contacts, lt(t.contacts.createdAt, before.contacts)),
    ],

    /** What is brought over to another key. */
    sealedRows: () => [
      sealedRows(db, t.webhooks, {
        id: t.webhooks.id,
        sealedWith: t.webhooks.sealedWith,
        reseal: (row) => {
          const { id, version } = row;
          const { secrets, sealedWith } = rowOf(webhookOf(row));
          return update(t.webhooks, { secrets, sealedWith }, { id, version }, { rows: 1 });
        },
      }),
    ],
  };

  function webhookWrites(id: string, { ...webhook }: Outcome["webhook"], at: number): Write[] {
    const next = sql`${t.webhooks.version} + 1`;
    switch (webhook.is) {
      case "well":
        return [update(t.webhooks, { failingSince: null }, { id })];
      case "failing":
        return [
          update(t.webhooks, { failingSince: sql`coalesce(${t.webhooks.failingSince}, ${at})` }, { id }),
        ];
      case "disabled":
        forgetListeners();
        return [
          update(
            t.webhooks,
            { status: "disabled", reason: webhook.reason, version: next },
            { id, status: "enabled" },
          ),
        ];
      default:
        return webhook satisfies never;
    }
  }
});

export type Store = StoreOf<typeof store>;
export const { tables } = store;

import type { Dialect } from "drizzle-outbox";
import type { EventName } from "./contracts.ts";
import type { Mail } from "./mail.ts";
import type { Delivery, Webhook } from "./webhook.ts";

/** The tables of this service. */
export const tablesOf = (t: Dialect) => ({
  webhooks: t.table(
    "webhooks",
    {
      id: t.text("id").primaryKey(),
      owner: t.text("owner").notNull(),
      url: t.text("url").notNull(),
      /** JSON as text, so that both databases find a name in it. */
      events: t.text("events").notNull(),
      status: t.text("status").$type<Webhook["status"]>().notNull(),
      reason: t.text("reason"),
      failingSince: t.integer("failing_since"),
      secrets: t.json<Webhook["secrets"]>("secrets").notNull(),
      /** The id of the key that its secrets are sealed with. */
      sealedWith: t.text("sealed_with"),
      version: t.integer("version").notNull(),
      createdAt: t.integer("created_at").notNull(),
    },
    (webhooks) => [
      t.index("webhooks_by_owner").on(webhooks.owner, webhooks.createdAt),
      t.index("webhooks_by_key").on(webhooks.sealedWith, webhooks.id),
    ],
  ),
  deliveries: t.table(
    "deliveries",
    {
      id: t.text("id").primaryKey(),
      webhookId: t.text("webhook_id").notNull(),
      eventId: t.text("event_id").notNull(),
      type: t.text("type").$type<EventName>().notNull(),
      payload: t.text("payload").notNull(),
      status: t.text("status").$type<Delivery["status"]>().notNull(),
      attempts: t.json<Delivery["attempts"]>("attempts").notNull(),
      nextAt: t.integer("next_at"),
      createdAt: t.integer("created_at").notNull(),
    },
    (deliveries) => [
      t.index("deliveries_by_webhook").on(deliveries.webhookId, deliveries.createdAt, deliveries.id),
      t.index("deliveries_by_time").on(deliveries.createdAt),
    ],
  ),
  mails: t.table(
    "mails",
    {
      id: t.text("id").primaryKey(),
      template: t.text("template").$type<Mail["template"]>().notNull(),
      status: t.text("status").$type<Mail["status"]>().notNull(),
      userId: t.text("user_id"),
      orderId: t.text("order_id"),
      language: t.text("language"),
      sealed: t.json<Mail["sealed"]>("sealed"),
      facts: t.json<Mail["facts"]>("facts"),
      tries: t.integer("tries").notNull(),
      reason: t.text("reason"),
      createdAt: t.integer("created_at").notNull(),
      endedAt: t.integer("ended_at"),
    },
    (mails) => [
      t.index("mails_by_user").on(mails.userId),
      t.index("mails_by_status").on(mails.status, mails.createdAt),
    ],
  ),
  /** Kept by versions before, which are told of addresses; orders is asked now. Emptied as they grow old. */
  contacts: t.table(
    "contacts",
    {
      orderId: t.text("order_id").primaryKey(),
      sealed: t.text("sealed").notNull(),
      reference: t.text("reference"),
      customerId: t.text("customer_id"),
      createdAt: t.integer("created_at").notNull(),
    },
    (contacts) => [
      t.index("contacts_by_customer").on(contacts.customerId),
      t.index("contacts_by_time").on(contacts.createdAt),
    ],
  ),
  /** Who wants no mails of a kind: a keyed digest of both. */
  unsubscribed: t.table("unsubscribed", {
    digest: t.text("digest").primaryKey(),
    at: t.integer("at").notNull(),
  }),
});

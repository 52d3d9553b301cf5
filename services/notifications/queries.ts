import type { DeliveryView, WebhookView } from "./contracts.ts";
import { type Delivery, signing, type Webhook } from "./webhook.ts";

const time = (at: number): string => new Date(at).toISOString();

/** A webhook as its owner sees it. */
export const webhookView = (webhook: Webhook, now: number): WebhookView => ({
  id: webhook.id,
  url: webhook.url,
  events: webhook.events,
  status: webhook.status,
  reason: webhook.reason,
  secrets: signing(webhook.secrets, now).length,
  createdAt: time(webhook.createdAt),
});

/** A delivery with all its tries. */
export const deliveryView = (delivery: Delivery): DeliveryView => ({
  id: delivery.id,
  event: { id: delivery.eventId, type: delivery.type },
  status: delivery.status,
  attempts: delivery.attempts.map(({ at, ...rest }) => ({ at: time(at), ...rest })),
  nextAttemptAt: delivery.nextAt === null ? null : time(delivery.nextAt),
  createdAt: time(delivery.createdAt),
});

import {
  type Commit,
  integer,
  type JobHandler,
  type Kit,
  type Measures,
  type Received,
  react,
} from "chassis";
import type { Change } from "drizzle-outbox";
import {
  type EventName,
  OrderCancelled,
  OrderConfirmed,
  OrderDelivered,
  OrderLinesCancelled,
  OrderRejected,
  OrderReturned,
  OrderReturnReceived,
  OrderShipped,
  PaymentCaptured,
  PaymentCaptureFailed,
  PaymentDeclined,
  PaymentExpired,
  PaymentRefunded,
  PaymentVoided,
  UserErased,
  UserMailRequested,
} from "./contracts.ts";
import { Pace, policyOf, Turns } from "./limits.ts";
import type { Mail, OrderFacts, OrderTemplate, Template } from "./mail.ts";
import { attempt } from "./outside/delivering.ts";
import { sendOut } from "./outside/mailing.ts";
import { deliverJob, mailJob, type Store, sweepJob } from "./store.ts";
import { tried } from "./webhook.ts";

type Got = Received<Store>;

export const reactions = [
  react(UserMailRequested, ({ template, userId, language, to, name, link }, got: Got) =>
    got.store.addMail(
      { ...blank(template, got), userId, language, sealed: { to, name, link } },
      // Somebody waits for it.
      got.now(),
    ),
  ),
  react(UserErased, ({ userId }, { store, now }: Got) => ({ writes: store.erase(userId, now()) })),

  react(OrderConfirmed, (order, got: Got) => {
    const { orderId, reference, total, lines } = order;
    return both("order.confirmed", order, "order-confirmed", { orderId, reference, total, lines }, got);
  }),
  react(OrderRejected, (order, got: Got) =>
    both("order.rejected", order, "order-rejected", { ...order, reference: null }, got),
  ),
  react(OrderCancelled, (order, got: Got) =>
    both("order.cancelled", order, "order-cancelled", { ...order, reference: null }, got),
  ),
  react(OrderLinesCancelled, (part, got: Got) => {
    const { orderId, lines, reason, open } = part;
    const facts = { orderId, reference: null, lines, reason, complete: open.length === 0 };
    return both("order.lines-cancelled", part, "order-lines-cancelled", facts, got);
  }),
  react(OrderShipped, (shipment, got: Got) => {
    const { orderId, reference, lines, carrier, tracking, complete } = shipment;
    const facts = { orderId, reference, lines, carrier, tracking, complete };
    return both("order.shipped", shipment, "order-shipped", facts, got);
  }),
  react(OrderDelivered, (shipment, got: Got) => tell("order.delivered", shipment, got)),
  react(OrderReturnReceived, (returned, got: Got) => tell("order.return-received", returned, got)),
  react(OrderReturned, (order, got: Got) => tell("order.returned", order, got)),
  react(PaymentRefunded, (payment, got: Got) => {
    // A return of what was never paid is answered, too: nobody needs a mail about that.
    if (payment.amount.amount === 0) return tell("payment.refunded", payment, got);
    return both(
      "payment.refunded",
      payment,
      "payment-refunded",
      { orderId: payment.orderId, reference: null, total: payment.amount },
      got,
    );
  }),
  react(PaymentCaptured, (payment, got: Got) => tell("payment.captured", payment, got)),
  react(PaymentCaptureFailed, (payment, got: Got) => tell("payment.capture-failed", payment, got)),
  react(PaymentExpired, (payment, got: Got) => tell("payment.expired", payment, got)),
  react(PaymentDeclined, (payment, got: Got) => tell("payment.declined", payment, got)),
  react(PaymentVoided, (payment, got: Got) => tell("payment.voided", payment, got)),
];

/** A delivery for every webhook that is to be told. */
async function tell(type: EventName, data: object, { store, eventId, at, now, id }: Got): Promise<Change> {
  const listening = await store.listening(type, now());
  if (listening.length === 0) return {};
  const timestamp = new Date(at).toISOString();
  const payload = JSON.stringify({ type, timestamp, data });
  const blank = { eventId, type, payload, status: "pending" as const, attempts: [], createdAt: now() };
  return store.addDeliveries(
    listening.map(({ id: webhookId }) => ({ ...blank, id: id(), webhookId, nextAt: now() })),
    now(),
  );
}

async function both(
  type: EventName,
  data: object,
  template: OrderTemplate,
  facts: OrderFacts,
  got: Got,
): Promise<Change> {
  const told = await tell(type, data, got);
  const mail = { ...blank(template, got), orderId: facts.orderId, facts };
  const mailed = got.store.addMail(mail, paceOf(got).slot(got.now()));
  return {
    writes: [...(mailed.writes ?? []), ...(told.writes ?? [])],
    jobs: [...(mailed.jobs ?? []), ...(told.jobs ?? [])],
  };
}

// Ids of events are one service's own; each template is for events of one service.
const blank = (template: Template, { eventId, now }: Got): Mail => ({
  id: `${eventId}.${template}`,
  template,
  status: "pending",
  userId: null,
  orderId: null,
  language: null,
  sealed: null,
  facts: null,
  tries: 0,
  reason: null,
  createdAt: now(),
  endedAt: null,
});

const paces = new WeakMap<object, Pace>();

/** `MAILS_PER_SECOND`: how many mails about orders; a mail server takes only so many, and the shop has more to do. */
function paceOf({ config }: Pick<Kit<Store>, "config">): Pace {
  const pace = paces.get(config) ?? new Pace(1_000 / Math.max(1, integer(config, "MAILS_PER_SECOND", 10)));
  paces.set(config, pace);
  return pace;
}

export const jobs: Record<string, JobHandler<Store>> = {
  [mailJob]: async ({ key }, kit) => {
    const mail = await kit.store.mail(key);
    if (mail?.status !== "pending") return undefined;
    const after = await sendOut(mail, kit);
    count(counted.mails, after.mail.status);
    return kit.store.afterMail(mail, after);
  },
  [deliverJob]: ({ key }, kit) => deliver(key, kit),
  [sweepJob]: (_, { store, now }) => ({
    writes: store.sweep({
      deliveries: now() - 30 * day,
      mails: now() - 30 * day,
      contacts: now() - 180 * day,
    }),
    jobs: [{ kind: sweepJob, key: "", at: now() + hour }],
  }),
};

const hour = 60 * 60_000;
const day = 24 * hour;

/** New mails queue behind those that wait already; and the first sweep, each schedules the next. */
export async function prepare(kit: Kit<Store>, commit: Commit): Promise<void> {
  const { now, store } = kit;
  paceOf(kit).behind(await store.mailsWaiting(), now());
  await commit({ jobs: [{ kind: sweepJob, key: "", at: now() }] });
}

const turns = new Turns(4);
const turnComes = 250;

async function deliver(id: string, kit: Kit<Store>): Promise<Change | undefined> {
  const { config, log, now, store } = kit;
  const delivery = await store.delivery(id);
  const webhook = delivery && (await store.webhook(delivery.webhookId));
  if (delivery?.status !== "pending" || webhook === undefined) return undefined;
  if (webhook.status === "disabled") return store.giveUp(delivery);
  const over = turns.take(webhook.id);
  if (over === undefined) return { jobs: [{ kind: deliverJob, key: id, at: now() + turnComes }] };
  try {
    const made = await attempt(delivery, webhook, kit);
    const outcome = tried(delivery, webhook, made, { policy: policyOf(config.env), spread: Math.random() });
    if (outcome.webhook.is === "disabled") {
      log.warn({ webhook: webhook.id, reason: outcome.webhook.reason }, "a webhook is disabled");
    }
    count(counted.deliveries, outcome.delivery.status);
    return store.afterTry(delivery, outcome, made.at);
  } finally {
    over();
  }
}

/** What became of tries since this process began. */
const counted = { mails: new Map<string, number>(), deliveries: new Map<string, number>() };
const count = (results: Map<string, number>, result: string): void => {
  results.set(result, (results.get(result) ?? 0) + 1);
};

export const measures: Measures<Store> = {
  souk_mails_total: {
    help: "Tries to send a mail, by what the mail is after it",
    label: "status",
    counts: true,
    read: () => Object.fromEntries(counted.mails),
  },
  souk_webhook_tries_total: {
    help: "Tries to deliver an event to a webhook, by what the delivery is after it",
    label: "status",
    counts: true,
    read: () => Object.fromEntries(counted.deliveries),
  },
};

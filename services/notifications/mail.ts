/** What is mailed, and what becomes of it. */

export type AccountTemplate = "verify-email" | "reset-password" | "already-registered";
export type OrderTemplate =
  | "order-confirmed"
  | "order-shipped"
  | "order-rejected"
  | "order-cancelled"
  | "order-lines-cancelled"
  | "payment-refunded";
export type Template = AccountTemplate | OrderTemplate;

/** What one can do without: it tells what one has asked for oneself, or waits for. Everything else is always sent. */
const optional: Partial<Record<Template, Topic>> = {
  "order-shipped": "order-updates",
  "order-cancelled": "order-updates",
  "payment-refunded": "order-updates",
};

/** What one unsubscribes from in a mail; undefined: it is always sent. */
export const topicOf = ({ template, facts }: Pick<Mail, "template" | "facts">): Topic | undefined =>
  // Nobody has asked for what came about by itself.
  template === "order-cancelled" && facts?.reason !== undefined ? undefined : optional[template];

/** What one can unsubscribe from. */
export type Topic = "order-updates";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

/** What a mail about an order says, nothing personal in it. */
export interface OrderFacts {
  orderId: string;
  reference: string | null;
  total?: Money;
  lines?: { sku: string; name?: string; quantity: number; unitPrice?: Money }[];
  reason?: "out-of-stock" | "payment-declined" | "timed-out" | "authorisation-expired";
  carrier?: string;
  tracking?: string;
  /** Nothing is left to be sent. */
  complete?: boolean;
}

/** A mail that was asked for. Whom it goes to is kept sealed, and only until it has gone out. */
export interface Mail {
  /** Made of the id of the event that asked for it. */
  id: string;
  template: Template;
  status: "pending" | "sent" | "failed" | "dropped";
  userId: string | null;
  orderId: string | null;
  language: string | null;
  sealed: { to: string; name: string; link: string } | null;
  facts: OrderFacts | null;
  tries: number;
  /** Why it was not sent; nothing personal. */
  reason: string | null;
  createdAt: number;
  endedAt: number | null;
}

/** How a try ended. `refused`: the mail server does not know such an address, and will not tomorrow. */
export type Sent = { is: "sent" } | { is: "refused"; reason: string } | { is: "unsent"; reason: string };

const firstWait = 1_000;
const longestWait = 5 * 60_000;
/** A mail server that is away for longer has lost more than ours (RFC 5321, 4.5.4.1: four to five days). */
const givenUpAfter = 4 * 24 * 60 * 60_000;

export interface AfterTry {
  mail: Pick<Mail, "status" | "tries" | "reason" | "endedAt">;
  /** When it is tried again (ms). */
  nextAt?: number;
}

/** What follows from a try: it waits longer each time, up to five minutes, and for four days. */
export function afterTry({ tries: before, createdAt }: Mail, sent: Sent, at: number): AfterTry {
  const tries = before + 1;
  if (sent.is === "sent") return { mail: { status: "sent", tries, reason: null, endedAt: at } };
  const late = at - createdAt >= givenUpAfter;
  if (sent.is === "refused" || late) {
    return { mail: { status: "failed", tries, reason: sent.reason, endedAt: at } };
  }
  const nextAt = at + Math.min(longestWait, firstWait * 2 ** Math.min(before, 20));
  return { mail: { status: "pending", tries, reason: sent.reason, endedAt: null }, nextAt };
}

/** Ends a mail that nobody wants or can have any more. */
export const dropped = ({ tries }: Mail, reason: string, at: number): AfterTry => ({
  mail: { status: "dropped", tries, reason, endedAt: at },
});

import type Stripe from "stripe";
import type { Dispute, Money } from "../payment.ts";
import type { Statement } from "../reconcile.ts";
import { fromStripe } from "./stripe-money.ts";

// What Stripe's objects say of a payment, in our words.

export function stateOf({ status }: Stripe.PaymentIntent): Statement["state"] {
  switch (status) {
    case "succeeded":
      return "captured";
    case "canceled":
      return "voided";
    // Made and not confirmed, or declined: nothing is held, and nobody but us can confirm it.
    case "requires_payment_method":
      return "declined";
    default:
      return "open";
  }
}

export const sum = (refunds: Stripe.Refund[]): number => refunds.reduce((all, { amount }) => all + amount, 0);

/** What went back under a refund's key: with what others had given back already, where too little was left. */
export const stands = ({ amount, currency, metadata }: Stripe.Refund): number =>
  fromStripe(Number(metadata?.covers ?? amount), currency).amount;

export async function disputesOf(stripe: Stripe, reference: string): Promise<Dispute[]> {
  const { data } = await stripe.disputes.list({ payment_intent: reference, limit: 100 });
  return data.map(({ id, status, reason, amount, currency }) => ({
    reference: id,
    status,
    reason,
    amount: fromStripe(amount, currency).amount,
  }));
}

/** A bank has not decided yet: what it asks about cannot be refunded meanwhile. */
export const isOpen = ({ status }: Dispute): boolean => /^(needs_response|under_review)$/.test(status);

/** What banks have taken back for their customers. */
export const lost = (disputes: Dispute[], currency: string): Money => ({
  amount: disputes.reduce((all, { status, amount }) => (status === "lost" ? all + amount : all), 0),
  currency: currency.toUpperCase(),
});

/** The payment that an object is, or belongs to. */
export function subject(object: unknown): {
  reference: string | undefined;
  metadata: Stripe.Metadata | undefined;
} {
  const {
    object: kind,
    id,
    payment_intent: of,
    metadata,
  } = object as {
    object: string;
    id: string;
    payment_intent?: string | { id: string } | null;
    metadata?: Stripe.Metadata;
  };
  const reference = kind === "payment_intent" ? id : typeof of === "object" ? of?.id : of;
  return { reference, metadata };
}

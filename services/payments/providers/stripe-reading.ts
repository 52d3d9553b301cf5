import type Stripe from "stripe";
import type { Asked as Taken } from "../captures.ts";
import type { Dispute, Money } from "../payment.ts";
import type { Statement } from "../reconcile.ts";
import type { Approval } from "./provider.ts";
import { fromStripe } from "./stripe-money.ts";

// What Stripe's objects say of a payment, in our words.

export function stateOf({ status, amount_received: received }: Stripe.PaymentIntent): Statement["state"] {
  switch (status) {
    case "succeeded":
      return "captured";
    case "canceled":
      return received > 0 ? "captured" : "voided";
    // Made and not confirmed, or declined: nothing is held, and nobody but us can confirm it.
    case "requires_payment_method":
      return "declined";
    default:
      return "open";
  }
}

/** The field of an intent's metadata that says of a capture that it is done; Stripe allows 40 characters. */
export const captureField = (part: string): string => `capture:${part}`;

/** All that was captured, by our names; what was captured at once, or on Stripe's own pages, has none. */
export function takenOf({ metadata, currency, amount_received: received }: Stripe.PaymentIntent): Taken[] {
  const named = Object.entries(metadata).flatMap(([field, amount]) =>
    field.startsWith("capture:") ? [{ key: field.slice("capture:".length), amount: Number(amount) }] : [],
  );
  const rest = received - named.reduce((all, { amount }) => all + amount, 0);
  const all = rest > 0 ? [{ amount: rest }, ...named] : named;
  return all.map((one) => ({ ...one, amount: fromStripe(one.amount, currency).amount }));
}

function cardOf({ latest_charge: charge }: Stripe.PaymentIntent) {
  return typeof charge === "object" ? charge?.payment_method_details?.card : undefined;
}

/** Whether it can be captured only once: not every card can do more, and not every account may. */
export const isWhole = (intent: Stripe.PaymentIntent): boolean =>
  cardOf(intent)?.multicapture?.status !== "available";

export function approvalOf(intent: Stripe.PaymentIntent): Approval {
  const before = cardOf(intent)?.capture_before;
  return {
    approved: true,
    ...(before ? { until: before * 1_000 } : {}),
    ...(isWhole(intent) ? { whole: true } : {}),
  };
}

/** A refund's number, or the return that it is for, as it is in its key; nothing for one of other hands than ours. */
export function refundOf({ metadata }: Stripe.Refund): { number: number } | { key: string } | undefined {
  const [, kind, name = ""] = /:(refund|return):(.+)$/.exec(metadata?.key ?? "") ?? [];
  if (kind === undefined) return undefined;
  return kind === "return" ? { key: name } : { number: Number(name) };
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

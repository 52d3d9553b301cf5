import { refundable } from "./holding.ts";
import type { Command, Decision, Payment, PaymentEvent, Refund } from "./payment.ts";

/** By what a refund is known among those of its payment. */
export const refundName = ({ number, key }: Pick<Refund, "number" | "key">): string =>
  key === undefined ? `refund:${number}` : `return:${key}`;

/** Somebody on the staff gives money back. */
export function refund(
  payment: Payment | undefined,
  { amount, reason, at }: Command & { type: "refund" },
): Decision {
  if (payment === undefined || payment.captured === 0) {
    return { rejected: "nothing-captured", detail: "No money of this order has been captured" };
  }
  const most = refundable(payment);
  if (most === 0) {
    return {
      rejected: "nothing-to-refund",
      detail: "All money of this order has been given back, or is about to be",
    };
  }
  const { currency } = payment.total;
  if (amount && amount.currency !== currency) {
    const errors = [{ pointer: "/amount/currency", detail: `must be ${currency}` }];
    return { rejected: "wrong-currency", detail: `The order was paid in ${currency}`, errors };
  }
  if (amount && amount.amount > most) {
    const errors = [{ pointer: "/amount/amount", detail: `at most ${most}` }];
    return { rejected: "refund-too-large", detail: `At most ${most} can still be refunded`, errors };
  }
  const begun: Refund = { number: payment.refunds + 1, amount: amount?.amount ?? most };
  return [{ type: "refunding", at, refund: reason === undefined ? begun : { ...begun, reason } }];
}

/** Goods have come back: their worth is given back, once however often that is asked, and never more than there is. */
export function giveBack(
  payment: Payment | undefined,
  { orderId, key, amount: { amount, currency }, at }: Command & { type: "give-back" },
): PaymentEvent[] {
  if (payment?.asked.some((one) => one === `return:${key}` || one === `no-return:${key}`)) return [];
  const nothing: PaymentEvent = { type: "nothing-refunded", at, key };
  if (payment === undefined) return [{ type: "closed", at, orderId }, nothing];
  const most = currency === payment.total.currency ? Math.min(amount, refundable(payment)) : 0;
  if (most === 0) return [nothing];
  return [{ type: "refunding", at, refund: { number: payment.refunds + 1, amount: most, key } }];
}

/**
 * The provider's amount holds, as far as there was so much to give back. Should it leave nothing for the refunds that
 * wait, they end with nothing.
 */
export function refunded(
  payment: Payment | undefined,
  { number, amount: given, at }: Command & { type: "refunded" },
): PaymentEvent[] {
  const [first, ...rest] = payment?.pending ?? [];
  if (payment?.status !== "refunding" || first?.number !== number) return [];
  const amount = Math.min(given, payment.captured - payment.refunded);
  const moot = payment.refunded + amount < payment.captured ? [] : rest;
  return [{ ...first, amount }, ...moot.map((one) => ({ ...one, amount: 0 }))].map((one) => ({
    type: "refunded",
    at,
    refund: one,
  }));
}

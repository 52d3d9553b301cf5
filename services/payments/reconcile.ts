import type { Command, Money, Payment, PaymentEvent } from "./payment.ts";

/** A payment as its provider has it. `open`: held, or asked for. Refunds in the order of their numbers. */
export interface Statement {
  total: Money;
  state: "open" | "declined" | "voided" | "captured";
  refunds: { number: number; amount: number }[];
}

/** Taken, as the provider says, without our having waited for it. */
export const captured = (at: number): PaymentEvent[] => [
  { type: "capturing", at },
  { type: "captured", at },
];

/**
 * Takes in what the provider knows of a payment and we do not, as after a restore from a backup. Money of an order
 * that never asked for it goes back. While a call is under way its answer says what is so.
 */
export function reconcile(
  payment: Payment | undefined,
  { orderId, method, statement, at }: Command & { type: "reconcile" },
): PaymentEvent[] {
  const { total, state, refunds } = statement;
  const given = refunds
    .filter(({ number }) => number > (payment?.refunds ?? 0))
    .flatMap((refund): PaymentEvent[] => [
      { type: "refunding", at, refund },
      { type: "refunded", at, refund },
    ]);
  if (payment === undefined || payment.status === "closed") {
    if (state === "declined" || state === "voided") return [];
    const found: PaymentEvent = { type: "found", at, orderId, total, method };
    if (state !== "captured") return [found];
    return [found, { type: "capturing", at }, { type: "captured", at, untold: true }, ...given];
  }
  return payment.status === "captured" ? given : [];
}

import type { Command, Dispute, Money, Payment, PaymentEvent } from "./payment.ts";

/** A payment as its provider has it. `open`: held, or asked for. Refunds in the order of their numbers. */
export interface Statement {
  total: Money;
  state: "open" | "declined" | "voided" | "captured";
  refunds: { number: number; amount: number }[];
  /** All that went back, also by other hands than ours; minor units. Absent: what `refunds` adds up to. */
  refunded?: number;
  /** The provider's name for the payment. */
  reference?: string;
  disputes?: Dispute[];
}

/** Taken, as the provider says, without our having waited for it. */
export const captured = (at: number): PaymentEvent[] => [
  { type: "capturing", at },
  { type: "captured", at },
];

/**
 * Takes in what the provider knows of a payment and we do not, as after a restore from a backup, or when somebody has
 * used the provider's own pages. Money of an order that never asked for it, or does not any more, goes back. While a
 * call is under way its answer says what is so.
 */
export function reconcile(
  payment: Payment | undefined,
  { orderId, method, statement, at }: Command & { type: "reconcile" },
): PaymentEvent[] {
  const { total, state, reference } = statement;
  const nobodys =
    payment === undefined || ["closed", "declined", "voided"].includes(payment.status) ? payment : null;
  if (nobodys !== null) {
    if (state === "declined" || state === "voided") return [];
    const named = reference === undefined ? {} : { reference };
    const found: PaymentEvent = { type: "found", at, orderId, total, method, ...named };
    if (state !== "captured") return [found];
    const taken: PaymentEvent[] = [
      { type: "capturing", at },
      { type: "captured", at, untold: true },
    ];
    return [found, ...taken, ...givenBack(nobodys, statement, at)];
  }
  const news = disputed(payment, statement, at);
  return payment?.status === "captured" ? [...givenBack(payment, statement, at), ...news] : news;
}

/** Our own refunds that we do not remember, then what others gave back. */
function givenBack(payment: Payment | undefined, statement: Statement, at: number): PaymentEvent[] {
  const begun = payment?.refunds ?? 0;
  const given = statement.refunds.filter(({ number }) => number > begun);
  const known = given.reduce((sum, { amount }) => sum + amount, payment?.refunded ?? 0);
  const rest = (statement.refunded ?? known) - known;
  const number = (given.at(-1)?.number ?? begun) + 1;
  const others = rest > 0 ? [{ number, amount: rest, reason: "given back at the provider" }] : [];
  return [...given, ...others].flatMap((refund): PaymentEvent[] => [
    { type: "refunding", at, refund },
    { type: "refunded", at, refund },
  ]);
}

function disputed(
  payment: Payment | null | undefined,
  { disputes = [] }: Statement,
  at: number,
): PaymentEvent[] {
  const known = new Map((payment?.disputes ?? []).map(({ reference, status }) => [reference, status]));
  return disputes
    .filter(({ reference, status }) => known.get(reference) !== status)
    .map((dispute) => ({ type: "disputed", at, dispute }));
}

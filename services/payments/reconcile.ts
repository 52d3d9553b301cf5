import { type Asked, nameOf, taking } from "./captures.ts";
import { isAtRest, open } from "./holding.ts";
import type { Command, Dispute, Money, Payment, PaymentEvent, Refund } from "./payment.ts";
import { refundName } from "./refunds.ts";

/** A payment as its provider has it. */
export interface Statement {
  total: Money;
  /** `open`: asked for, or held beside what was taken. `captured`: nothing is held but what was taken. */
  state: "open" | "declined" | "voided" | "captured";
  /** All that was taken, whoever did it. */
  captures: Asked[];
  /** Those that we asked for, by our names. */
  refunds: ({ amount: number } & ({ number: number } | { key: string }))[];
  /** All that went back, also by other hands than ours; minor units. Absent: what `refunds` adds up to. */
  refunded?: number;
  /** The provider's name for the payment. */
  reference?: string;
  disputes?: Dispute[];
}

/**
 * Takes in what the provider knows of a payment and we do not, as after a restore from a backup, or when somebody has
 * used the provider's own pages. Money of an order that never asked for it, or does not any more, goes back. While a
 * call is under way its answer says what is so.
 */
export function reconcile(
  payment: Payment | undefined,
  { orderId, method, statement, at }: Command & { type: "reconcile" },
): PaymentEvent[] {
  const { total, state, captures, reference } = statement;
  if (payment === undefined || nobodys.has(payment.status)) {
    if (state === "declined" || state === "voided") return [];
    const named = reference === undefined ? {} : { reference };
    const authorised = state === "open" ? total.amount : sum(captures);
    const found: PaymentEvent = { type: "found", at, orderId, total, authorised, method, ...named };
    return [found, ...captures.flatMap((one) => taking(one, at, true)), ...givenBack(payment, statement, at)];
  }
  const news = disputed(payment, statement, at);
  if (!isAtRest(payment)) return news;
  const unknown = captures.filter((one) => !payment.asked.includes(nameOf(one)));
  const left = open(payment) - sum(unknown);
  const over: PaymentEvent = { type: payment.wanted === "undo" ? "voided" : "expired", at };
  return [
    ...unknown.flatMap((one) => taking(one, at)),
    ...(state !== "open" && left > 0 ? [over] : []),
    ...givenBack(payment, statement, at),
    ...news,
  ];
}

/** Nothing is held of these, as far as we know. */
const nobodys = new Set<Payment["status"]>(["closed", "declined", "voided", "expired"]);

const sum = (amounts: { amount: number }[]): number => amounts.reduce((all, { amount }) => all + amount, 0);

/** A way in which our books and the provider's differ; minor units. */
export interface Difference {
  what: "captured" | "refunded" | "held";
  ours: number;
  theirs: number;
}

/** In what a payment of which nothing is under way differs from what its provider says. */
export function differences(payment: Payment | undefined, statement: Statement): Difference[] {
  const { state, total, captures, refunds, refunded = sum(refunds) } = statement;
  const taken = sum(captures);
  const pairs: Difference[] = [
    { what: "captured", ours: payment?.captured ?? 0, theirs: taken },
    { what: "refunded", ours: payment?.refunded ?? 0, theirs: refunded },
    { what: "held", ours: payment ? open(payment) : 0, theirs: state === "open" ? total.amount - taken : 0 },
  ];
  return pairs.filter(({ ours, theirs }) => ours !== theirs);
}

/** A difference of one payment, and whether our books take it over or what is too much goes back. */
export type Found = Difference & { orderId: string; currency: string; settled: boolean };

/** A comparison of our books with the providers'; times in ms. */
export interface Reconciliation {
  id: string;
  startedAt: number;
  endedAt: number | null;
  /** Payments that were touched since then. */
  since: number;
  compared: number;
  different: number;
  /** The first of them. */
  differences: Found[];
}

/** How many differences a reconciliation keeps; all of them are counted. */
const kept = 100;

/** The reconciliation after some more payments have been compared. */
export function counted(run: Reconciliation, compared: number, found: Found[]): Reconciliation {
  return {
    ...run,
    compared: run.compared + compared,
    different: run.different + found.length,
    differences: [...run.differences, ...found].slice(0, kept),
  };
}

/** Our own refunds that we do not remember, then what others gave back; no more of both than has gone back in all. */
function givenBack(payment: Payment | undefined, statement: Statement, at: number): PaymentEvent[] {
  const { refunds, refunded: theirs = sum(refunds) } = statement;
  let left = theirs - (payment?.refunded ?? 0);
  let number = payment?.refunds ?? 0;
  const events: PaymentEvent[] = [];
  const take = (one: Omit<Refund, "number"> & { number?: number }): void => {
    const amount = Math.min(one.amount, left);
    if (amount <= 0) return;
    left -= amount;
    number = Math.max(number + 1, one.number ?? 0);
    const refund = { ...one, number: one.number ?? number, amount };
    events.push({ type: "refunding", at, refund }, { type: "refunded", at, refund });
  };
  for (const one of refunds) if (!payment?.asked.includes(refundName({ number: 0, ...one }))) take(one);
  take({ amount: left, reason: "given back at the provider" });
  return events;
}

function disputed(payment: Payment, { disputes = [] }: Statement, at: number): PaymentEvent[] {
  const known = new Map((payment.disputes ?? []).map(({ reference, status }) => [reference, status]));
  return disputes
    .filter(({ reference, status }) => known.get(reference) !== status)
    .map((dispute) => ({ type: "disputed", at, dispute }));
}

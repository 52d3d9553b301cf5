import type { Rejection } from "chassis";
import { evolve } from "./evolve.ts";
import { captured, reconcile, type Statement } from "./reconcile.ts";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

export interface Refund {
  /** 1 for the first of a payment. */
  number: number;
  amount: number;
  reason?: string;
}

/** A customer's bank asks for the money back. */
export interface Dispute {
  /** The provider's name for it. */
  reference: string;
  /** In the provider's words. */
  status: string;
  reason: string;
  /** Minor units. */
  amount: number;
}

export type DeclineReason = "payment-declined" | "timed-out";

/** What a client reads. */
export type PublicStatus =
  | "authorising"
  | "authorised"
  | "declined"
  | "capturing"
  | "captured"
  | "voiding"
  | "voided"
  | "refunding"
  | "refunded";

export interface Entry {
  at: number;
  status: PublicStatus;
  amount?: number;
  reason?: string;
}

export interface Facts {
  orderId: string;
  version: number;
  total: Money;
  /**
   * What the order wants of its money in the end: `undo` once it is given up, which is never taken back. A call that
   * is under way then is settled first.
   */
  wanted: "capture" | "undo";
  /** Approved by the provider and not voided. */
  authorised: number;
  captured: number;
  refunded: number;
  /** Refunds begun so far. */
  refunds: number;
  disputes?: Dispute[];
  history: Entry[];
}

/** The provider that the order is paid with, and its own name for the payment, where it gives one. */
export type Known = Facts & { method: string; reference?: string };

/** While a status ends in -ing, exactly one job calls the provider. */
export type Payment =
  /** The order was given up before anything was asked of a provider: nothing ever will be. */
  | (Facts & { status: "closed" })
  | (Known & { status: "authorising"; token: string })
  /** Only passed through: with the approval itself the capture begins, or the void. */
  | (Known & { status: "authorised" })
  | (Known & { status: "capturing" | "captured" | "voiding" | "voided" | "refunded" })
  | (Known & { status: "declined"; reason: DeclineReason })
  /** Refunds go one after the other; the first is under way. */
  | (Known & { status: "refunding"; pending: [Refund, ...Refund[]] });

export type Command = { at: number } & (
  | { type: "authorise"; orderId: string; total: Money; method: string; token: string }
  | { type: "abort"; orderId: string }
  | { type: "refund"; amount?: Money; reason?: string }
  | { type: "reconcile"; orderId: string; method: string; statement: Statement }
  | Outcome
);

/** What came of a call to the provider. */
export type Outcome =
  /** The provider knows of the payment by now; no money has moved. */
  | { type: "opened"; reference: string }
  | { type: "authorised" }
  /** `why`: more than the reason says, in words that a customer may read. */
  | { type: "declined"; reason: DeclineReason; why?: string }
  | { type: "captured" }
  | { type: "voided" }
  /** `amount` is what the provider gave back under this number. */
  | { type: "refunded"; number: number; amount: number };

export type PaymentEvent = { at: number } & (
  | { type: "closed"; orderId: string }
  | { type: "authorising"; orderId: string; total: Money; method: string; token: string }
  /** A provider has money of an order that nobody here has asked it for, or has asked no more. */
  | { type: "found"; orderId: string; total: Money; method: string; reference?: string }
  | { type: "opened"; reference: string }
  | { type: "given-up" }
  | { type: "authorised" }
  | { type: "declined"; reason: DeclineReason; why?: string }
  | { type: "capturing" }
  /** Nobody is told of money that is only found to be given back. */
  | { type: "captured"; untold?: true }
  | { type: "voiding" }
  | { type: "voided" }
  | { type: "refunding"; refund: Refund }
  | { type: "refunded"; refund: Refund }
  /** The answer to an order that is given up, where there is nothing to give back. */
  | { type: "nothing-held" }
  | { type: "disputed"; dispute: Dispute }
);

type Decision = PaymentEvent[] | Rejection;

/** What follows from a command, or from what came of a call. What comes twice, or too late, changes nothing. */
export function decide(payment: Payment | undefined, command: Command): Decision {
  const decided = answer(payment, command);
  if (!Array.isArray(decided) || decided.length === 0) return decided;
  const after = decided.reduce(evolve, payment);
  return after ? [...decided, ...next(after, command.at)] : decided;
}

/** The call that follows at once from what came of the one before it. */
function next(payment: Payment, at: number): PaymentEvent[] {
  const { status, wanted } = payment;
  if (status === "authorised") return [{ type: wanted === "undo" ? "voiding" : "capturing", at }];
  if (status === "captured" && wanted === "undo") {
    return [{ type: "refunding", at, refund: { number: payment.refunds + 1, amount: refundable(payment) } }];
  }
  return [];
}

function answer(payment: Payment | undefined, command: Command): Decision {
  const { at } = command;
  switch (command.type) {
    case "authorise": {
      const { orderId, total, method, token } = command;
      if (total.amount === 0 || payment) return [];
      return [{ type: "authorising", at, orderId, total, method, token }];
    }
    case "abort":
      return abort(payment, command.orderId, at);
    case "refund":
      return refund(payment, command);
    case "opened":
      if (payment?.status !== "authorising" || payment.reference !== undefined) return [];
      return [{ type: "opened", at, reference: command.reference }];
    case "authorised":
      return payment?.status === "authorising" ? [{ type: "authorised", at }] : [];
    case "declined":
      return payment?.status === "authorising" ? declined(payment, command.reason, at, command.why) : [];
    case "captured":
      if (payment?.status === "capturing") return [{ type: "captured", at }];
      // Taken in a time that we do not remember.
      return payment?.status === "voiding" ? captured(at) : [];
    case "voided":
      if (payment?.status === "voiding") return [{ type: "voided", at }];
      return payment?.status === "capturing" ? declined(payment, "timed-out", at) : [];
    case "refunded":
      return refunded(payment, command);
    case "reconcile":
      return reconcile(payment, command);
    default:
      return command satisfies never;
  }
}

function abort(payment: Payment | undefined, orderId: string, at: number): PaymentEvent[] {
  if (payment === undefined) return [{ type: "closed", at, orderId }];
  switch (payment.status) {
    case "authorising":
    case "authorised":
    case "capturing":
    case "captured":
    case "refunding":
      return payment.wanted === "undo" ? [] : [{ type: "given-up", at }];
    case "voiding":
      return [];
    case "closed":
    case "voided":
    case "declined":
    case "refunded":
      return [{ type: "nothing-held", at }];
    default:
      return payment satisfies never;
  }
}

function declined({ wanted }: Payment, reason: DeclineReason, at: number, why?: string): PaymentEvent[] {
  const event: PaymentEvent = { type: "declined", at, reason, ...(why === undefined ? {} : { why }) };
  return wanted === "undo" ? [event, { type: "nothing-held", at }] : [event];
}

/** The provider's amount holds. Should it leave nothing for the refunds that wait, they end with nothing. */
function refunded(
  payment: Payment | undefined,
  { number, amount, at }: Command & { type: "refunded" },
): PaymentEvent[] {
  if (payment?.status !== "refunding" || payment.pending[0].number !== number) return [];
  const [first, ...rest] = payment.pending;
  const moot = payment.refunded + amount < payment.captured ? [] : rest;
  return [{ ...first, amount }, ...moot.map((refund) => ({ ...refund, amount: 0 }))].map((refund) => ({
    type: "refunded",
    at,
    refund,
  }));
}

function refund(
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

/** What is captured and neither given back nor about to be. */
export function refundable(payment: Payment): number {
  const begun =
    payment.status === "refunding" ? payment.pending.reduce((sum, { amount }) => sum + amount, 0) : 0;
  return payment.captured - payment.refunded - begun;
}

/** The customer's money that a provider holds for the order: authorised or captured, and not given back. */
export const held = ({ authorised, refunded }: Payment): number => authorised - refunded;

/** The status that a client reads. */
export function shown({ status }: Payment): PublicStatus {
  return status === "closed" ? "voided" : status;
}

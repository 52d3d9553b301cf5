import type { Rejection } from "chassis";

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

export type DeclineReason = "payment-declined" | "timed-out";

/** What a client reads. */
export type PublicStatus =
  | "pending"
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

interface Facts {
  orderId: string;
  version: number;
  total: Money;
  /**
   * What the order wants of its money in the end. A call that is under way when this changes is settled first;
   * `undo` is never taken back.
   */
  wanted: "hold" | "capture" | "undo";
  /** Approved by the provider and not voided. */
  authorised: number;
  captured: number;
  refunded: number;
  /** Refunds begun so far. */
  refunds: number;
  history: Entry[];
}

/** The provider that the order is paid with. */
type Known = Facts & { method: string };

/** While a status ends in -ing, exactly one job calls the provider. */
export type Payment =
  /** The order's wish to capture came before its wish to authorise. */
  | (Facts & { status: "awaited" })
  /** The order was given up before anything was asked of a provider: nothing ever will be. */
  | (Facts & { status: "closed" })
  | (Known & { status: "authorising"; token: string })
  | (Known & { status: "authorised" | "capturing" | "captured" | "voiding" | "voided" | "refunded" })
  | (Known & { status: "declined"; reason: DeclineReason })
  /** Refunds go one after the other; the first is under way. */
  | (Known & { status: "refunding"; pending: [Refund, ...Refund[]] });

export type Command = { at: number } & (
  | { type: "authorise"; orderId: string; total: Money; method: string; token: string }
  | { type: "capture"; orderId: string; total: Money }
  | { type: "abort"; orderId: string }
  | { type: "refund"; amount?: Money; reason?: string }
  | Outcome
);

/** What came of a call to the provider. */
export type Outcome =
  | { type: "authorised" }
  | { type: "declined"; reason: DeclineReason }
  | { type: "captured" }
  | { type: "voided" }
  | { type: "refunded"; number: number };

export type PaymentEvent = { at: number } & (
  | { type: "awaited"; orderId: string; total: Money }
  | { type: "closed"; orderId: string }
  | { type: "authorising"; orderId: string; total: Money; method: string; token: string }
  | { type: "wanted"; what: "capture" | "undo" }
  | { type: "authorised" }
  | { type: "declined"; reason: DeclineReason }
  | { type: "capturing" }
  | { type: "captured" }
  | { type: "voiding" }
  | { type: "voided" }
  | { type: "refunding"; refund: Refund }
  | { type: "refunded"; refund: Refund }
  /** The answer to an order that is given up, where there is nothing to give back. */
  | { type: "nothing-held" }
);

/** A call that the provider is to be asked for now. Whoever asks it again uses the same key. */
export type Call = { key: string; orderId: string; method: string } & (
  | { operation: "authorise"; amount: Money; token: string }
  | { operation: "capture"; amount: Money }
  | { operation: "void" }
  | { operation: "refund"; amount: Money; number: number }
);

type Decision = PaymentEvent[] | Rejection;

/** What follows from a command, or from what came of a call. What comes twice, or too late, changes nothing. */
export function decide(payment: Payment | undefined, command: Command): Decision {
  const decided = answer(payment, command);
  if (!Array.isArray(decided) || decided.length === 0) return decided;
  const after = decided.reduce(evolve, payment);
  return after ? [...decided, ...next(after, command.at)] : decided;
}

/** The provider is at rest: is anything else wanted of it? */
function next(payment: Payment, at: number): PaymentEvent[] {
  const { status, wanted } = payment;
  if (status === "authorised" && wanted === "capture") return [{ type: "capturing", at }];
  if (status === "authorised" && wanted === "undo") return [{ type: "voiding", at }];
  if ((status === "captured" || status === "refunding") && wanted === "undo" && refundable(payment) > 0) {
    return [{ type: "refunding", at, refund: { number: payment.refunds + 1, amount: refundable(payment) } }];
  }
  return [];
}

function answer(payment: Payment | undefined, command: Command): Decision {
  const { at } = command;
  switch (command.type) {
    case "authorise": {
      const { orderId, total, method, token } = command;
      if (total.amount === 0 || (payment && payment.status !== "awaited")) return [];
      return [{ type: "authorising", at, orderId, total, method, token }];
    }
    case "capture": {
      const { orderId, total } = command;
      if (total.amount === 0) return [];
      if (payment === undefined) return [{ type: "awaited", at, orderId, total }];
      const open = payment.status === "authorising" || payment.status === "authorised";
      return open && payment.wanted === "hold" ? [{ type: "wanted", at, what: "capture" }] : [];
    }
    case "abort":
      return abort(payment, command.orderId, at);
    case "refund":
      return refund(payment, command);
    case "authorised":
      return payment?.status === "authorising" ? [{ type: "authorised", at }] : [];
    case "declined": {
      if (payment?.status !== "authorising") return [];
      const declined: PaymentEvent = { type: "declined", at, reason: command.reason };
      return payment.wanted === "undo" ? [declined, { type: "nothing-held", at }] : [declined];
    }
    case "captured":
      return payment?.status === "capturing" ? [{ type: "captured", at }] : [];
    case "voided":
      return payment?.status === "voiding" ? [{ type: "voided", at }] : [];
    case "refunded": {
      if (payment?.status !== "refunding" || payment.pending[0].number !== command.number) return [];
      return [{ type: "refunded", at, refund: payment.pending[0] }];
    }
    default:
      return command satisfies never;
  }
}

function abort(payment: Payment | undefined, orderId: string, at: number): PaymentEvent[] {
  if (payment === undefined) return [{ type: "closed", at, orderId }];
  switch (payment.status) {
    case "awaited":
      return [{ type: "closed", at, orderId }];
    case "authorising":
    case "authorised":
    case "capturing":
    case "captured":
    case "refunding":
      return payment.wanted === "undo" ? [] : [{ type: "wanted", at, what: "undo" }];
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
  if (status === "awaited") return "pending";
  return status === "closed" ? "voided" : status;
}

/** The call that is under way, or has to be made. */
export function dueCall(payment: Payment | undefined): Call | undefined {
  if (payment === undefined) return undefined;
  const { orderId } = payment;
  const money = (amount: number): Money => ({ amount, currency: payment.total.currency });
  switch (payment.status) {
    case "authorising": {
      const { method, token, total } = payment;
      return { key: `${orderId}:authorise`, orderId, method, operation: "authorise", amount: total, token };
    }
    case "capturing": {
      const { method, authorised } = payment;
      return { key: `${orderId}:capture`, orderId, method, operation: "capture", amount: money(authorised) };
    }
    case "voiding":
      return { key: `${orderId}:void`, orderId, method: payment.method, operation: "void" };
    case "refunding": {
      const [{ number, amount }] = payment.pending;
      const key = `${orderId}:refund:${number}`;
      return { key, orderId, method: payment.method, operation: "refund", amount: money(amount), number };
    }
    default:
      return undefined;
  }
}

export function evolve(payment: Payment | undefined, event: PaymentEvent): Payment {
  switch (event.type) {
    case "awaited": {
      const { orderId, total } = event;
      return {
        ...begin(orderId, total),
        wanted: "capture",
        status: "awaited",
        history: [entry(event, "pending")],
      };
    }
    case "closed": {
      // XXX is the ISO 4217 code for no currency: of an order never seen there is no telling.
      const facts = payment ?? begin(event.orderId, { amount: 0, currency: "XXX" });
      return { ...reached(facts, event, "voided"), wanted: "undo", status: "closed" };
    }
    case "authorising": {
      const { orderId, total, method, token } = event;
      const facts = payment ? { ...payment, total } : begin(orderId, total);
      return { ...reached(facts, event, "authorising"), status: "authorising", method, token };
    }
  }
  if (payment === undefined || payment.status === "awaited" || payment.status === "closed") {
    if (payment && event.type === "nothing-held") return { ...payment, version: payment.version + 1 };
    throw new Error(`${event.type} of a payment that is ${payment?.status ?? "not there"}`);
  }
  switch (event.type) {
    case "wanted":
      return { ...payment, version: payment.version + 1, wanted: event.what };
    case "nothing-held":
      return { ...payment, version: payment.version + 1 };
    case "authorised": {
      const { amount } = payment.total;
      return { ...known(payment, event, amount), status: "authorised", authorised: amount };
    }
    case "declined":
      return { ...known(payment, event, undefined, event.reason), status: "declined", reason: event.reason };
    case "capturing":
    case "voiding":
      return { ...known(payment, event), status: event.type };
    case "captured": {
      const { authorised: amount } = payment;
      return { ...known(payment, event, amount), status: "captured", captured: amount };
    }
    case "voided":
      return { ...known(payment, event, payment.authorised), status: "voided", authorised: 0 };
    case "refunding": {
      const { number, amount, reason } = event.refund;
      const facts = { ...known(payment, event, amount, reason), refunds: number };
      const pending: [Refund, ...Refund[]] =
        payment.status === "refunding" ? [...payment.pending, event.refund] : [event.refund];
      return { ...facts, status: "refunding", pending };
    }
    case "refunded": {
      const { amount } = event.refund;
      const facts = { ...known(payment, event, amount), refunded: payment.refunded + amount };
      const [first, ...rest] = payment.status === "refunding" ? payment.pending.slice(1) : [];
      if (first) return { ...facts, status: "refunding", pending: [first, ...rest] };
      return { ...facts, status: facts.refunded < facts.captured ? "captured" : "refunded" };
    }
    default:
      return event satisfies never;
  }
}

const begin = (orderId: string, total: Money): Facts => ({
  orderId,
  version: 1,
  total,
  wanted: "hold",
  authorised: 0,
  captured: 0,
  refunded: 0,
  refunds: 0,
  history: [],
});

function entry({ at }: PaymentEvent, status: PublicStatus, amount?: number, reason?: string): Entry {
  const plain: Entry = { at, status };
  if (amount !== undefined) plain.amount = amount;
  if (reason !== undefined) plain.reason = reason;
  return plain;
}

/** The facts that go along from status to status; what belongs to one status only stays behind. */
function reached(
  facts: Facts,
  event: PaymentEvent,
  status: PublicStatus,
  amount?: number,
  reason?: string,
): Facts {
  const { orderId, version, total, wanted, authorised, captured, refunded, refunds, history } = facts;
  return {
    orderId,
    version: history.length === 0 ? version : version + 1,
    total,
    wanted,
    authorised,
    captured,
    refunded,
    refunds,
    history: [...history, entry(event, status, amount, reason)],
  };
}

function known(
  payment: Known,
  event: PaymentEvent & { type: PublicStatus },
  amount?: number,
  reason?: string,
): Known {
  return { ...reached(payment, event, event.type, amount, reason), method: payment.method };
}

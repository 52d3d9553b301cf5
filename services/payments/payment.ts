import type { Rejection } from "chassis";
import {
  type Asked,
  capture,
  captured,
  captureNow,
  declined,
  gone,
  notRenewed,
  unanswered,
} from "./captures.ts";
import { evolve } from "./evolve.ts";
import { held, isAtRest, open, refundable } from "./holding.ts";
import { reconcile, type Statement } from "./reconcile.ts";
import { giveBack, refund, refunded } from "./refunds.ts";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

/** Some of what is held, to be taken. */
export interface Capture {
  /** The shipment's id; absent for what is captured at once with the authorisation. */
  key?: string;
  amount: number;
  /** Nothing more will be captured: the rest of the authorisation goes back with it. */
  final?: true;
}

export interface Refund {
  /** 1 for the first of a payment. */
  number: number;
  amount: number;
  /** The return's id, where it is for one. */
  key?: string;
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
export type CaptureFailure = "authorisation-expired" | "payment-declined" | "partial-capture-unavailable";

/** What a client reads. */
export type PublicStatus =
  | "authorising"
  | "authorised"
  | "declined"
  | "capturing"
  | "captured"
  | "voiding"
  | "voided"
  | "renewing"
  | "expired"
  | "refunding"
  | "refunded";

export interface Entry {
  at: number;
  status: PublicStatus;
  amount?: number;
  /** The shipment or the return that it is for. */
  key?: string;
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
  /** Approved by the provider and not let go of. */
  authorised: number;
  captured: number;
  refunded: number;
  /** Refunds begun so far. */
  refunds: number;
  /** What is captured at once with the authorisation, in minor units; absent: all of it. */
  atOnce?: number;
  /** Captures go one after the other, and before refunds; while `capturing` the first is under way. */
  captures: Capture[];
  /** Refunds that wait likewise. */
  pending: Refund[];
  /**
   * The captures and refunds that have been asked for, each once: `capture`, `capture:<key>`, `refund:<number>`,
   * `return:<key>`, and `no-return:<key>` where there was nothing to give back.
   */
  asked: string[];
  /** No more captures will be asked for: what is left of the authorisation goes back. */
  released?: true;
  /** When the provider lets go of what is held, in milliseconds since the epoch; absent where it does not say. */
  until?: number;
  /** Successful renewals so far. */
  renewals?: number;
  /** The authorisation has run out, and was not renewed. */
  expired?: true;
  /** The card can be captured only once. */
  whole?: true;
  disputes?: Dispute[];
  history: Entry[];
}

/** The provider that the order is paid with, and its own name for the payment, where it gives one. */
export type Known = Facts & { method: string; reference?: string };

/** A payment of which nothing is under way. */
export type AtRest = "authorised" | "captured" | "voided" | "expired" | "refunded";

/** While a status ends in -ing, exactly one job calls the provider. */
export type Payment =
  /** The order was given up before anything was asked of a provider: nothing ever will be. */
  | (Facts & { status: "closed" })
  | (Known & { status: "authorising"; token: string })
  | (Known & { status: AtRest | "capturing" | "voiding" | "renewing" | "refunding" })
  | (Known & { status: "declined"; reason: DeclineReason });

export type Command = { at: number } & (
  | {
      type: "authorise";
      orderId: string;
      total: Money;
      method: string;
      token: string;
      /** Absent: all of it. */
      captureNow?: Money;
    }
  | { type: "abort"; orderId: string }
  | { type: "capture"; orderId: string; key: string; amount: Money; final: boolean }
  /** No more captures will be asked for. */
  | { type: "release" }
  /** What runs out until then is to be renewed. */
  | { type: "renew"; before: number }
  | { type: "refund"; amount?: Money; reason?: string }
  | { type: "give-back"; orderId: string; key: string; amount: Money }
  | { type: "reconcile"; orderId: string; method: string; statement: Statement }
  | Outcome
);

/** What came of a call to the provider. */
export type Outcome =
  /** The provider knows of the payment by now; no money has moved. */
  | { type: "opened"; reference: string }
  | { type: "authorised"; until?: number; whole?: true }
  /** `why`: more than the reason says, in words that a customer may read. */
  | { type: "declined"; reason: DeclineReason; why?: string }
  | { type: "captured"; key?: string }
  | { type: "capture-refused"; key: string; reason: CaptureFailure }
  /** The authorisation has run out before the capture, after so many renewals. */
  | { type: "ran-out"; key?: string; renewals: number }
  /** The rest is let go of; `taken` is all that was captured, and stays so. */
  | { type: "voided"; taken: Asked[] }
  | { type: "renewed"; number: number; until: number }
  | { type: "not-renewed"; number: number }
  /** `amount` is what the provider gave back under this number. */
  | { type: "refunded"; number: number; amount: number };

export type PaymentEvent = { at: number } & (
  | { type: "closed"; orderId: string }
  | { type: "authorising"; orderId: string; total: Money; method: string; token: string; atOnce?: number }
  /** A provider has money of an order that nobody here has asked it for, or has asked no more. */
  | {
      type: "found";
      orderId: string;
      total: Money;
      authorised: number;
      method: string;
      reference?: string;
    }
  | { type: "opened"; reference: string }
  | { type: "given-up" }
  | { type: "released" }
  | { type: "authorised"; until?: number; whole?: true }
  | { type: "declined"; reason: DeclineReason; why?: string }
  | { type: "capturing"; capture: Capture }
  /** Nobody is told of money that is only found to be given back. */
  | { type: "captured"; capture: Capture; untold?: true }
  | { type: "capture-failed"; key: string; reason: CaptureFailure }
  /** What is let go of has `expired`, or is given back. */
  | { type: "voiding"; expired?: true }
  | { type: "voided" }
  | { type: "renewing" }
  | { type: "renewed"; until: number }
  | { type: "expired" }
  | { type: "refunding"; refund: Refund }
  | { type: "refunded"; refund: Refund }
  /** The answer for a return where there is nothing to give back. */
  | { type: "nothing-refunded"; key: string }
  /** The answer to an order that is given up, where there is nothing to give back. */
  | { type: "nothing-held" }
  | { type: "disputed"; dispute: Dispute }
);

export type Decision = PaymentEvent[] | Rejection;

/** What follows from a command, or from what came of a call. What comes twice, or too late, changes nothing. */
export function decide(payment: Payment | undefined, command: Command): Decision {
  const decided = answer(payment, command);
  if (!Array.isArray(decided) || decided.length === 0) return decided;
  const after = decided.reduce(evolve, payment);
  return after ? [...decided, ...next(after, command.at)] : decided;
}

/** The call that follows at once where nothing else is to be done: what nobody wants any more goes back. */
function next(payment: Payment, at: number): PaymentEvent[] {
  if (!isAtRest(payment)) return [];
  const undo = payment.wanted === "undo";
  if (open(payment) > 0) return undo || payment.released ? [{ type: "voiding", at }] : [];
  const amount = refundable(payment);
  return undo && amount > 0
    ? [{ type: "refunding", at, refund: { number: payment.refunds + 1, amount } }]
    : [];
}

function answer(payment: Payment | undefined, command: Command): Decision {
  const { at } = command;
  switch (command.type) {
    case "authorise": {
      const { orderId, total, method, token, captureNow: now } = command;
      if (total.amount === 0 || payment) return [];
      const part = now !== undefined && now.amount < total.amount ? { atOnce: now.amount } : {};
      return [{ type: "authorising", at, orderId, total, method, token, ...part }];
    }
    case "abort":
      return abort(payment, command.orderId, at);
    case "capture":
      return capture(payment, command);
    case "release":
      if (payment === undefined || payment.released || isOver(payment)) return [];
      return isAtRest(payment) && open(payment) === 0 ? [] : [{ type: "released", at }];
    case "renew": {
      if (payment?.status !== "authorised" || payment.wanted === "undo") return [];
      return payment.until !== undefined && payment.until <= command.before ? [{ type: "renewing", at }] : [];
    }
    case "refund":
      return refund(payment, command);
    case "give-back":
      return giveBack(payment, command);
    case "opened":
      if (payment?.status !== "authorising" || payment.reference !== undefined) return [];
      return [{ type: "opened", at, reference: command.reference }];
    case "authorised": {
      if (payment?.status !== "authorising") return [];
      const { until, whole } = command;
      return [{ type: "authorised", at, until, whole }, ...captureNow(payment, whole, at)];
    }
    case "declined":
      return payment?.status === "authorising" ? declined(payment, command.reason, at, command.why) : [];
    case "captured":
    case "capture-refused":
    case "ran-out":
      return captured(payment, command);
    case "voided":
      return gone(payment, command);
    case "renewed":
      if (payment?.status !== "renewing" || command.number !== (payment.renewals ?? 0) + 1) return [];
      return [{ type: "renewed", at, until: command.until }];
    case "not-renewed":
      return notRenewed(payment, command);
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
  if (isOver(payment) || (isAtRest(payment) && held(payment) === 0)) return [{ type: "nothing-held", at }];
  if (payment.wanted === "undo") return [];
  const after = payment.status === "capturing" ? payment.captures.slice(1) : payment.captures;
  return [...unanswered({ captures: after }, at), { type: "given-up", at }];
}

/** Nothing is held, and nothing ever was. */
const isOver = ({ status }: Payment): boolean => status === "closed" || status === "declined";

/** The status that a client reads. */
export function shown({ status }: Payment): PublicStatus {
  return status === "closed" ? "voided" : status;
}

import { nameOf } from "./captures.ts";
import { open } from "./holding.ts";
import type { Capture, Money, Payment, Refund } from "./payment.ts";
import { refundName } from "./refunds.ts";

/** A call that the provider is to be asked for now. Whoever asks it again uses the same key. */
export type Call = {
  key: string;
  orderId: string;
  method: string;
  /** The provider's name for the payment, once it has given one. */
  reference?: string;
} & (
  | {
      operation: "authorise";
      amount: Money;
      token: string;
      /** Nobody wants it any more: an approval would be voided at once. */
      givenUp?: boolean;
    }
  /** `part`: the shipment's id, where it is for one. */
  | { operation: "capture"; amount: Money; part?: string; final: boolean; renewals: number }
  | { operation: "void" }
  | { operation: "renew"; amount: Money; number: number }
  | { operation: "refund"; amount: Money; number: number }
);

/** The key of a capture: of its call, in the provider's book, and in the ledger. */
export const captureKey = (orderId: string, capture: Pick<Capture, "key">): string =>
  `${orderId}:${nameOf(capture)}`;

/** The key of a refund, likewise. */
export const refundKey = (orderId: string, refund: Pick<Refund, "number" | "key">): string =>
  `${orderId}:${refundName(refund)}`;

/** The call that is under way, or has to be made. */
export function dueCall(payment: Payment | undefined): Call | undefined {
  if (payment === undefined || !("method" in payment)) return undefined;
  const { orderId, method, reference } = payment;
  const of = { orderId, method, ...(reference === undefined ? {} : { reference }) };
  const money = (amount: number): Money => ({ amount, currency: payment.total.currency });
  switch (payment.status) {
    case "authorising": {
      const { token, total, wanted } = payment;
      const call = {
        ...of,
        key: `${orderId}:authorise`,
        operation: "authorise" as const,
        amount: total,
        token,
      };
      return wanted === "undo" ? { ...call, givenUp: true } : call;
    }
    case "capturing": {
      const [first] = payment.captures;
      if (first === undefined) return undefined;
      const { key: part, amount, final = false } = first;
      return {
        ...of,
        key: captureKey(orderId, first),
        operation: "capture",
        amount: money(amount),
        ...(part === undefined ? {} : { part }),
        // What takes all of it leaves nothing.
        final: final || amount === open(payment),
        renewals: payment.renewals ?? 0,
      };
    }
    case "voiding":
      return { ...of, key: `${orderId}:void`, operation: "void" };
    case "renewing": {
      const number = (payment.renewals ?? 0) + 1;
      const key = `${orderId}:renew:${number}`;
      return { ...of, key, operation: "renew", amount: money(open(payment)), number };
    }
    case "refunding": {
      const [first] = payment.pending;
      if (first === undefined) return undefined;
      // The refunds before it may have turned out to be larger than we asked for.
      const amount = Math.min(first.amount, payment.captured - payment.refunded);
      return {
        ...of,
        key: refundKey(orderId, first),
        operation: "refund",
        amount: money(amount),
        number: first.number,
      };
    }
    default:
      return undefined;
  }
}

/** Whether two calls are the same step: what has its job already needs none. */
export const isSame = (a: Call | undefined, b: Call | undefined): boolean =>
  a?.key === b?.key && a?.reference === b?.reference;

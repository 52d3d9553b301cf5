import type { Money, Payment } from "./payment.ts";

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
  | { operation: "capture"; amount: Money }
  | { operation: "void" }
  | { operation: "refund"; amount: Money; number: number }
);

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
    case "capturing":
      return { ...of, key: `${orderId}:capture`, operation: "capture", amount: money(payment.authorised) };
    case "voiding":
      return { ...of, key: `${orderId}:void`, operation: "void" };
    case "refunding": {
      const [{ number, amount: asked }] = payment.pending;
      // The refunds before it may have turned out to be larger than we asked for.
      const amount = Math.min(asked, payment.captured - payment.refunded);
      return {
        ...of,
        key: `${orderId}:refund:${number}`,
        operation: "refund",
        amount: money(amount),
        number,
      };
    }
    default:
      return undefined;
  }
}

/** Whether two calls are the same step: what has its job already needs none. */
export const isSame = (a: Call | undefined, b: Call | undefined): boolean =>
  a?.key === b?.key && a?.reference === b?.reference;

import type { Money, Payment } from "./payment.ts";

/** A call that the provider is to be asked for now. Whoever asks it again uses the same key. */
export type Call = { key: string; orderId: string; method: string } & (
  | { operation: "authorise"; amount: Money; token: string }
  | { operation: "capture"; amount: Money }
  | { operation: "void" }
  | { operation: "refund"; amount: Money; number: number }
);

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
      const [{ number, amount: asked }] = payment.pending;
      // The refunds before it may have turned out to be larger than we asked for.
      const amount = Math.min(asked, payment.captured - payment.refunded);
      const key = `${orderId}:refund:${number}`;
      return { key, orderId, method: payment.method, operation: "refund", amount: money(amount), number };
    }
    default:
      return undefined;
  }
}

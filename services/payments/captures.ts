import { open } from "./holding.ts";
import type {
  Capture,
  CaptureFailure,
  Command,
  DeclineReason,
  Facts,
  Outcome,
  Payment,
  PaymentEvent,
} from "./payment.ts";

/** A capture as both sides know it. */
export type Asked = Pick<Capture, "key" | "amount">;

/** By what a capture is known among the calls of its payment. */
export const nameOf = ({ key }: Pick<Capture, "key">): string =>
  key === undefined ? "capture" : `capture:${key}`;

/** A shipment is to be handed over: its money is taken, once however often that is asked. */
export function capture(
  payment: Payment | undefined,
  { orderId, key, amount: { amount, currency }, final, at }: Command & { type: "capture" },
): PaymentEvent[] {
  if (payment?.asked.includes(nameOf({ key }))) return [];
  const refused = (reason: CaptureFailure): PaymentEvent => ({ type: "capture-failed", at, key, reason });
  if (payment === undefined) return [{ type: "closed", at, orderId }, refused("authorisation-expired")];
  const left = payment.released || payment.wanted === "undo" ? 0 : capturable(payment);
  if (left === 0) return [refused("authorisation-expired")];
  if (amount > left || currency !== payment.total.currency) return [refused("payment-declined")];
  if (payment.whole && amount < left && !final) return [refused("partial-capture-unavailable")];
  return [{ type: "capturing", at, capture: { key, amount, ...(final ? { final } : {}) } }];
}

/** What is held, or may be soon, and no capture has been asked for. */
function capturable(payment: Payment): number {
  const waiting = payment.captures.reduce((sum, { amount }) => sum + amount, 0);
  if (payment.status !== "authorising") return open(payment) - waiting;
  const { total, atOnce = total.amount } = payment;
  return total.amount - atOnce - waiting;
}

/** What is captured with the approval itself: of a card that can be captured only once, all or nothing. */
export function captureNow(payment: Payment, whole: boolean | undefined, at: number): PaymentEvent[] {
  const { total, atOnce = total.amount, wanted } = payment;
  if (wanted === "undo" || atOnce === 0) return [];
  return [{ type: "capturing", at, capture: { amount: whole ? total.amount : atOnce } }];
}

/** What came of the capture that is under way. */
export function captured(
  payment: Payment | undefined,
  outcome: Command & Outcome & { type: "captured" | "capture-refused" | "ran-out" },
): PaymentEvent[] {
  const [first] = payment?.captures ?? [];
  if (payment?.status !== "capturing" || first === undefined || first.key !== outcome.key) return [];
  const { at } = outcome;
  if (outcome.type === "captured") return [{ type: "captured", at, capture: first }];
  if (outcome.type === "ran-out" && outcome.renewals !== (payment.renewals ?? 0)) return [];
  if (outcome.type === "ran-out")
    return payment.wanted === "undo"
      ? [...unanswered(payment, at), { type: "voiding", at }]
      : [{ type: "renewing", at }];
  return [{ type: "capture-failed", at, key: outcome.key, reason: outcome.reason }];
}

/** The provider holds nothing any more but what it has taken, whether we have asked it to let go or not. */
export function gone(
  payment: Payment | undefined,
  { taken, at }: Command & { type: "voided" },
): PaymentEvent[] {
  if (payment?.status !== "voiding" && payment?.status !== "capturing") return [];
  const unknown = taken.filter((one) => !payment.asked.includes(nameOf(one)));
  const waits = unanswered(payment, at);
  const lost = payment.wanted !== "undo" && (payment.status === "capturing" || payment.expired);
  // Nothing was ever captured of an order that is not confirmed yet.
  if (
    lost &&
    payment.status === "capturing" &&
    payment.captured === 0 &&
    payment.captures[0]?.key === undefined &&
    unknown.length === 0
  )
    return declined(payment, "timed-out", at);
  const end: PaymentEvent = { type: lost ? "expired" : "voided", at };
  return [...waits, ...unknown.flatMap((one) => taking(one, at)), end];
}

/** Taken, as the provider says, without our having waited for it. */
export const taking = (capture: Capture, at: number, untold?: true): PaymentEvent[] => [
  { type: "capturing", at, capture },
  { type: "captured", at, capture, ...(untold ? { untold } : {}) },
];

/** The authorisation cannot be had for any longer: what is left of it goes. */
export function notRenewed(
  payment: Payment | undefined,
  { number, at }: Command & { type: "not-renewed" },
): PaymentEvent[] {
  if (payment?.status !== "renewing" || number !== (payment.renewals ?? 0) + 1) return [];
  const expired = payment.wanted === "undo" ? {} : { expired: true as const };
  return [...unanswered(payment, at), { type: "voiding", at, ...expired }];
}

export function declined(payment: Payment, reason: DeclineReason, at: number, why?: string): PaymentEvent[] {
  const event: PaymentEvent = { type: "declined", at, reason, ...(why === undefined ? {} : { why }) };
  const answered: PaymentEvent[] = payment.wanted === "undo" ? [{ type: "nothing-held", at }] : [];
  return [...unanswered(payment, at), event, ...answered];
}

/** Captures that wait and will never be made. */
export const unanswered = ({ captures }: Pick<Facts, "captures">, at: number): PaymentEvent[] =>
  captures.flatMap(({ key }): PaymentEvent[] =>
    key === undefined ? [] : [{ type: "capture-failed", at, key, reason: "authorisation-expired" }],
  );

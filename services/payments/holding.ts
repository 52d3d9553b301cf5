import type { AtRest, Facts, Payment } from "./payment.ts";

/** What is held and not captured; minor units, as all of these. */
export const open = ({ authorised, captured }: Facts): number => authorised - captured;

/** The customer's money that a provider holds for the order: authorised or captured, and not given back. */
export const held = ({ authorised, refunded }: Facts): number => authorised - refunded;

/** As much as may be held: all of it, while nobody knows yet whether it is approved. */
export const mayBeHeld = (payment: Payment): number =>
  payment.status === "authorising" ? payment.total.amount : held(payment);

/** What is captured and neither given back nor about to be. */
export const refundable = ({ captured, refunded, pending }: Facts): number =>
  captured - refunded - pending.reduce((sum, { amount }) => sum + amount, 0);

const resting: string[] = ["authorised", "captured", "voided", "expired", "refunded"] satisfies AtRest[];

/** Whether nothing is under way at the provider, and something was. */
export const isAtRest = ({ status }: Payment): boolean => resting.includes(status);

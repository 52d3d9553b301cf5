import type { Facts, Payment } from "./payment.ts";
import { refundName } from "./refunds.ts";

type Newer = "captures" | "pending" | "asked";
/** As a payment was kept before it could be captured in parts. */
type Older = Omit<Facts, Newer> & { status: string; pending?: Facts["pending"] };

/** A payment as it is kept, in the form of today: what was captured before was captured all at once. */
export function today(kept: Payment | Older): Payment {
  if ("asked" in kept) return kept;
  const { status, authorised, captured, refunds, pending = [] } = kept;
  const capturing = status === "capturing";
  return {
    ...kept,
    captures: capturing ? [{ amount: authorised }] : [],
    pending,
    asked: [
      ...(capturing || captured > 0 ? ["capture"] : []),
      ...Array.from({ length: refunds }, (_, index) => refundName({ number: index + 1 })),
    ],
  } as Payment;
}

import type { LedgerView, PaymentView } from "./contracts.ts";
import { balances, type Posting } from "./ledger.ts";
import { type Money, type Payment, shown } from "./payment.ts";

/** A payment as its readers see it. */
export function view(payment: Payment): PaymentView {
  const { orderId, total, authorised, captured, refunded, history, disputes } = payment;
  const money = (amount: number): Money => ({ amount, currency: total.currency });
  return {
    orderId,
    status: shown(payment),
    ...(payment.status === "declined" ? { reason: payment.reason } : {}),
    authorised: money(authorised),
    captured: money(captured),
    refunded: money(refunded),
    history: history.map(({ at, status, amount, reason }) => ({
      at: new Date(at).toISOString(),
      status,
      ...(amount === undefined ? {} : { amount: money(amount) }),
      ...(reason === undefined ? {} : { reason }),
    })),
    ...(disputes
      ? { disputes: disputes.map((dispute) => ({ ...dispute, amount: money(dispute.amount) })) }
      : {}),
  };
}

export function ledgerView(accounts: Posting[]): LedgerView {
  return { balanced: balances(accounts), accounts };
}

import type { LedgerView, PaymentView, ReconciliationView } from "./contracts.ts";
import { open } from "./holding.ts";
import { balances, type Posting } from "./ledger.ts";
import { type Money, type Payment, shown } from "./payment.ts";
import type { Reconciliation } from "./reconcile.ts";

/** A payment as its readers see it. */
export function view(payment: Payment): PaymentView {
  const { orderId, total, authorised, captured, refunded, until, history, disputes } = payment;
  const money = (amount: number): Money => ({ amount, currency: total.currency });
  return {
    orderId,
    status: shown(payment),
    ...(payment.status === "declined" ? { reason: payment.reason } : {}),
    authorised: money(authorised),
    captured: money(captured),
    refunded: money(refunded),
    ...(until !== undefined && open(payment) > 0 ? { authorisedUntil: new Date(until).toISOString() } : {}),
    history: history.map(({ at, status, amount, key, reason }) => ({
      at: new Date(at).toISOString(),
      status,
      ...(amount === undefined ? {} : { amount: money(amount) }),
      ...(key === undefined ? {} : { key }),
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

/** Its entity tag: a comparison only ever goes on. */
export const reconciliationTag = ({ compared, different, endedAt }: Reconciliation): string =>
  `"${compared}.${different}.${endedAt === null ? "running" : "done"}"`;

export function reconciliationView(run: Reconciliation): ReconciliationView {
  const { id, startedAt, endedAt, since, compared, different, differences } = run;
  const at = (ms: number): string => new Date(ms).toISOString();
  return {
    id,
    status: endedAt === null ? "running" : "done",
    startedAt: at(startedAt),
    ...(endedAt === null ? {} : { endedAt: at(endedAt) }),
    since: at(since),
    compared,
    different,
    differences,
  };
}

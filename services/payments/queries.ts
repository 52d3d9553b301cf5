import type { PaymentView, ReconciliationView } from "./contracts.ts";
import { open } from "./holding.ts";
import { balances, type Total } from "./ledger.ts";
import { type Money, type Payment, shown } from "./payment.ts";
import type { Reconciliation } from "./reconcile.ts";

declare global {
  interface JSON {
    /** A piece of JSON text that is written as it is; TypeScript does not know it yet. */
    rawJSON(text: string): { rawJSON: string };
  }
}

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

/** The sums are written digit by digit: JSON holds whole numbers that are too large for a number of JavaScript. */
export function ledgerView(totals: Total[]) {
  const digits = (sum: bigint) => JSON.rawJSON(String(sum));
  const accounts = totals.map(({ debit, credit, ...of }) => ({
    ...of,
    debit: digits(debit),
    credit: digits(credit),
  }));
  return { balanced: balances(totals), accounts };
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

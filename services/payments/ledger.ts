import type { Money } from "./payment.ts";

/**
 * The double-entry books. An authorisation moves no money, so nothing is booked for it, nor for its end. A capture
 * makes the provider owe the shop what the customer paid; a refund is the same the other way round.
 *
 *   captured    debit provider-clearing   credit sales-revenue
 *   refunded    debit sales-revenue       credit provider-clearing
 */
export type Account = "provider-clearing" | "sales-revenue";

/** One side of an entry; amounts in minor units. One of `debit` and `credit` is 0. */
export interface Posting {
  account: Account;
  currency: string;
  debit: number;
  credit: number;
}

export type Movement = { type: "captured" | "refunded"; amount: Money };

/** The entry for a movement of money: postings that balance. */
export function postings({ type, amount: { amount, currency } }: Movement): Posting[] {
  const [debtor, creditor]: [Account, Account] =
    type === "captured" ? ["provider-clearing", "sales-revenue"] : ["sales-revenue", "provider-clearing"];
  return [
    { account: debtor, currency, debit: amount, credit: 0 },
    { account: creditor, currency, debit: 0, credit: amount },
  ];
}

/** Whether debits equal credits in every currency. */
export function balances(rows: Pick<Posting, "currency" | "debit" | "credit">[]): boolean {
  const differences = new Map<string, number>();
  for (const { currency, debit, credit } of rows) {
    differences.set(currency, (differences.get(currency) ?? 0) + debit - credit);
  }
  return [...differences.values()].every((difference) => difference === 0);
}

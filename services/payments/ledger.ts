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

/** What has come together on an account: bigints, because sums may go beyond what a number counts exactly. */
export interface Total {
  account: Account;
  currency: string;
  debit: bigint;
  credit: bigint;
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
export function balances(
  rows: { currency: string; debit: number | bigint; credit: number | bigint }[],
): boolean {
  const differences = new Map<string, bigint>();
  for (const { currency, debit, credit } of rows) {
    differences.set(currency, (differences.get(currency) ?? 0n) + BigInt(debit) - BigInt(credit));
  }
  return [...differences.values()].every((difference) => difference === 0n);
}

/** Adds up what is of one account and currency. */
export function summed(rows: Total[]): Total[] {
  const sums = new Map<string, Total>();
  for (const row of rows) {
    const key = `${row.account} ${row.currency}`;
    const { debit, credit } = sums.get(key) ?? { debit: 0n, credit: 0n };
    sums.set(key, { ...row, debit: debit + row.debit, credit: credit + row.credit });
  }
  return [...sums.values()];
}

import type { Facts, Total } from "../facts.ts";
import type { Violation } from "../types.ts";

/** Double entry: each entry balances, so all do, and the totals are the sums of the postings. */
export function ledger({ postings, totals }: Facts): Violation[] {
  const wrong = (detail: string): Violation => ({ rule: "ledger-balances", detail });
  const byEntry = Map.groupBy(postings, ({ entry, currency }) => `${entry} (${currency})`);
  const byCurrency = Map.groupBy(postings, ({ currency }) => currency);
  const uneven = (groups: Map<string, Total[]>) =>
    [...groups].flatMap(([name, rows]) => {
      const { debit, credit } = sum(rows);
      return debit === credit ? [] : [wrong(`${name}: debit ${debit}, credit ${credit}`)];
    });
  const account = (row: Total) => `${row.account} (${row.currency})`;
  const [posted, kept] = [Map.groupBy(postings, account), Map.groupBy(totals, account)];
  const differing = [...new Set([...posted.keys(), ...kept.keys()])].flatMap((name) => {
    const [is, should] = [sum(kept.get(name) ?? []), sum(posted.get(name) ?? [])];
    if (is.debit === should.debit && is.credit === should.credit) return [];
    return [
      wrong(
        `the totals of ${name} are ${is.debit} and ${is.credit}, its postings come to ${should.debit} and ${should.credit}`,
      ),
    ];
  });
  const negative = postings
    .filter(({ debit, credit }) => debit < 0 || credit < 0 || (debit > 0 && credit > 0))
    .map(({ entry, debit, credit }) =>
      wrong(`${entry} has a posting of debit ${debit} and credit ${credit}`),
    );
  return [...uneven(byEntry), ...uneven(byCurrency), ...differing, ...negative];
}

function sum(rows: Total[]): { debit: number; credit: number } {
  return rows.reduce(
    (all, { debit, credit }) => ({ debit: all.debit + debit, credit: all.credit + credit }),
    {
      debit: 0,
      credit: 0,
    },
  );
}

import { expect, test } from "bun:test";
import fc from "fast-check";
import { balances, type Movement, type Posting, postings, summed, type Total } from "./ledger.ts";

const gbp = (amount: number) => ({ amount, currency: "GBP" });

test("a capture is owed by the provider, a refund is the same the other way round", () => {
  expect(postings({ type: "captured", amount: gbp(1_530) })).toEqual([
    { account: "provider-clearing", currency: "GBP", debit: 1_530, credit: 0 },
    { account: "sales-revenue", currency: "GBP", debit: 0, credit: 1_530 },
  ]);
  expect(postings({ type: "refunded", amount: gbp(30) })).toEqual([
    { account: "sales-revenue", currency: "GBP", debit: 30, credit: 0 },
    { account: "provider-clearing", currency: "GBP", debit: 0, credit: 30 },
  ]);
});

const movements: fc.Arbitrary<Movement[]> = fc.array(
  fc.record({
    type: fc.constantFrom("captured" as const, "refunded" as const),
    amount: fc.record({
      amount: fc.integer({ min: 1, max: 1e9 }),
      currency: fc.constantFrom("GBP", "EUR", "JPY"),
    }),
  }),
);

test("every entry balances, and so do all together", () => {
  fc.assert(
    fc.property(movements, (all) => {
      const entries = all.map(postings);
      for (const entry of entries) expect(balances(entry)).toBe(true);
      expect(balances(entries.flat())).toBe(true);
    }),
  );
});

test("books that lost a posting do not balance", () => {
  fc.assert(
    fc.property(movements, fc.nat(), (all, which) => {
      const entries = all.flatMap(postings);
      fc.pre(entries.length > 0);
      expect(balances(entries.toSpliced(which % entries.length, 1))).toBe(false);
    }),
  );
});

test("one currency does not make up for another", () => {
  const posting = (currency: string, debit: number, credit: number): Posting => ({
    account: "sales-revenue",
    currency,
    debit,
    credit,
  });
  expect(balances([posting("GBP", 1, 0), posting("EUR", 0, 1)])).toBe(false);
  expect(balances([])).toBe(true);
});

test("what no number can count exactly is counted to the last unit", () => {
  const share = (account: Total["account"], debit: bigint, credit: bigint): Total => ({
    account,
    currency: "GBP",
    debit,
    credit,
  });
  const most = 2n ** 63n - 1n;
  const sums = summed([
    share("provider-clearing", most, 0n),
    share("sales-revenue", 0n, most),
    share("provider-clearing", most, 1n),
    share("sales-revenue", 1n, most),
  ]);
  expect(sums).toEqual([share("provider-clearing", 2n * most, 1n), share("sales-revenue", 1n, 2n * most)]);
  expect(balances(sums)).toBe(true);
  expect(balances([...sums, share("sales-revenue", 1n, 0n)])).toBe(false);
});

import { describe, expect, test } from "bun:test";
import { fromStripe, toStripe, Unpayable } from "./stripe-money.ts";

// ISO 4217 minor units to the left, what https://docs.stripe.com/currencies asks for to the right.
describe("an amount", () => {
  test.each([
    ["GBP", 1_530, 1_530],
    ["EUR", 1, 1],
    ["JPY", 500, 500],
    ["KRW", 50_000, 50_000],
    ["VND", 10_000, 10_000],
    ["XAF", 655, 655],
    // No decimals by ISO 4217, two that are always 00 by Stripe.
    ["ISK", 5, 500],
    ["UGX", 1_000, 100_000],
    // Two decimals by ISO 4217, none by Stripe.
    ["MGA", 4_500_000, 45_000],
    // Two decimals for charges, whatever payouts do.
    ["HUF", 120_045, 120_045],
    ["TWD", 80_045, 80_045],
    ["KWD", 5_120, 5_120],
    ["BHD", 10, 10],
  ])("of %s %i is %i at Stripe, and back", (currency, ours, theirs) => {
    expect(toStripe({ amount: ours, currency })).toEqual({
      amount: theirs,
      currency: currency.toLowerCase(),
    });
    expect(fromStripe(theirs, currency.toLowerCase())).toEqual({ amount: ours, currency });
  });

  test.each([
    ["MGA", 4_500_050],
    ["KWD", 5_124],
    ["TND", 1],
    ["CLF", 12_345],
  ])("of %s %i is finer than Stripe can charge", (currency, amount) => {
    expect(() => toStripe({ amount, currency })).toThrow(Unpayable);
  });

  test("that is too large to be counted exactly is not charged", () => {
    expect(() => toStripe({ amount: Number.MAX_SAFE_INTEGER, currency: "ISK" })).toThrow(Unpayable);
  });
});

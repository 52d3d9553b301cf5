import type { Money } from "../payment.ts";

// Our amounts are minor units of ISO 4217; Stripe's are its own (https://docs.stripe.com/currencies#minor-units).

/** Digits after the point by ISO 4217, where they are not two. */
const iso: Record<string, number> = {
  ...each(0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
  ...each(3, "BHD IQD JOD KWD LYD OMR TND"),
  ...each(4, "CLF UYW"),
};

/**
 * Digits by Stripe, where they are not two: ISK and UGX are written with two that are always 00, and MGA, whose minor
 * unit nobody uses, with none.
 */
const stripes: Record<string, number> = {
  ...each(0, "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"),
  ...each(3, "BHD JOD KWD OMR TND"),
};

/** Stripe takes no thousandths: the last digit of these must be 0. */
const tens = new Set(["BHD", "JOD", "KWD", "OMR", "TND"]);
const whole = new Set(["ISK", "UGX"]);

/** An amount that Stripe has no way to write. */
export class Unpayable extends Error {}

/**
 * An amount as Stripe writes it.
 * @throws {Unpayable} when it is finer than Stripe can charge
 */
export function toStripe({ amount, currency }: Money): { amount: number; currency: string } {
  const scaled = scale(amount, digits(stripes, currency) - digits(iso, currency));
  const step = tens.has(currency) ? 10 : whole.has(currency) ? 100 : 1;
  if (!Number.isSafeInteger(scaled) || scaled % step !== 0)
    throw new Unpayable(`${currency} ${amount} is finer than Stripe can charge`);
  return { amount: scaled, currency: currency.toLowerCase() };
}

/** An amount of Stripe's in minor units of ISO 4217. */
export function fromStripe(amount: number, currency: string): Money {
  const code = currency.toUpperCase();
  const scaled = scale(amount, digits(iso, code) - digits(stripes, code));
  return { amount: Math.round(scaled), currency: code };
}

const scale = (amount: number, by: number): number => (by < 0 ? amount / 10 ** -by : amount * 10 ** by);
const digits = (of: Record<string, number>, currency: string): number => of[currency] ?? 2;

function each(count: number, codes: string): Record<string, number> {
  return Object.fromEntries(codes.split(" ").map((code) => [code, count]));
}

import { halfEven } from "./half-even.ts";

/** What is due on goods of a class that go to a country. */
export interface TaxRate {
  /** ISO 3166-1 alpha-2. */
  country: string;
  class: string;
  /** 100 are one percent. */
  basisPoints: number;
  /** Prices have it in them already; otherwise it is added. */
  included: boolean;
}

/** The class of goods of which nothing else is said, and that of the charge for shipping. */
export const standard = "standard";
export const shipping = "shipping";

/** The tax on an amount, and how much of it is to be added; minor units. No rate: no tax. */
export function taxOn(amount: number, rate: TaxRate | undefined): { tax: number; added: number } {
  if (rate === undefined) return { tax: 0, added: 0 };
  const { basisPoints, included } = rate;
  if (included) return { tax: halfEven(amount, basisPoints, 10_000 + basisPoints), added: 0 };
  const tax = halfEven(amount, basisPoints, 10_000);
  return { tax, added: tax };
}

import { discounts, type Given, type Goods, type Promotion } from "./promotion.ts";
import { shipping as shippingClass, standard, type TaxRate, taxOn } from "./tax.ts";

/** A line to be priced. */
export interface Priceable extends Goods {
  taxClass?: string;
}

/** What holds for one order. */
export interface Terms {
  /** Those that may be used: whatever is in the way of the others has been found out. */
  promotions: Promotion[];
  /** The tax rates of the country it goes to, by class. */
  taxes: ReadonlyMap<string, TaxRate>;
  /** What shipping is charged with, in minor units, before a tax that is not in it; absent: nothing. */
  shipping?: number;
}

/** Minor units, in the order's currency. */
export interface Priced {
  /** In the order of what was priced; `total` is what the line is worth: after discount, with added tax. */
  lines: { discount: number; tax: number; total: number }[];
  /** Before anything: the sum of quantity × unit price. */
  subtotal: number;
  discount: number;
  /** All tax, whether it was added or is in the prices. */
  tax: number;
  /** What shipping comes to, with added tax. */
  shipping: number;
  /** The lines' totals and shipping. */
  total: number;
  given: Given[];
}

/** What lines come to. The parts always sum to the total. */
export function priced(lines: Priceable[], { promotions, taxes, shipping = 0 }: Terms): Priced {
  const off = discounts(lines, promotions);
  const each = lines.map(({ worth, taxClass = standard }, index) => {
    const discount = off.lines[index] ?? 0;
    const { tax, added } = taxOn(worth - discount, taxes.get(taxClass));
    return { discount, tax, total: worth - discount + added };
  });
  const onShipping = taxOn(shipping, taxes.get(shippingClass));
  const sum = (of: (line: (typeof each)[number]) => number) => each.reduce((all, line) => all + of(line), 0);
  const charged = shipping + onShipping.added;
  return {
    lines: each,
    subtotal: lines.reduce((all, { worth }) => all + worth, 0),
    discount: sum(({ discount }) => discount),
    tax: sum(({ tax }) => tax) + onShipping.tax,
    shipping: charged,
    total: sum(({ total }) => total) + charged,
    given: off.given,
  };
}

import type { Rejection } from "chassis";
import type { AskedLine, Line, ListedProduct, Money } from "./order.ts";
import { type Priceable, type Priced, priced } from "./price.ts";
import { folded, type Goods, obstacle, type Promotion, type Uses } from "./promotion.ts";
import { charge, type ShippingRate } from "./shipping-rate.ts";
import type { TaxRate } from "./tax.ts";

/** What holds where and when something is ordered. */
export interface Offer {
  /** Where it goes to: ISO 3166-1 alpha-2. */
  country: string;
  /** Milliseconds since the epoch. */
  at: number;
  shippingMethod?: string;
  codes: string[];
  /** What the customer's uses of promotions are counted under. */
  customer?: string;
  /** Those for everybody, and those of the codes. */
  promotions: Promotion[];
  /** Of those that have a limit, by id. */
  uses: ReadonlyMap<string, Uses>;
  /** Of the country, by class. */
  taxes?: ReadonlyMap<string, TaxRate>;
  shippingRates: ShippingRate[];
}

/** How a total came about that is not just quantity × unit price; minor units. */
export interface PriceParts {
  subtotal: number;
  discount: number;
  tax: number;
  promotions: { id: string; name: string; code?: string; amount: number }[];
  /** What the customer's uses of promotions are counted under. */
  customer?: string;
}

/** What an order comes to. */
export interface Quote {
  lines: Line[];
  total: Money;
  /** What shipping is charged with, which is in the total. */
  shipping?: Money;
  shippingMethod?: string;
  /** Absent where nothing but quantities and unit prices makes the total. */
  price?: PriceParts;
}

type Known = AskedLine & { product: ListedProduct };

/** What lines come to at today's prices, or at the unit prices that they name. */
export function quote(asked: AskedLine[], offer?: Offer): Quote | Rejection {
  const unknown = asked.flatMap((line, index) =>
    line.product ? [] : [{ pointer: `/lines/${index}/sku`, detail: `there is no product ${line.sku}` }],
  );
  if (unknown.length > 0) {
    const detail = "The order names products that do not exist";
    return { rejected: "unknown-product", detail, errors: unknown };
  }
  const known = asked.filter((line): line is Known => line.product !== undefined);
  const lines = known.map(lineOf);
  const currency = lines[0]?.unitPrice.currency ?? "";
  const foreign = lines.findIndex((line) => line.unitPrice.currency !== currency);
  if (foreign >= 0) {
    const errors = [{ pointer: `/lines/${foreign}`, detail: `is not in ${currency}` }];
    return { rejected: "mixed-currencies", detail: "All lines of an order must be in one currency", errors };
  }
  const subtotal = lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0);
  if (!Number.isSafeInteger(subtotal)) return tooLarge;
  return offer === undefined || isPlain(offer)
    ? { lines, total: { amount: subtotal, currency } }
    : inFull(known, lines, currency, offer);
}

const isPlain = ({ promotions, taxes, codes, shippingMethod }: Offer): boolean =>
  promotions.length === 0 && taxes === undefined && codes.length === 0 && shippingMethod === undefined;

function inFull(known: Known[], lines: Line[], currency: string, offer: Offer): Quote | Rejection {
  const goods = goodsOf(known);
  const usable = applicable(goods, currency, offer);
  if ("rejected" in usable) return usable;
  const { shippingMethod, taxes = new Map() } = offer;
  const shipping = shippingMethod === undefined ? 0 : shippingOf(known, shippingMethod, currency, offer);
  if (typeof shipping !== "number") return shipping;
  const price = priced(goods, { promotions: usable, taxes, shipping });
  if (!Number.isSafeInteger(price.total)) return tooLarge;
  return {
    lines: lines.map((line, index) => {
      const parts = price.lines[index];
      return parts && (parts.discount > 0 || parts.tax > 0) ? { ...line, ...said(parts) } : line;
    }),
    total: { amount: price.total, currency },
    ...(shippingMethod === undefined
      ? {}
      : { shippingMethod, shipping: { amount: price.shipping, currency } }),
    ...(price.discount === 0 && price.tax === 0 ? {} : { price: partsOf(price, offer.customer) }),
  };
}

/** The promotions that may be used; a code that may not is refused, what is for everybody is left out. */
function applicable(goods: Goods[], currency: string, offer: Offer): Promotion[] | Rejection {
  const { promotions, codes, at } = offer;
  const inTheWay = (promotion: Promotion): string | undefined =>
    obstacle(promotion, { goods, currency, at, uses: offer.uses.get(promotion.id) });
  const errors = codes.flatMap((code, index) => {
    const promotion = promotions.find((one) => one.code !== undefined && folded(one.code) === folded(code));
    const found = promotion ? inTheWay(promotion) : "does not hold";
    return found === undefined ? [] : [{ pointer: `/codes/${index}`, detail: `the code ${found}` }];
  });
  if (errors.length > 0) {
    const detail = `A promotion cannot be used: ${errors[0]?.detail}`;
    return { rejected: "promotion-not-applicable", detail, errors };
  }
  return promotions.filter((promotion) => inTheWay(promotion) === undefined);
}

function shippingOf(
  known: Known[],
  method: string,
  currency: string,
  { country, shippingRates }: Offer,
): number | Rejection {
  const physical = known.filter(({ product }) => product.kind === "physical");
  const weight = physical.reduce((sum, { product, quantity }) => sum + quantity * (product.weight ?? 0), 0);
  const amount = charge(shippingRates, { country, method, currency, weight });
  // Nothing is sent: nothing is charged.
  if (amount !== undefined) return physical.length > 0 ? amount : 0;
  const detail = `${method} is not on offer for ${weight} g to ${country} in ${currency}: see /api/shipping/rates`;
  return { rejected: "unknown-shipping-method", detail, errors: [{ pointer: "/shippingMethod", detail }] };
}

/** Lines of known products as promotions and taxes see them. */
export const goodsOf = (asked: AskedLine[]): Priceable[] =>
  asked.flatMap(({ sku, quantity, unitPrice, product }) =>
    product
      ? [
          {
            sku,
            category: product.category,
            taxClass: product.taxClass,
            worth: quantity * (unitPrice ?? product.price).amount,
            byStaff: unitPrice !== undefined,
          },
        ]
      : [],
  );

const lineOf = ({ sku, quantity, unitPrice, product }: Known): Line => ({
  sku,
  quantity,
  name: product.name,
  kind: product.kind,
  unitPrice: unitPrice ?? product.price,
  ...(product.weight === undefined ? {} : { weight: product.weight }),
});

/** What is said of a line only where there is something to say. */
const said = ({ discount, tax, total }: Priced["lines"][number]) => ({
  ...(discount > 0 ? { discount } : {}),
  ...(tax > 0 ? { tax } : {}),
  total,
});

const partsOf = ({ subtotal, discount, tax, given }: Priced, customer: string | undefined): PriceParts => ({
  subtotal,
  discount,
  tax,
  promotions: given.map(({ promotion: { id, name, code }, amount }) => ({
    id,
    name,
    ...(code === undefined ? {} : { code }),
    amount,
  })),
  ...(given.length > 0 && customer !== undefined ? { customer } : {}),
});

const tooLarge: Rejection = {
  rejected: "total-too-large",
  detail: "The total is more than can be counted exactly",
};

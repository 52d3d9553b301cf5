import type { OrderView } from "./contracts.ts";
import type { Line, Money } from "./order.ts";
import type { PromotionView, QuoteView } from "./pricing-contracts.ts";
import type { Promotion } from "./promotion.ts";
import type { Quote } from "./quote.ts";

/** A promotion as staff sees it. */
export function promotionView({ from, until, ...rest }: Promotion): PromotionView {
  return {
    ...rest,
    ...(from === undefined ? {} : { from: new Date(from).toISOString() }),
    ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
  };
}

type Parts = Pick<OrderView, "subtotal" | "discount" | "tax" | "shipping" | "promotions">;

/** How an order's total came about, where there is more to it than quantities and unit prices. */
export function partsView({ lines, total, shipping, price }: Quote): Parts {
  if (price === undefined && shipping === undefined) return {};
  const money = (amount: number): Money => ({ amount, currency: total.currency });
  const { subtotal, discount, tax, promotions } = price ?? {
    subtotal: lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0),
    discount: 0,
    tax: 0,
    promotions: [],
  };
  return {
    subtotal: money(subtotal),
    discount: money(discount),
    tax: money(tax),
    shipping: shipping ?? money(0),
    ...(promotions.length > 0
      ? { promotions: promotions.map((one) => ({ ...one, amount: money(one.amount) })) }
      : {}),
  };
}

/** A line as its readers see it: `total` is quantity × unit price, whatever is taken off or added. */
export const lineView = (
  { sku, name, quantity, unitPrice, discount, tax }: Line,
  priced: boolean,
): OrderView["lines"][number] => {
  const money = (amount: number): Money => ({ amount, currency: unitPrice.currency });
  return {
    sku,
    name,
    quantity,
    unitPrice,
    total: money(quantity * unitPrice.amount),
    ...(priced ? { discount: money(discount ?? 0), tax: money(tax ?? 0) } : {}),
  };
};

/** What lines would come to: every part is said, also where it is nothing. */
export function quoteView(quoted: Quote): QuoteView {
  const { total } = quoted;
  const nothing = { amount: 0, currency: total.currency };
  const parts = partsView({ ...quoted, shipping: quoted.shipping ?? nothing });
  return {
    lines: quoted.lines.map((line) => ({ discount: nothing, tax: nothing, ...lineView(line, true) })),
    subtotal: parts.subtotal ?? nothing,
    discount: parts.discount ?? nothing,
    tax: parts.tax ?? nothing,
    shipping: parts.shipping ?? nothing,
    total,
    promotions: parts.promotions ?? [],
  };
}

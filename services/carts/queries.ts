import { type Cart, isExact, type Line, priceOf, sum } from "./cart.ts";
import type { CartView } from "./contracts.ts";
import type { Shown } from "./store.ts";

type LineView = CartView["lines"][number];

/**
 * A cart as its customer sees it: at today's prices.
 * @param products those of its lines that are for sale
 */
export function view(cart: Cart, products: ReadonlyMap<string, Shown>): CartView {
  const lines = cart.lines.map((line) => lineView(line, products));
  const amount = sum(cart.lines, products);
  const currencies = new Set(
    lines.flatMap(({ availability, unitPrice }) =>
      availability === "unavailable" ? [] : [unitPrice.currency],
    ),
  );
  const [currency] = currencies;
  return {
    id: cart.id,
    status: cart.ordered ? "ordered" : "open",
    ...(cart.ordered && cart.orderId !== undefined ? { orderId: cart.orderId } : {}),
    lines,
    // Prices go up, and change their currency, after they were put in: then no order could say it either.
    total: currency !== undefined && currencies.size === 1 && isExact(amount) ? { amount, currency } : null,
    changedAt: new Date(cart.changedAt).toISOString(),
  };
}

function lineView(line: Line, products: ReadonlyMap<string, Shown>): LineView {
  const { sku, quantity, seen } = line;
  const product = products.get(sku);
  const price = priceOf(line, products);
  const unitPrice = price ?? seen;
  const changed = unitPrice.amount !== seen.amount || unitPrice.currency !== seen.currency;
  return {
    sku,
    name: product?.name ?? sku,
    quantity,
    unitPrice,
    ...(changed ? { priceWas: seen } : {}),
    total: { amount: quantity * unitPrice.amount, currency: unitPrice.currency },
    ...availability(price && product),
  };
}

function availability(product: Shown | undefined): Pick<LineView, "availability" | "available"> {
  if (product === undefined) return { availability: "unavailable" };
  const { kind, few } = product;
  if (kind === "service" || few === null) return { availability: "in-stock" };
  return few > 0 ? { availability: "low", available: few } : { availability: "sold-out" };
}

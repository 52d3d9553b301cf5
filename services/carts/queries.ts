import type { Cart, Line } from "./cart.ts";
import type { CartView } from "./contracts.ts";
import type { Shown } from "./store.ts";

type LineView = CartView["lines"][number];

/**
 * A cart as its customer sees it: at today's prices.
 * @param products those of its lines that are for sale
 */
export function view(cart: Cart, products: ReadonlyMap<string, Shown>): CartView {
  const lines = cart.lines.map((line) => lineView(line, products.get(line.sku)));
  const counted = lines.filter(({ availability }) => availability !== "unavailable");
  const currency = counted[0]?.unitPrice.currency;
  return {
    id: cart.id,
    status: cart.ordered ? "ordered" : "open",
    ...(cart.ordered && cart.orderId !== undefined ? { orderId: cart.orderId } : {}),
    lines,
    total:
      currency === undefined
        ? null
        : { amount: counted.reduce((sum, { total }) => sum + total.amount, 0), currency },
    changedAt: new Date(cart.changedAt).toISOString(),
  };
}

function lineView({ sku, quantity, seen }: Line, product: Shown | undefined): LineView {
  const unitPrice = product?.price ?? seen;
  const changed = unitPrice.amount !== seen.amount || unitPrice.currency !== seen.currency;
  return {
    sku,
    name: product?.name ?? sku,
    quantity,
    unitPrice,
    ...(changed ? { priceWas: seen } : {}),
    total: { amount: quantity * unitPrice.amount, currency: unitPrice.currency },
    ...availability(product),
  };
}

function availability(product: Shown | undefined): Pick<LineView, "availability" | "available"> {
  if (product === undefined) return { availability: "unavailable" };
  const { kind, few } = product;
  if (kind === "service" || few === null) return { availability: "in-stock" };
  return few > 0 ? { availability: "low", available: few } : { availability: "sold-out" };
}

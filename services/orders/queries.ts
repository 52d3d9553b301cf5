import type { OrderView } from "./contracts.ts";
import type { Order } from "./order.ts";
import { shown } from "./order.ts";

/** An order as its readers see it. */
export function view(order: Order): OrderView {
  return {
    id: order.id,
    reference: order.reference,
    status: shown(order),
    ...(order.status === "rejected" ? { reason: order.reason } : {}),
    customer: order.customer,
    shippingAddress: order.shippingAddress,
    lines: order.lines.map(({ sku, name, quantity, unitPrice }) => ({
      sku,
      name,
      quantity,
      unitPrice,
      total: { amount: quantity * unitPrice.amount, currency: unitPrice.currency },
    })),
    total: order.total,
    history: order.history.map(({ at, ...entry }) => ({ at: new Date(at).toISOString(), ...entry })),
  };
}

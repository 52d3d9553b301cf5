import type { Progress } from "chassis";
import type { Contact, OrderStep, OrderView } from "./contracts.ts";
import type { Order, PublicStatus } from "./order.ts";
import { shown } from "./order.ts";
import type { Personal } from "./personal.ts";

/** An order as its readers see it. */
export function view(order: Order, personal: Personal | undefined): OrderView {
  return {
    id: order.id,
    reference: order.reference,
    status: shown(order),
    ...(order.status === "rejected" ? { reason: order.reason } : {}),
    ...(personal
      ? { customer: personal.customer, shippingAddress: personal.shippingAddress }
      : erased(order.country)),
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

/**
 * Whom to write to about an order, for whoever sends the mails: asked for when one goes out, and kept nowhere else.
 * @param personal nothing where the customer is erased
 */
export const contactOf = ({ reference }: Order, personal: Personal | undefined): Contact | undefined =>
  personal && { ...personal.customer, reference, language: personal.language };

/** What is left when what was personal is gone. */
const erased = (country: string) => ({
  erased: true,
  customer: { email: "", name: "" },
  shippingAddress: { name: "", line1: "", city: "", country },
});

/** From these nothing leads on; a confirmed order may still be cancelled. */
const last = new Set<PublicStatus>(["rejected", "cancelled"]);

/** The order as its followers are told of it: a step for each status that it has come to. */
export function progress(
  order: Order | undefined,
): (Progress & { version: number; steps: OrderStep[] }) | undefined {
  return (
    order && {
      version: order.version,
      steps: order.history.map(({ at, ...entry }) => ({
        orderId: order.id,
        ...entry,
        at: new Date(at).toISOString(),
      })),
      ended: last.has(shown(order)),
    }
  );
}

import { withoutMoney } from "./cancel.ts";
import type { RefusalReason, Shipment } from "./fulfilment.ts";
import { evolve, type Order, type OrderEvent } from "./order.ts";
import { leadingOn } from "./standing.ts";
import { assigned, open, type Piece } from "./units.ts";
import { dueFor, remaining } from "./worth.ts";

/** What leaves, and when: not before its money is captured, and of an order one shipment after the other. */

/** A shipment that is about to be handed over, as shipping tells. */
export interface Dispatching extends Pick<Shipment, "id" | "carrier" | "tracking"> {
  lines: Piece[];
}

/** Accepts a shipment, or refuses it. It has left as soon as nothing is to be captured for it. */
export function handOver(order: Order, at: number, shipment: Dispatching): OrderEvent[] {
  const { lines, shipments = [] } = order;
  const { id, carrier, tracking } = shipment;
  if (shipments.some((one) => one.id === id)) return [];
  if (inHandOver(order)) return refused(id, "dispatch-in-progress", at);
  const { units, short } = assigned(lines, shipment.lines, open);
  if (short.length > 0 || units.length === 0) return refused(id, "not-open", at);
  const amount = dueFor(order, units);
  const accepted: OrderEvent = {
    type: "shipment-accepted",
    at,
    shipment: { id, units, amount, ...(carrier ? { carrier } : {}), ...(tracking ? { tracking } : {}) },
    final: amount === remaining(order),
  };
  if (amount > 0) return [accepted];
  return leadingOn(order, [accepted, { type: "shipped", at, shipmentId: id, amount }], at);
}

export const refused = (shipmentId: string, reason: RefusalReason, at: number): OrderEvent[] => [
  { type: "shipment-refused", at, shipmentId, reason },
];

const inHandOver = ({ shipments = [] }: Order): Shipment | undefined =>
  shipments.find(({ status }) => status === "dispatching");

/** The money of a shipment is there: it leaves. */
export function paidFor(
  order: Order,
  at: number,
  { key, amount }: { key: string; amount?: number },
): OrderEvent[] {
  const shipment = inHandOver(order);
  if (shipment?.id !== key) return [];
  return leadingOn(order, [{ type: "shipped", at, shipmentId: key, amount: amount ?? shipment.amount }], at);
}

export type Unpaid = Extract<
  RefusalReason,
  "authorisation-expired" | "payment-declined" | "partial-capture-unavailable"
>;

/**
 * The money of a shipment is not to be had: it stays, and with it what else the order has not paid for. Where the
 * provider captures all that is open or nothing, it may go with the rest.
 */
export function unpaid(
  order: Order,
  at: number,
  { key, reason }: { key: string; reason: Unpaid },
): OrderEvent[] {
  if (inHandOver(order)?.id !== key) return [];
  const stays = refused(key, reason, at);
  if (reason === "partial-capture-unavailable") return stays;
  return [...stays, ...withoutMoney(stays.reduce<Order>(evolve, order), at)];
}

/** A shipment has arrived. */
export function arrived(order: Order, at: number, shipmentId: string): OrderEvent[] {
  const shipment = order.shipments?.find(({ id }) => id === shipmentId);
  if (shipment?.status !== "dispatched") return [];
  return leadingOn(order, [{ type: "delivered", at, shipmentId }], at);
}

import { emit, guest } from "chassis";
import type { NewEvent } from "drizzle-outbox";
import {
  OrderAborting,
  OrderCancelled,
  OrderConfirmed,
  OrderPlaced,
  OrderRejected,
  OrderReserved,
} from "./contracts.ts";
import type { Order, OrderEvent } from "./order.ts";

/** What the others are told of an event; what is only our own bookkeeping is not. */
export function published(
  order: Order,
  event: OrderEvent,
  payment: Order["payment"] | undefined,
): NewEvent[] {
  const { id, total, reference, owner } = order;
  const orderId = id;
  const of = owner === guest.id ? { orderId } : { orderId, customerId: owner };
  const tell = () => ({
    ...of,
    reference,
    total,
    country: order.country,
    lines: order.lines.map(line),
  });
  switch (event.type) {
    case "placed":
      return [emit(OrderPlaced, orderId, tell())];
    case "reserved":
      return [emit(OrderReserved, orderId, { ...of, total, payment: { method: "", token: "", ...payment } })];
    case "confirmed":
      // With names: whoever writes to the customer has no catalog.
      return [
        emit(OrderConfirmed, orderId, {
          ...tell(),
          lines: order.lines.map((one) => ({ ...line(one), name: one.name })),
        }),
      ];
    case "aborting":
      return [emit(OrderAborting, orderId, { ...of, ...event.ending })];
    case "given-back":
      return [];
    case "rejected":
      return [emit(OrderRejected, orderId, { ...of, reason: event.reason })];
    case "cancelled":
      return [emit(OrderCancelled, orderId, of)];
    default:
      return event satisfies never;
  }
}

const line = ({ sku, quantity, unitPrice, kind }: Order["lines"][number]) => ({
  sku,
  quantity,
  unitPrice,
  kind,
});

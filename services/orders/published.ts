import { emit, guest } from "chassis";
import type { NewEvent } from "drizzle-outbox";
import {
  OrderAborting,
  OrderCancelled,
  OrderConfirmed,
  OrderDelivered,
  OrderLinesCancelled,
  OrderPlaced,
  OrderRejected,
  OrderReserved,
  OrderReturned,
  OrderReturnReceived,
  OrderShipmentAccepted,
  OrderShipmentRefused,
  OrderShipped,
} from "./contracts.ts";
import type { Order, OrderEvent } from "./order.ts";
import { hasArrived, isOpen } from "./standing.ts";
import { counted, open, pieces } from "./units.ts";
import { captureNow, remaining } from "./worth.ts";

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
  const left = () => pieces(order.lines, open);
  const money = (amount: number) => ({ amount, currency: total.currency });
  const back = (
    returnId: string,
    lines: { sku: string; quantity: number; restock: boolean }[],
    amount: number,
  ) =>
    lines.length === 0 && amount === 0
      ? []
      : [emit(OrderReturnReceived, orderId, { ...of, returnId, lines, amount: money(amount) })];
  switch (event.type) {
    case "placed":
      return [emit(OrderPlaced, orderId, tell())];
    case "reserved":
      return [
        emit(OrderReserved, orderId, {
          ...of,
          total,
          captureNow: captureNow(order),
          payment: { method: "", token: "", ...payment },
        }),
      ];
    case "confirmed":
      // With names: whoever writes to the customer has no catalog.
      return [
        emit(OrderConfirmed, orderId, {
          ...tell(),
          lines: order.lines.map((one) => ({ ...line(one), name: one.name })),
          shipment: firstShipment(order),
        }),
      ];
    case "aborting":
      return [emit(OrderAborting, orderId, { ...of, ...event.ending })];
    case "given-back":
    case "noted":
    case "paid":
    case "return-requested":
    case "return-settled":
      return [];
    case "rejected":
      return [emit(OrderRejected, orderId, { ...of, reason: event.reason })];
    case "cancelled":
      return [emit(OrderCancelled, orderId, { ...of, reason: event.reason })];
    case "reached":
      return event.status === "returned" ? [emit(OrderReturned, orderId, { ...of, reference })] : [];
    case "lines-cancelled":
      return [
        emit(OrderLinesCancelled, orderId, {
          ...of,
          lines: pieces(order.lines, counted(event.units)),
          open: left(),
          remaining: money(remaining(order)),
          reason: event.reason,
        }),
        // It comes back without anything having been sent.
        ...back(`${id}-c${order.version}`, [], event.excess),
      ];
    case "shipment-accepted": {
      const { shipment, final } = event;
      // Nothing is captured for one that has been paid for.
      if (shipment.amount === 0) return [];
      const amount = money(shipment.amount);
      return [emit(OrderShipmentAccepted, orderId, { ...of, shipmentId: shipment.id, amount, final })];
    }
    case "shipment-refused": {
      const { shipmentId, reason } = event;
      const waiting = order.status === "confirmed" ? left() : [];
      return [emit(OrderShipmentRefused, orderId, { ...of, shipmentId, reason, open: waiting })];
    }
    case "shipped": {
      const shipment = order.shipments?.find((one) => one.id === event.shipmentId);
      const names = new Map(order.lines.map(({ sku, name }) => [sku, name]));
      // What was to be captured after it was cancelled meanwhile: payments has not been told that this was the last.
      const over = shipment?.more && remaining(order) === 0;
      return [
        emit(OrderShipped, orderId, {
          ...of,
          reference,
          shipmentId: event.shipmentId,
          lines: pieces(order.lines, counted(shipment?.units ?? [])).map((one) => ({
            ...one,
            name: names.get(one.sku) ?? "",
          })),
          carrier: shipment?.carrier,
          tracking: shipment?.tracking,
          complete: !isOpen(order),
        }),
        ...(over
          ? [emit(OrderLinesCancelled, orderId, { ...of, lines: [], open: left(), remaining: money(0) })]
          : []),
      ];
    }
    case "delivered": {
      const complete = hasArrived(order);
      return [emit(OrderDelivered, orderId, { ...of, reference, shipmentId: event.shipmentId, complete })];
    }
    case "return-received": {
      const { returned, writtenOff } = event;
      const [all, bad] = [counted(returned.units), counted(writtenOff)];
      const some = (count: typeof all, restock: boolean) =>
        pieces(order.lines, count).map((one) => ({ ...one, restock }));
      const good = some((line, index) => all(line, index) - bad(line, index), true);
      return back(returned.id, [...good, ...some(bad, false)], returned.amount);
    }
    default:
      return event satisfies never;
  }
}

/** What is to be sent of an order that is confirmed, as long as nobody divides it. */
function firstShipment({ id, lines, shippingMethod: method }: Order) {
  const all = pieces(lines, open);
  const weight = lines.reduce((sum, line) => sum + open(line) * (line.weight ?? 0), 0);
  return all.length === 0 ? undefined : { id: `${id}-1`, lines: all, weight, method };
}

const line = ({ sku, quantity, unitPrice, kind }: Order["lines"][number]) => ({
  sku,
  quantity,
  unitPrice,
  kind,
});

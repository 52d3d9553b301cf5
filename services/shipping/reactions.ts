import { type Dropped, drop, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import {
  OrderAborting,
  OrderConfirmed,
  OrderLinesCancelled,
  OrderShipmentRefused,
  OrderShipped,
} from "./contracts.ts";
import {
  abort,
  type Consignment,
  cancelLines,
  confirm,
  named,
  type Of,
  refuse,
  type ShipmentEvent,
  ship,
} from "./shipment.ts";
import type { Store } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(
    OrderConfirmed,
    ({ shipment, ...e }, got: Got) =>
      shipment && on(e, got, (before, known) => confirm(before, { ...known, ...shipment })),
  ),
  react(OrderAborting, (e, got: Got) => on(e, got, abort)),
  react(OrderLinesCancelled, (e, got: Got) =>
    on(e, got, (before, known) => cancelLines(before, { ...known, lines: e.lines })),
  ),
  react(OrderShipmentRefused, ({ shipmentId: id, reason, ...e }, got: Got) =>
    on(e, got, (before, { at }) => refuse(before, { id, reason, at })),
  ),
  react(OrderShipped, ({ orderId, customerId, shipmentId: id, ...e }, got: Got) =>
    on({ orderId, customerId }, got, (before, known) => ship(before, { ...known, id, ...e })),
  ),
];

interface Known {
  of: Of;
  at: number;
}

/**
 * Loads what is known of an order, asks what follows, and says what to commit. A shipment is one order's for good: an event
 * by which it would be another's as well can never be true.
 */
async function on(
  { orderId, customerId }: { orderId: string; customerId?: string | undefined },
  { store, now }: Got,
  decide: (before: Consignment | undefined, known: Known) => ShipmentEvent[],
): Promise<Change | Dropped> {
  const before = await store.load(orderId);
  const known = { of: { orderId, customerId: customerId ?? null }, at: now() };
  const { consignment, change } = store.change(before, decide(before, known));
  const taken = await store.ofAnother(orderId, named(before, consignment));
  return taken ? drop(`The shipment ${taken.id} is of another order, ${taken.orderId}`) : change;
}

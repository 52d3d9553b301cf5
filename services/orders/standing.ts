import { evolve, type Order, type OrderEvent, type Progress } from "./order.ts";
import { kept, open, shipped } from "./units.ts";

/** What was decided, and the status that the order comes to by it. */
export function leadingOn(order: Order, decided: OrderEvent[], at: number): OrderEvent[] {
  const after = decided.reduce<Order>(evolve, order);
  const status = standing(after);
  return status === undefined || status === after.status
    ? decided
    : [...decided, { type: "reached", at, status }];
}

/** Whether something waits to be sent, or is in hand-over. */
export const isOpen = ({ lines }: Order): boolean =>
  lines.some((line) => open(line) > 0 || (line.leaving ?? 0) > 0);

/** Whether all that is ever sent of the order has arrived. */
export const hasArrived = (order: Order): boolean =>
  !isOpen(order) && (order.shipments ?? []).every(({ status }) => status === "delivered");

function standing(order: Order): Progress | undefined {
  const { lines, shipments = [], returns = [] } = order;
  if (isOpen(order)) return undefined;
  const isBack = lines.some((line) => shipped(line) > 0) && lines.every((line) => kept(line) === 0);
  if (isBack && returns.every(({ status }) => status === "refunded")) return "returned";
  if (shipments.length === 0) return undefined;
  return hasArrived(order) ? "delivered" : "shipped";
}

import { allTold, type Facts, type Piece } from "../facts.ts";
import type { Violation } from "../types.ts";
import { open } from "../worth.ts";
import { heldOf, remainingOf, sold, uncaptured } from "./money.ts";
import { physical } from "./stock.ts";

/** What is over holds nothing: neither an order that came to nothing, nor one that is done. */
export function ended(facts: Facts): Violation[] {
  return [...nothing(facts), ...done(facts)];
}

/** An order of which nothing is still to leave holds no stock, and no money that will not be captured. */
function done({ book, orders, reservations }: Facts): Violation[] {
  const calls = Map.groupBy(book, ({ payment }) => payment);
  return [...orders.values()].flatMap((order): Violation[] => {
    const { id, state } = order;
    if (!sold.has(state.status) || physical(order, open).size > 0) return [];
    const wrong = (detail: string): Violation => ({
      rule: "ended-order-holds-nothing",
      orderId: id,
      detail: `nothing of it is still to leave, and ${detail}`,
    });
    const reservation = reservations.get(id);
    const isHeld = reservation?.status === "reserved" && reservation.lines.length > 0;
    const some = calls.get(id) ?? [];
    const held = uncaptured(heldOf(some));
    return [
      ...(isHeld ? [wrong(`it holds ${text(reservation.lines)}`)] : []),
      ...(held > 0 && remainingOf(order, some) === 0
        ? [wrong(`${held} of its money is authorised and will not be captured`)]
        : []),
    ];
  });
}

const text = (lines: Piece[]): string => lines.map(({ sku, quantity }) => `${quantity} × ${sku}`).join(", ");

/** What a client reads as rejected or cancelled holds nothing, from that moment on. */
function nothing(facts: Facts): Violation[] {
  const calls = Map.groupBy(facts.book, ({ payment }) => payment);
  const released = new Map<string, number>();
  for (const { type, key, at } of allTold(facts))
    if (type === "stock.released") released.set(key, Math.min(at, released.get(key) ?? at));
  return [...facts.orders.values()].flatMap((order): Violation[] => {
    const { id, state } = order;
    const end = state.history.find(({ status }) => status === "rejected" || status === "cancelled");
    if (end === undefined) return [];
    const wrong = (detail: string): Violation => ({
      rule: "ended-order-holds-nothing",
      orderId: id,
      detail: `${end.status}, and ${detail}`,
    });
    const violations: Violation[] = [];
    const reservation = facts.reservations.get(id);
    if (reservation?.status === "reserved") violations.push(wrong(`holds ${text(reservation.lines)}`));
    const held = heldOf(calls.get(id) ?? []);
    const { captured, refunded } = held;
    if (captured > refunded) violations.push(wrong(`${captured - refunded} of its money is kept`));
    if (uncaptured(held) > 0) violations.push(wrong(`${uncaptured(held)} of its money is authorised`));
    if (held.open) violations.push(wrong("its authorisation may still be approved"));
    if (end.reason !== "out-of-stock" && physical(order).size > 0) {
      const at = released.get(id);
      if (at === undefined) violations.push(wrong("inventory never said that its stock was released"));
      else if (at > end.at) violations.push(wrong(`its stock was released ${at - end.at} ms after that`));
    }
    const late = (calls.get(id) ?? []).filter(
      ({ operation, askedAt }) => (operation === "void" || operation === "refund") && askedAt > end.at,
    );
    for (const { operation, askedAt } of late)
      violations.push(wrong(`its ${operation} was asked for ${askedAt - end.at} ms after that`));
    return violations;
  });
}

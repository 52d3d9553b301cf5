import { allTold, type Facts } from "../facts.ts";
import type { Violation } from "../types.ts";
import { heldOf } from "./money.ts";
import { physical } from "./stock.ts";

/** What a client reads as rejected or cancelled holds nothing, from that moment on. */
export function ended(facts: Facts): Violation[] {
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
    if (reservation?.status === "reserved")
      violations.push(
        wrong(`holds ${reservation.lines.map(({ sku, quantity }) => `${quantity} × ${sku}`).join(", ")}`),
      );
    const { approved, captured, refunded, voided, open } = heldOf(calls.get(id) ?? []);
    if (captured > refunded) violations.push(wrong(`${captured - refunded} of its money is kept`));
    if (captured === 0 && approved > 0 && !voided)
      violations.push(wrong(`${approved} of its money is authorised`));
    if (open) violations.push(wrong("its authorisation may still be approved"));
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

import type { Facts, Order } from "../facts.ts";
import type { Violation } from "../types.ts";
import { sum, worth } from "../worth.ts";

/** What an order comes to is the sum of its parts. */
export function price({ orders }: Facts): Violation[] {
  return [...orders.values()].flatMap((order) => summed(order));
}

function summed({ id, state }: Order): Violation[] {
  const wrong = (detail: string): Violation => ({ rule: "price-adds-up", orderId: id, detail });
  const { lines, shipping, total } = state;
  const charge = shipping?.amount ?? 0;
  const parts = sum(lines.map(worth)) + charge;
  const off = lines.flatMap((line): Violation[] => {
    const { discount = 0, quantity, tax = 0, total: is = quantity * line.unitPrice.amount, unitPrice } = line;
    const before = quantity * unitPrice.amount - discount;
    // Tax is in the price, or added to it.
    if (discount >= 0 && before >= 0 && (is === before || is === before + tax)) return [];
    return [wrong(`${line.sku} is ${is}, for ${before} after discount and ${tax} of tax`)];
  });
  return parts === total.amount
    ? off
    : [
        ...off,
        wrong(
          `its lines come to ${parts - charge} and its shipping to ${charge}, its total is ${total.amount}`,
        ),
      ];
}

import type { Facts, Promotion } from "../facts.ts";
import type { Violation } from "../types.ts";

/** A promotion counts the orders that use it, of all customers and of each, and they are no more than it may have. */
export function promotions(facts: Facts): Violation[] {
  return facts.promotions.flatMap((promotion) => counted(facts, promotion));
}

function counted({ orders }: Facts, { id, version, limit, limitPerCustomer, uses }: Promotion): Violation[] {
  // One that came to nothing has given back what it used.
  const using = [...orders.values()]
    .filter(({ state }) => state.status !== "rejected" && state.status !== "cancelled")
    .flatMap(({ state: { price } }) => (price?.promotions.some((one) => one.id === id) ? [price] : []));
  const there = new Map([["", using.length]]);
  for (const { customer = "" } of using) there.set(customer, (there.get(customer) ?? 0) + 1);
  return [...new Set([...there.keys(), ...uses.keys()])].flatMap((customer): Violation[] => {
    const [is, should] = [uses.get(customer) ?? 0, there.get(customer) ?? 0];
    const whose = customer === "" ? "" : ` of ${customer}`;
    const wrong = (detail: string): Violation => ({ rule: "promotion-counts", detail });
    if (is !== should) return [wrong(`${id} counts ${is}${whose}, used by ${should} orders`)];
    // Staff may say afterwards that it may have fewer.
    const most = version > 1 ? null : customer === "" ? limit : limitPerCustomer;
    return most !== null && is > most ? [wrong(`${id} may be used ${most} times${whose}, and is ${is}`)] : [];
  });
}

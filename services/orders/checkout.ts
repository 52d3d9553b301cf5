import { type Ending, type Held, holds, type Order, type OrderEvent } from "./order.ts";

/** What the saga hears: from inventory, from payments, from the clock. */
export type Heard =
  | "stock-reserved"
  | "stock-refused"
  | "stock-released"
  | "payment-declined"
  | "payment-timed-out"
  | "payment-captured"
  | "money-given-back"
  | "deadline";

type Step = (order: Order, at: number) => OrderEvent[];

/**
 * The checkout saga: where the order is × what was heard → what happens.
 * What is not in the table changes nothing: it came twice, or late.
 *
 *   placed      inventory is asked to reserve      ↩ release the stock
 *   reserved    payments is asked for the money: to authorise and to capture it
 *                                                  ↩ void or refund, and release
 *   confirmed   paid                               ↩ refund, and release
 *   aborting    both are asked to give back; it ends when nothing is held any more
 */
const checkout: Record<Order["status"], Partial<Record<Heard, Step>>> = {
  placed: {
    "stock-reserved": (order, at) =>
      order.total.amount > 0
        ? [{ type: "reserved", at }]
        : [
            { type: "reserved", at },
            { type: "confirmed", at },
          ],
    "stock-refused": (_, at) => [{ type: "rejected", at, reason: "out-of-stock" }],
    deadline: (order, at) => abort(holds(order), "timed-out", at),
  },
  reserved: {
    "payment-captured": (_, at) => [{ type: "confirmed", at }],
    "payment-declined": (_, at) => abort({ stock: true, money: false }, "payment-declined", at),
    "payment-timed-out": (_, at) => abort({ stock: true, money: false }, "timed-out", at),
    deadline: (order, at) => abort(holds(order), "timed-out", at),
  },
  confirmed: {},
  aborting: {
    "stock-released": (order, at) => givenBack(order, "stock", at),
    "money-given-back": (order, at) => givenBack(order, "money", at),
  },
  rejected: {},
  cancelled: {},
};

/** What follows from what was heard. */
export function advance(order: Order, heard: Heard, at: number): OrderEvent[] {
  return checkout[order.status][heard]?.(order, at) ?? [];
}

function abort(held: Held, reason: "payment-declined" | "timed-out", at: number): OrderEvent[] {
  return [{ type: "aborting", at, held, ending: { outcome: "rejected", reason } }];
}

function givenBack(order: Order, what: keyof Held, at: number): OrderEvent[] {
  if (order.status !== "aborting" || !order.held[what]) return [];
  const event: OrderEvent = { type: "given-back", what, at };
  const other = what === "stock" ? order.held.money : order.held.stock;
  return other ? [event] : [event, end(order.ending, at)];
}

const end = (ending: Ending, at: number): OrderEvent =>
  ending.outcome === "rejected" ? { type: "rejected", at, reason: ending.reason } : { type: "cancelled", at };

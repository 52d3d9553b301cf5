import { withoutMoney } from "./cancel.ts";
import { type Ending, type Held, holds, type Order, type OrderEvent } from "./order.ts";
import { settle } from "./returns.ts";
import { arrived, type Dispatching, handOver, paidFor, refused, type Unpaid, unpaid } from "./shipments.ts";
import { atOnce } from "./worth.ts";

/** What the saga hears: from inventory, from payments, from shipping, from the clock. Amounts are minor units. */
export type Heard =
  | { type: "stock-reserved" | "stock-refused" | "stock-released" | "deadline" }
  | { type: "payment-authorised" | "payment-declined" | "payment-timed-out" | "payment-expired" }
  /** `key`: of a shipment; without it what is captured at once, by default all. */
  | { type: "payment-captured"; key?: string; amount?: number }
  | { type: "capture-failed"; key: string; reason: Unpaid }
  /** `key`: of a return; `held` is what is still with the provider. */
  | { type: "money-given-back"; key?: string; held: number }
  | { type: "restocked"; returnId: string }
  | { type: "shipment-dispatching"; shipment: Dispatching }
  | { type: "shipment-delivered"; shipmentId: string };

type Word = Heard["type"];
type Of<W extends Word> = Extract<Heard, { type: W }>;
type Steps = { [W in Word]?: (order: Order, at: number, heard: Of<W>) => OrderEvent[] };

/** What is heard of an order that is on its way to its customer, or has come there. */
const underWay: Steps = {
  "payment-captured": (order, at, { key, amount }) =>
    key === undefined ? paid(order, at, amount) : paidFor(order, at, { key, amount }),
  "capture-failed": (order, at, heard) => unpaid(order, at, heard),
  "payment-expired": (order, at) => withoutMoney(order, at),
  "money-given-back": (order, at, { key }) => (key === undefined ? [] : settle(order, at, key, "money")),
  restocked: (order, at, { returnId }) => settle(order, at, returnId, "goods"),
  "shipment-dispatching": (order, at, { shipment }) => handOver(order, at, shipment),
  "shipment-delivered": (order, at, { shipmentId }) => arrived(order, at, shipmentId),
};

/** Nothing leaves before an order is confirmed, or when it is given up. */
const nothingLeaves: Steps = {
  "shipment-dispatching": (_, at, { shipment }) => refused(shipment.id, "not-confirmed", at),
};

/**
 * The saga: where the order is × what was heard → what happens.
 * What is not in the table changes nothing: it came twice, or late.
 *
 *   placed      inventory is asked to reserve      ↩ release the stock
 *   reserved    payments is asked for the money: to authorise it, and to capture what is to be captured at once
 *                                                  ↩ void or refund, and release
 *   confirmed   shipping sends it, in one shipment or more: each leaves when its money is captured
 *                                                  ↩ void or refund what is not sent, and release
 *   shipped     all of it has left                 ↩ what comes back is refunded and restocked
 *   delivered   all of it has arrived              ↩ likewise
 *   aborting    all are asked to give back; it ends when nothing is held any more
 */
const checkout: Record<Order["status"], Steps> = {
  placed: {
    ...nothingLeaves,
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
    ...nothingLeaves,
    "payment-authorised": (order, at) => [{ type: "confirmed", at, paid: atOnce(order) }],
    "payment-captured": (order, at, { key, amount = order.total.amount }) => {
      if (key !== undefined) return [];
      return [{ type: "confirmed", at, ...(amount === order.total.amount ? {} : { paid: amount }) }];
    },
    "payment-declined": (_, at) => abort({ stock: true, money: false }, "payment-declined", at),
    "payment-timed-out": (_, at) => abort({ stock: true, money: false }, "timed-out", at),
    "payment-expired": (order, at) => [
      {
        type: "aborting",
        at,
        held: holds(order),
        ending: { outcome: "cancelled", reason: "authorisation-expired" },
      },
    ],
    deadline: (order, at) => abort(holds(order), "timed-out", at),
  },
  confirmed: underWay,
  shipped: underWay,
  delivered: underWay,
  returned: underWay,
  aborting: {
    ...nothingLeaves,
    "stock-released": (order, at) => givenBack(order, "stock", at),
    "money-given-back": (order, at, { held }) => (held === 0 ? givenBack(order, "money", at) : []),
  },
  rejected: nothingLeaves,
  cancelled: nothingLeaves,
};

/** What follows from what was heard. */
export function advance<W extends Word>(order: Order, heard: Of<W> & { type: W }, at: number): OrderEvent[] {
  const steps: { [K in W]?: (order: Order, at: number, heard: Of<K>) => OrderEvent[] } =
    checkout[order.status];
  return steps[heard.type]?.(order, at, heard) ?? [];
}

/** Payments tells what it has captured at once; it may have been expected, and told after the authorisation. */
const paid = (order: Order, at: number, amount = order.total.amount): OrderEvent[] =>
  amount === (order.paid ?? order.total.amount) ? [] : [{ type: "paid", at, amount }];

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
  ending.outcome === "rejected"
    ? { type: "rejected", at, reason: ending.reason }
    : { type: "cancelled", at, ...(ending.reason ? { reason: ending.reason } : {}) };

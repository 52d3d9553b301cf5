import type { Line, Order } from "./order.ts";
import { type Counters, counted, type Units } from "./units.ts";

/** What has become of an order since it was confirmed: its shipments, what of it was cancelled, what came back. */

export interface Shipment {
  id: string;
  status: "dispatching" | "dispatched" | "delivered";
  units: Units[];
  /** Minor units that were captured for it; of one in hand-over, that are to be. */
  amount: number;
  /** Something was to be captured after it. */
  more?: true;
  carrier?: string;
  tracking?: string;
}

export interface Return {
  id: string;
  status: "requested" | "received" | "refunded";
  units: Units[];
  /** What is given back, in minor units; while it is only asked for, what would be. */
  amount: number;
  /** What others have not said yet that they did. */
  pending?: { goods: boolean; money: boolean };
}

/** What an order knows of it, as far as there is anything to know. */
export interface Fulfilment {
  /** Minor units that were captured at once; absent: everything. */
  paid?: number;
  /** Minor units that were captured for what is cancelled: they go back. */
  givenBack?: number;
  /** Those that have been handed over, or are. At most one is in hand-over. */
  shipments?: Shipment[];
  returns?: Return[];
  /** A shipment was refused: under which name the rest waits, shipping knows. */
  renamed?: true;
}

export type FulfilmentEvent = { at: number } & (
  | { type: "paid"; amount: number }
  | { type: "shipment-accepted"; shipment: Omit<Shipment, "status" | "more">; final: boolean }
  | { type: "shipment-refused"; shipmentId: string; reason: RefusalReason }
  | { type: "shipped"; shipmentId: string; amount: number }
  | { type: "delivered"; shipmentId: string }
  | { type: "lines-cancelled"; units: Units[]; excess: number; reason?: "authorisation-expired" }
  | { type: "return-requested"; returned: Omit<Return, "status" | "pending"> }
  | { type: "return-received"; returned: Omit<Return, "status" | "pending">; writtenOff: Units[] }
  | { type: "return-settled"; returnId: string; what: "goods" | "money" }
);

export type RefusalReason =
  | "not-confirmed"
  | "not-open"
  | "dispatch-in-progress"
  | "authorisation-expired"
  | "payment-declined"
  | "partial-capture-unavailable";

/** The order after what has happened to some of its units. */
export function fulfilled<O extends Order>(order: O, event: FulfilmentEvent): O {
  const { lines, shipments = [], returns = [], givenBack = 0 } = order;
  switch (event.type) {
    case "paid":
      return { ...order, paid: event.amount };
    case "shipment-accepted": {
      const shipment: Shipment = {
        ...event.shipment,
        status: "dispatching",
        ...(event.final ? {} : { more: true }),
      };
      return {
        ...order,
        lines: moved(lines, counted(shipment.units), "leaving"),
        shipments: [...shipments, shipment],
      };
    }
    case "shipment-refused": {
      const refused = shipments.find(({ id }) => id === event.shipmentId);
      const staying = counted(refused?.units ?? []);
      return {
        ...order,
        renamed: true,
        lines: moved(lines, (line, index) => -staying(line, index), "leaving"),
        shipments: shipments.filter((one) => one !== refused),
      };
    }
    case "shipped": {
      const one = shipments.find(({ id }) => id === event.shipmentId);
      const units = counted(one?.units ?? []);
      const left = moved(lines, (line, index) => -units(line, index), "leaving");
      return {
        ...order,
        lines: moved(left, units, "shipped"),
        shipments: replaced(shipments, event.shipmentId, { status: "dispatched", amount: event.amount }),
      };
    }
    case "delivered":
      return { ...order, shipments: replaced(shipments, event.shipmentId, { status: "delivered" }) };
    case "lines-cancelled":
      return {
        ...order,
        lines: moved(lines, counted(event.units), "cancelled"),
        ...(event.excess > 0 ? { givenBack: givenBack + event.excess } : {}),
      };
    case "return-requested":
      return { ...order, returns: [...returns, { ...event.returned, status: "requested" }] };
    case "return-received": {
      const { returned } = event;
      const goods = returned.units.some(({ line }) => lines[line]?.kind === "physical");
      const money = returned.amount > 0;
      const one: Return = settled({ ...returned, status: "received", pending: { goods, money } });
      const asked = returns.some(({ id }) => id === one.id);
      return {
        ...order,
        lines: moved(lines, counted(returned.units), "returned"),
        returns: asked ? returns.map((each) => (each.id === one.id ? one : each)) : [...returns, one],
      };
    }
    case "return-settled":
      return {
        ...order,
        returns: returns.map((one) =>
          one.id === event.returnId && one.pending
            ? settled({ ...one, pending: { ...one.pending, [event.what]: false } })
            : one,
        ),
      };
    default:
      return event satisfies never;
  }
}

/** Lines with units added to one of their counters, or taken from it. */
const moved = (
  lines: Line[],
  count: (line: Line, index: number) => number,
  counter: keyof Counters,
): Line[] =>
  lines.map((line, index) => {
    const units = count(line, index);
    return units === 0 ? line : { ...line, [counter]: (line[counter] ?? 0) + units };
  });

const replaced = <T extends { id: string }>(all: T[], id: string, change: Partial<T>): T[] =>
  all.map((one) => (one.id === id ? { ...one, ...change } : one));

/** A return is over when the goods are where they belong and the money is back. */
function settled({ pending, ...one }: Return): Return {
  return pending?.goods || pending?.money ? { ...one, pending } : { ...one, status: "refunded" };
}

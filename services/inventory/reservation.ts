import { available, type Level } from "./stock.ts";

export interface Quantity {
  sku: string;
  quantity: number;
}

/** What an order wants of us. */
export interface Wanted {
  orderId: string;
  lines: { sku: string; quantity: number; kind: "physical" | "service" }[];
  /** Until when it waits for a count that is still on its way; absent when it is seen for the first time. */
  until?: number;
}

/** One order's claim, and what has left the house and come back for it. */
export interface Reservation {
  orderId: string;
  status: "reserved" | "refused" | "released";
  /** What it still holds: each product once, by SKU. (Rows of older versions keep what they held once released.) */
  lines: Quantity[];
  /** The shipments that have left: each leaves once. */
  shipments: string[];
  /** The returns that have come in: each comes once. */
  returns: string[];
  /** Rises with every change. */
  version: number;
}

/** Pieces that leave: `held` of them were reserved for the order, the others are taken from what is available. */
export interface Leaving extends Quantity {
  held: number;
}

/** Pieces that are back: on the shelf again, or of no use any more. */
export interface Back {
  sku: string;
  restocked: number;
  writtenOff: number;
}

export type ReservationEvent =
  | { type: "reserved"; orderId: string; lines: Quantity[] }
  | { type: "refused"; orderId: string; skus: string[] }
  /** `lines` is what comes back by this: nothing when nothing was held. */
  | { type: "released"; orderId: string; lines: Quantity[] }
  | { type: "deferred"; wanted: Required<Wanted>; again: number }
  /** Part of what is held comes back; the rest stays held. */
  | { type: "reduced"; lines: Quantity[] }
  | { type: "dispatched"; shipmentId: string; lines: Leaving[] }
  /** `lines` is what comes back by this: nothing when it was told before. */
  | { type: "restocked"; orderId: string; returnId: string; lines: Back[] };

/** How long an order waits for a product that it names and we have not heard of: its event may be behind ours. */
const patience = 10_000;
/** How long after a product was listed its first count may still come. */
const countComesWithin = 2_000;
const lookAgainAfter = 200;

/**
 * Reserves all that an order wants, or nothing of it. An order that was seen before, also one that was taken back
 * before it came, changes nothing.
 * @param levels what there is of the products it names; one that is not known here is left out
 * @param at now, in milliseconds since the epoch
 */
export function decideReserve(
  reservation: Reservation | undefined,
  levels: ReadonlyMap<string, Level>,
  wanted: Wanted,
  at: number,
): ReservationEvent[] {
  if (reservation !== undefined) return [];
  const { orderId, until = at + patience } = wanted;
  const lines = physical(wanted.lines);
  const short = lines.filter(({ sku, quantity }) => available(levels.get(sku)) < quantity);
  if (short.length === 0) return [{ type: "reserved", orderId, lines }];
  if (at < until && short.every(({ sku }) => isUncounted(levels.get(sku), at))) {
    return [{ type: "deferred", wanted: { ...wanted, until }, again: Math.min(at + lookAgainAfter, until) }];
  }
  return [{ type: "refused", orderId, skus: short.map(({ sku }) => sku) }];
}

/** Gives back what an order holds, once. An order that is not known yet is remembered as over. */
export function decideRelease(reservation: Reservation | undefined, orderId: string): ReservationEvent[] {
  if (reservation === undefined) return [{ type: "released", orderId, lines: [] }];
  switch (reservation.status) {
    case "reserved":
      return [{ type: "released", orderId, lines: reservation.lines }];
    case "refused":
    case "released":
      // Whoever asks again may have missed the answer.
      return [{ type: "released", orderId, lines: [] }];
    default:
      return reservation.status satisfies never;
  }
}

/** Gives back part of what an order holds: no more than it holds, and nothing when it is over. */
export function decideReduce(reservation: Reservation, lines: Quantity[]): ReservationEvent[] {
  const given = summed(lines)
    .map(({ sku, quantity }) => ({ sku, quantity: Math.min(quantity, held(reservation, sku)) }))
    .filter(({ quantity }) => quantity > 0);
  return given.length === 0 ? [] : [{ type: "reduced", lines: given }];
}

/**
 * A shipment has left the house, once. What it took and was not reserved for its order falls from what is available;
 * what is not there either has never been counted.
 * @param levels what there is of the products in it; one that is not known here is left out
 */
export function decideDispatch(
  reservation: Reservation,
  levels: ReadonlyMap<string, Level>,
  { shipmentId, lines }: { shipmentId: string; lines: Quantity[] },
): ReservationEvent[] {
  if (reservation.shipments.includes(shipmentId)) return [];
  const leaving = summed(lines).map(({ sku, quantity }): Leaving => {
    const mine = Math.min(quantity, held(reservation, sku));
    return { sku, held: mine, quantity: mine + Math.min(quantity - mine, available(levels.get(sku))) };
  });
  return [{ type: "dispatched", shipmentId, lines: leaving.filter(({ quantity }) => quantity > 0) }];
}

/** Goods have come back, once: of each product those that can be sold again, and those that cannot. */
export function decideReturn(
  reservation: Reservation,
  { returnId, lines }: { returnId: string; lines: (Quantity & { restock: boolean })[] },
): ReservationEvent[] {
  const { orderId } = reservation;
  // Whoever tells it again may have missed the answer.
  if (reservation.returns.includes(returnId)) return [{ type: "restocked", orderId, returnId, lines: [] }];
  const good = new Map(
    summed(lines.filter(({ restock }) => restock)).map((each) => [each.sku, each.quantity]),
  );
  const back = summed(lines).map(({ sku, quantity }): Back => {
    const restocked = good.get(sku) ?? 0;
    return { sku, restocked, writtenOff: quantity - restocked };
  });
  return [{ type: "restocked", orderId, returnId, lines: back }];
}

export function evolve(
  reservation: Reservation | undefined,
  event: ReservationEvent,
): Reservation | undefined {
  if (event.type === "deferred") return reservation;
  if (reservation === undefined) {
    const begun = { shipments: [], returns: [], version: 1 };
    switch (event.type) {
      case "reserved":
        return { ...begun, orderId: event.orderId, status: "reserved", lines: event.lines };
      case "refused":
      case "released":
        return { ...begun, orderId: event.orderId, status: event.type, lines: [] };
      default:
        throw new Error(`${event.type} before the order was seen`);
    }
  }
  const next = { ...reservation, version: reservation.version + 1 };
  switch (event.type) {
    case "reserved":
    case "refused":
      throw new Error(`${event.type} when it was ${reservation.status}`);
    case "released":
      return reservation.status === "released" ? reservation : { ...next, status: "released", lines: [] };
    case "reduced":
      return { ...next, lines: less(reservation.lines, event.lines) };
    case "dispatched": {
      const taken = event.lines.map(({ sku, held: quantity }) => ({ sku, quantity }));
      return {
        ...next,
        lines: less(reservation.lines, taken),
        shipments: [...reservation.shipments, event.shipmentId],
      };
    }
    case "restocked":
      return reservation.returns.includes(event.returnId)
        ? reservation
        : { ...next, returns: [...reservation.returns, event.returnId] };
    default:
      return event satisfies never;
  }
}

/** What has to be in the house, each product once. */
export const physical = (lines: Wanted["lines"]): Quantity[] =>
  summed(lines.filter(({ kind }) => kind === "physical"));

/** Each product once. In SKU order: whoever locks rows does it in one order. */
export function summed(lines: Quantity[]): Quantity[] {
  const sums = new Map<string, number>();
  for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  return [...sums]
    .map(([sku, quantity]) => ({ sku, quantity }))
    .sort((a, b) => (a.sku < b.sku ? -1 : a.sku > b.sku ? 1 : 0));
}

const held = ({ status, lines }: Reservation, sku: string): number =>
  status === "reserved" ? (lines.find((line) => line.sku === sku)?.quantity ?? 0) : 0;

function less(lines: Quantity[], taken: Quantity[]): Quantity[] {
  const gone = new Map(taken.map(({ sku, quantity }) => [sku, quantity]));
  return lines
    .map(({ sku, quantity }) => ({ sku, quantity: quantity - (gone.get(sku) ?? 0) }))
    .filter(({ quantity }) => quantity > 0);
}

/** Nobody has said yet how much there is, but somebody may be about to. */
function isUncounted(level: Level | undefined, at: number): boolean {
  if (level === undefined) return true;
  return level.version === 1 && level.countedAt === null && at - level.madeAt < countComesWithin;
}

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

/** One order's claim. `lines` is what it holds while reserved, and what it held once released. */
export interface Reservation {
  orderId: string;
  status: "reserved" | "refused" | "released";
  /** Each product once, by SKU. */
  lines: Quantity[];
}

export type ReservationEvent =
  | { type: "reserved"; orderId: string; lines: Quantity[] }
  | { type: "refused"; orderId: string; skus: string[] }
  /** `lines` is what comes back by this: nothing when nothing was held. */
  | { type: "released"; orderId: string; lines: Quantity[] }
  | { type: "deferred"; wanted: Required<Wanted>; again: number };

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

export function evolve(
  reservation: Reservation | undefined,
  event: ReservationEvent,
): Reservation | undefined {
  switch (event.type) {
    case "reserved":
      return { orderId: event.orderId, status: "reserved", lines: event.lines };
    case "refused":
      return { orderId: event.orderId, status: "refused", lines: [] };
    case "released":
      return { orderId: event.orderId, status: "released", lines: reservation?.lines ?? [] };
    case "deferred":
      return reservation;
    default:
      return event satisfies never;
  }
}

/** What has to be in the house, each product once. In SKU order: whoever locks rows does it in one order. */
export function physical(lines: Wanted["lines"]): Quantity[] {
  const sums = new Map<string, number>();
  for (const { sku, quantity, kind } of lines) {
    if (kind === "physical") sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  }
  return [...sums]
    .map(([sku, quantity]) => ({ sku, quantity }))
    .sort((a, b) => (a.sku < b.sku ? -1 : a.sku > b.sku ? 1 : 0));
}

/** Nobody has said yet how much there is, but somebody may be about to. */
function isUncounted(level: Level | undefined, at: number): boolean {
  if (level === undefined) return true;
  return level.version === 1 && level.countedAt === null && at - level.madeAt < countComesWithin;
}

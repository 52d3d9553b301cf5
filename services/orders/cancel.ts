import type { Rejection } from "chassis";
import { fulfilled } from "./fulfilment.ts";
import { type CancelReason, holds, type Order, type OrderEvent } from "./order.ts";
import { leadingOn } from "./standing.ts";
import { assigned, counted, errorsOf, open, type Piece, type Units, unitsOf } from "./units.ts";
import { excess, remaining } from "./worth.ts";

export interface Cancel {
  /** What is not wanted any more; absent: whatever can be cancelled. */
  lines?: Piece[];
  at: number;
}

/**
 * Takes an order back, or what of it is still open. Asking twice for the whole of it is asking once. What has been
 * sent, or is in hand-over, is not cancelled: it can come back.
 */
export function cancel(order: Order, { lines, at }: Cancel): OrderEvent[] | Rejection {
  switch (order.status) {
    case "placed":
    case "reserved":
      if (lines && !isWhole(order, assigned(order.lines, lines, ({ quantity }) => quantity).units)) {
        const detail = "An order that is not confirmed yet is cancelled as a whole: leave lines out";
        return { rejected: "not-confirmed-yet", detail };
      }
      return [aborting(order, at)];
    case "confirmed":
    case "shipped":
    case "delivered":
    case "returned":
      return lines ? cancelSome(order, lines, at) : cancelOpen(order, at);
    case "cancelled":
      return [];
    case "aborting":
      if (order.ending.outcome === "cancelled") return [];
      return { rejected: "not-cancellable", detail: `The order is being rejected: ${order.ending.reason}` };
    case "rejected":
      return { rejected: "not-cancellable", detail: `The order was rejected: ${order.reason}` };
    default:
      return order satisfies never;
  }
}

/** The order's money is not to be had any more: what was not paid for will not be sent. */
export function withoutMoney(order: Order, at: number): OrderEvent[] {
  const units = unitsOf(order.lines, open);
  if (units.length === 0 || remaining(order) === 0) return [];
  return cancelled(order, units, at, "authorisation-expired");
}

function cancelOpen(order: Order, at: number): OrderEvent[] | Rejection {
  if (!hasBegun(order)) return [aborting(order, at)];
  const units = unitsOf(order.lines, open);
  if (units.length > 0) return cancelled(order, units, at);
  const leaving = order.lines.some((line) => (line.leaving ?? 0) > 0);
  const detail = leaving
    ? "What is left of the order is being handed over right now: return it when it has come"
    : "Nothing of the order is still to be sent: return what has come";
  return { rejected: "not-cancellable", detail };
}

function cancelSome(order: Order, asked: Piece[], at: number): OrderEvent[] | Rejection {
  // A service is delivered when it is paid; as long as nothing was sent, all can be taken back together.
  const whole = assigned(order.lines, asked, (line) =>
    line.kind === "service" ? line.quantity : open(line),
  );
  if (whole.short.length === 0 && isWhole(order, whole.units) && !hasBegun(order))
    return [aborting(order, at)];
  const { units, short } = assigned(order.lines, asked, open);
  if (short.length === 0) return cancelled(order, units, at);
  return {
    rejected: "not-cancellable",
    detail: "Not so much of the order is still to be sent: return what has come",
    errors: errorsOf(short, "cancelled"),
  };
}

/** Whether anything has been handed over, or is, or came back. */
const hasBegun = ({ shipments = [], returns = [] }: Order): boolean =>
  shipments.length > 0 || returns.length > 0;

/** Whether nothing is left of the order without these units. */
const isWhole = ({ lines }: Order, units: Units[]): boolean => {
  const gone = counted(units);
  return lines.every((line, index) => gone(line, index) === line.quantity - (line.cancelled ?? 0));
};

/** What follows when these units are not sent: an order of which nothing is kept comes to an end. */
function cancelled(order: Order, units: Units[], at: number, reason?: CancelReason): OrderEvent[] {
  if (isWhole(order, units)) return [aborting(order, at, reason)];
  const event = { type: "lines-cancelled" as const, at, units, ...(reason ? { reason } : {}) };
  const after = fulfilled(order, { ...event, excess: 0 });
  return leadingOn(order, [{ ...event, excess: excess(after) }], at);
}

const aborting = (order: Order, at: number, reason?: CancelReason): OrderEvent => ({
  type: "aborting",
  at,
  held: holds(order),
  ending: { outcome: "cancelled", ...(reason ? { reason } : {}) },
});

import type { Rejection } from "chassis";
import type { Return } from "./fulfilment.ts";
import { isPaid, type Money, type Order, type OrderEvent } from "./order.ts";
import { leadingOn } from "./standing.ts";
import { assigned, counted, errorsOf, kept, type Piece, type Units } from "./units.ts";
import { refundFor } from "./worth.ts";

export interface AskReturn {
  lines: (Piece & { unitPrice?: Money })[];
  /** The goods are here already: nobody has to wait for them. */
  atHand: boolean;
  /** They are not put back into stock. */
  writeOff: boolean;
  at: number;
}

export interface Receive {
  returnId: string;
  /** What has come; absent: all that was asked for, fit to be sold again. What is missing is not returned. */
  lines?: (Piece & { condition: "restock" | "write-off" })[];
  at: number;
}

const mostReturns = 100;

/** Gives back what was sent: at once, or when the goods are here. */
export function askReturn(
  order: Order,
  { lines, atHand, writeOff, at }: AskReturn,
): OrderEvent[] | Rejection {
  if (!isPaid(order.status)) {
    return { rejected: "not-returnable", detail: "Nothing of the order has been sent: it can be cancelled" };
  }
  const { returns = [] } = order;
  if (returns.length >= mostReturns) {
    return { rejected: "too-many-returns", detail: `An order has at most ${mostReturns} returns` };
  }
  const asked = counted(returns.flatMap(({ status, units }) => (status === "requested" ? units : [])));
  const { units, short } = assigned(order.lines, lines, (line, index) => kept(line) - asked(line, index));
  if (short.length > 0) return notReturnable("Not so much of the order can be returned", short);
  const returned = {
    id: `${order.id}-r${returns.length + 1}`,
    units,
    amount: refundFor(order, units),
  };
  return atHand
    ? received(order, returned, writeOff ? units : [], at)
    : [{ type: "return-requested", at, returned }];
}

/** What a customer has sent back is here. */
export function receive(order: Order, { returnId, lines, at }: Receive): OrderEvent[] | Rejection {
  const asked = order.returns?.find(({ id }) => id === returnId);
  if (asked === undefined) return { rejected: "not-found", detail: "A return with this id does not exist" };
  if (asked.status !== "requested") {
    return { rejected: "already-received", detail: "What was to be returned has been received already" };
  }
  const most = counted(asked.units);
  if (lines === undefined) return received(order, worthNow(order, returnId, asked.units), [], at);
  const { units, short } = assigned(order.lines, lines, most);
  if (short.length > 0) return notReturnable("More than was to be returned", short);
  const bad = lines.filter(({ condition }) => condition === "write-off");
  const writtenOff = assigned(order.lines, bad, counted(units)).units;
  return received(order, worthNow(order, returnId, units), writtenOff, at);
}

/** Goods are back in stock, or money is back with the customer. */
export function settle(order: Order, at: number, returnId: string, what: "goods" | "money"): OrderEvent[] {
  const one = order.returns?.find(({ id }) => id === returnId);
  return one?.pending?.[what] ? leadingOn(order, [{ type: "return-settled", at, returnId, what }], at) : [];
}

type Returned = Pick<Return, "id" | "units" | "amount">;

/** Others may have come back since it was asked for: units are worth what they are when they come. */
const worthNow = (order: Order, id: string, units: Units[]): Returned => ({
  id,
  units,
  amount: refundFor(order, units),
});

const received = (order: Order, returned: Returned, writtenOff: Units[], at: number): OrderEvent[] =>
  leadingOn(order, [{ type: "return-received", at, returned, writtenOff }], at);

const notReturnable = (detail: string, short: { index: number; most: number }[]): Rejection => ({
  rejected: "not-returnable",
  detail,
  errors: errorsOf(short, "returned"),
});

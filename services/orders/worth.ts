import { halfEven } from "./half-even.ts";
import type { Line, Money, Order } from "./order.ts";
import { counted, shipped, type Units } from "./units.ts";

/** What an order's units are worth, what of it is owed, and what is captured: in minor units. */

/** What all units of a line are worth together. */
export const worth = ({ total, quantity, unitPrice }: Line): number => total ?? quantity * unitPrice.amount;

/** What a line's first units are worth: each unit has a share of its own, and the shares sum to the whole. */
export const share = (line: Line, units: number): number => halfEven(worth(line), units, line.quantity);

const sum = <T>(all: T[], of: (one: T, index: number) => number): number =>
  all.reduce((total, one, index) => total + of(one, index), 0);

const charge = (order: Order): number => order.shipping?.amount ?? 0;

/** What an order owes once so many units of each line have left; shipping is charged with the first of them. */
function owing(order: Order, count: (line: Line, index: number) => number): number {
  const sent = order.lines.some((line, index) => line.kind === "physical" && count(line, index) > 0);
  return sum(order.lines, (line, index) => share(line, count(line, index))) + (sent ? charge(order) : 0);
}

/** What the order owes for what has left. */
export const owed = (order: Order): number => owing(order, shipped);

/** What has been captured for it, without what goes back because it is cancelled. */
export const captured = ({ total, paid = total.amount, givenBack = 0, shipments = [] }: Order): number =>
  paid - givenBack + sum(shipments, ({ status, amount }) => (status === "dispatching" ? 0 : amount));

/** What the order comes to when everything leaves that is not cancelled. */
const most = (order: Order): number =>
  owing(order, (line) => (line.kind === "service" ? line.quantity : line.quantity - (line.cancelled ?? 0)));

/** What may still be captured. */
export const remaining = (order: Order): number => Math.max(0, most(order) - captured(order));

/** What was captured, and nothing is left that it could be for. */
export const excess = (order: Order): number => Math.max(0, captured(order) - most(order));

/** What is to be captured when these units leave. */
export const dueFor = (order: Order, units: Units[]): number => {
  const leaving = counted(units);
  const after = owing(order, (line, index) => shipped(line) + leaving(line, index));
  return Math.max(0, after - captured(order));
};

/** What units are worth that are the next to come back. */
export const refundFor = (order: Order, units: Units[]): number => {
  const back = counted(units);
  return sum(order.lines, (line, index) => {
    const { returned = 0 } = line;
    return share(line, returned + back(line, index)) - share(line, returned);
  });
};

/** What a service costs is captured at once: it is delivered when it is paid. */
export const atOnce = ({ lines }: Order): number =>
  sum(lines, (line) => (line.kind === "service" ? worth(line) : 0));

/** What payments is told to capture at once. */
export const captureNow = (order: Order): Money => ({
  amount: atOnce(order),
  currency: order.total.currency,
});

/** What of an order is worth how much: the checker's own sums. Minor units. */
import type { Line, Order, Units } from "./facts.ts";

/** `total × units ÷ of`, rounded half to even. */
export function share(total: number, units: number, of: number): number {
  if (units === of) return total;
  const [product, parts] = [BigInt(total) * BigInt(units), BigInt(of)];
  const [whole, twice] = [product / parts, (product % parts) * 2n];
  const isUp = twice > parts || (twice === parts && whole % 2n === 1n);
  return Number(isUp ? whole + 1n : whole);
}

export const worth = ({ quantity, total, unitPrice }: Line): number => total ?? quantity * unitPrice.amount;

/** What a service is has been delivered once it is paid. */
export const isPaid = ({ state }: Order): boolean =>
  state.history.some(({ status }) => status === "confirmed");

export const sent = (order: Order, { kind, quantity, shipped = 0 }: Line): number =>
  kind === "service" ? (isPaid(order) ? quantity : 0) : shipped;

export const back = ({ returned = 0 }: Line): number => returned;

/** Units that will not be cancelled any more, or not yet. */
export const wanted = ({ quantity, cancelled = 0 }: Line): number => quantity - cancelled;

/** Physical units that are still to leave, with those in hand-over. */
export const open = ({ kind, quantity, shipped = 0, cancelled = 0 }: Line): number =>
  kind === "service" ? 0 : quantity - shipped - cancelled;

/** What an order owes for so many units of each line; shipping is charged with the first thing that is sent. */
export function owed({ state }: Order, units: (line: Line, index: number) => number): number {
  const counts = state.lines.map(units);
  const isSent = state.lines.some(({ kind }, index) => kind === "physical" && (counts[index] ?? 0) > 0);
  const goods = state.lines.map((line, index) => share(worth(line), counts[index] ?? 0, line.quantity));
  return sum(goods) + (isSent ? (state.shipping?.amount ?? 0) : 0);
}

/**
 * What should have been captured for it, less what goes back for what is cancelled.
 * @param atOnce what was captured before anything left: it pays for what leaves, and what it is too much for goes back
 */
export const dueOf = (order: Order, atOnce: number): number =>
  Math.max(
    owed(order, (line) => sent(order, line)),
    Math.min(atOnce, mostOf(order)),
  );

/** What it comes to when everything leaves that is not cancelled. */
export const mostOf = (order: Order): number => owed(order, wanted);

/** What is to go back for what came back. */
export const returnedOf = ({ state }: Order): number =>
  sum(state.lines.map((line) => share(worth(line), back(line), line.quantity)));

/** How many units of a line are among these. */
export const unitsOf = (units: Units[], index: number): number =>
  sum(units.filter(({ line }) => line === index).map(({ quantity }) => quantity));

export const sum = (numbers: number[]): number => numbers.reduce((all, each) => all + each, 0);

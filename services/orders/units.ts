import type { FieldError } from "chassis";
import type { Line, Money } from "./order.ts";

/** The units of an order's lines: which have left, which were cancelled, which came back. */

/** Of units, in the order in which they leave: shipped ones come first, cancelled ones last, returned ones were the first. */
export interface Counters {
  /** Units that have left; absent: none, here and below. Those of a service count as left when it is paid. */
  shipped?: number;
  /** Units in hand-over: they leave when their money is captured. */
  leaving?: number;
  cancelled?: number;
  returned?: number;
}

/** Units of a line, which is named by its place in the order. */
export interface Units {
  line: number;
  quantity: number;
}

export interface Piece {
  sku: string;
  quantity: number;
}

export const shipped = ({ kind, quantity, shipped = 0 }: Line): number =>
  kind === "service" ? quantity : shipped;

/** Units that may still be handed over, or cancelled. */
export const open = ({ kind, quantity, shipped = 0, leaving = 0, cancelled = 0 }: Line): number =>
  kind === "service" ? 0 : quantity - shipped - leaving - cancelled;

/** Units that are with the customer. */
export const kept = (line: Line): number => shipped(line) - (line.returned ?? 0);

export const unitsOf = (lines: Line[], count: (line: Line, index: number) => number): Units[] =>
  lines.flatMap((line, index) => {
    const quantity = count(line, index);
    return quantity > 0 ? [{ line: index, quantity }] : [];
  });

/** How many of each line's units there are, by its place. */
export function counted(units: Units[]): (line: Line, index: number) => number {
  const counts = new Map<number, number>();
  for (const { line, quantity } of units) counts.set(line, (counts.get(line) ?? 0) + quantity);
  return (_, index) => counts.get(index) ?? 0;
}

/** The physical ones, each product once. */
export function pieces(lines: Line[], count: (line: Line, index: number) => number): Piece[] {
  const bySku = new Map<string, number>();
  lines.forEach((line, index) => {
    const quantity = line.kind === "physical" ? count(line, index) : 0;
    if (quantity > 0) bySku.set(line.sku, (bySku.get(line.sku) ?? 0) + quantity);
  });
  return [...bySku].map(([sku, quantity]) => ({ sku, quantity }));
}

/**
 * Spreads quantities of products over the lines that have room for them, in their order.
 * @param room how many units of a line can be taken
 * @returns the units, and of what was asked for the places that there is not room enough for, with how much there was
 */
export function assigned(
  lines: Line[],
  asked: (Piece & { unitPrice?: Money })[],
  room: (line: Line, index: number) => number,
): { units: Units[]; short: { index: number; most: number }[] } {
  const left = lines.map(room);
  const taken = lines.map(() => 0);
  const short = asked.flatMap(({ sku, quantity, unitPrice }, index) => {
    let wanted = quantity;
    lines.forEach((line, at) => {
      if (line.sku !== sku || (unitPrice && !samePrice(line.unitPrice, unitPrice))) return;
      const some = Math.min(wanted, left[at] ?? 0);
      left[at] = (left[at] ?? 0) - some;
      taken[at] = (taken[at] ?? 0) + some;
      wanted -= some;
    });
    return wanted > 0 ? [{ index, most: quantity - wanted }] : [];
  });
  return { units: unitsOf(lines, (_, index) => taken[index] ?? 0), short };
}

/** Says of places that there is not room enough for how much there is. */
export const errorsOf = (
  short: { index: number; most: number }[],
  done: "cancelled" | "returned",
): FieldError[] =>
  short.map(({ index, most }) => ({
    pointer: `/lines/${index}/${most > 0 ? "quantity" : "sku"}`,
    detail: most > 0 ? `at most ${most} can be ${done}` : `nothing of it can be ${done}`,
  }));

const samePrice = (one: Money, other: Money): boolean =>
  one.amount === other.amount && one.currency === other.currency;

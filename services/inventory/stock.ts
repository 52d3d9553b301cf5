import type { Rejection } from "chassis";

/** How much there is of one product. `0 ≤ reserved ≤ onHand` always holds. */
export interface Level {
  sku: string;
  /** Pieces in the house. */
  onHand: number;
  /** Of these, the pieces promised to orders. */
  reserved: number;
  /** Rises with every change. */
  version: number;
  /** When we first heard of the product, in milliseconds since the epoch. */
  madeAt: number;
  /** When the catalog's last count that was taken over was made; null while there was none. */
  countedAt: number | null;
  /** How few there are, as the others were told; null while they believe that there is plenty. */
  told: number | null;
  /** Pieces that have left with orders, ever. */
  sold: number;
  /** Of these, the pieces that have come back on the shelf. */
  restocked: number;
  /** And those that have come back and were of no use any more. */
  writtenOff: number;
}

export type StockEvent =
  | { type: "listed"; sku: string; at: number }
  /** `counted` is there when the count was less than what is reserved, so that `onHand` could not follow it. */
  | { type: "adjusted"; sku: string; onHand: number; countedAt?: number; counted?: number }
  /** The others hear how few there are; null: plenty again. */
  | { type: "told"; sku: string; few: number | null };

export interface Count {
  sku: string;
  onHand: number;
  /** When it was counted: an older count never replaces a newer one. */
  countedAt: number;
  at: number;
}

export const available = (level: Level | undefined): number => (level ? level.onHand - level.reserved : 0);

/** What is no more than this, others want to know to the piece; beyond it there is plenty. */
export const few = 10;

/**
 * Above this nobody looks whether few are left: orders that are taken at the same time do not know of each other, and
 * together they take less than this.
 */
export const farFromFew = 1_000;

/** Tells the others how few there are, if that is not what they were told. */
export function tell(level: Level): StockEvent[] {
  const left = available(level);
  const now = left <= few ? left : null;
  return now === level.told ? [] : [{ type: "told", sku: level.sku, few: now }];
}

/** A product came to the catalog: physical ones get a level, at first with nothing on hand. */
export function list(
  level: Level | undefined,
  { sku, kind, at }: { sku: string; kind: "physical" | "service"; at: number },
): StockEvent[] {
  return level === undefined && kind === "physical" ? [{ type: "listed", sku, at }] : [];
}

/** Staff says what is on hand. What is promised to orders cannot be taken away like this. */
export function set(level: Level, onHand: number): StockEvent[] | Rejection {
  if (onHand < level.reserved) {
    return {
      rejected: "below-reserved",
      detail: `${level.reserved} of ${level.sku} are reserved for orders: onHand cannot be less`,
      errors: [{ pointer: "/onHand", detail: `at least ${level.reserved}` }],
    };
  }
  return onHand === level.onHand ? [] : [{ type: "adjusted", sku: level.sku, onHand }];
}

/** An import says what is on hand. It cannot be refused, so it goes down to what is reserved and no further. */
export function count(level: Level | undefined, { sku, onHand, countedAt, at }: Count): StockEvent[] {
  if (level === undefined) {
    return [{ type: "listed", sku, at }, ...adjusted(sku, onHand, 0, countedAt)];
  }
  if (level.countedAt !== null && countedAt < level.countedAt) return [];
  return adjusted(sku, onHand, level.reserved, countedAt);
}

function adjusted(sku: string, counted: number, reserved: number, countedAt: number): StockEvent[] {
  return counted < reserved
    ? [{ type: "adjusted", sku, onHand: reserved, countedAt, counted }]
    : [{ type: "adjusted", sku, onHand: counted, countedAt }];
}

export function evolve(level: Level | undefined, event: StockEvent): Level {
  switch (event.type) {
    case "listed":
      return {
        sku: event.sku,
        onHand: 0,
        reserved: 0,
        version: 1,
        madeAt: event.at,
        countedAt: null,
        told: null,
        sold: 0,
        restocked: 0,
        writtenOff: 0,
      };
    case "adjusted":
      if (level === undefined) throw new Error(`${event.sku} was adjusted before it was listed`);
      return {
        ...level,
        onHand: event.onHand,
        version: level.version + 1,
        countedAt: event.countedAt ?? level.countedAt,
      };
    case "told":
      if (level === undefined) throw new Error(`${event.sku} was told of before it was listed`);
      return { ...level, told: event.few };
    default:
      return event satisfies never;
  }
}

import type { Rejection } from "chassis";
import { halfEven, spread } from "./half-even.ts";
import type { Money } from "./order.ts";
import type { NewPromotion } from "./pricing-contracts.ts";

/** What a promotion gives: so much of every hundred, or so much of an order. */
export type Gift =
  | { kind: "percentage" /** 100 are one percent. */; basisPoints: number }
  | { kind: "amount"; amount: Money };

export type Promotion = Gift & {
  id: string;
  name: string;
  /** Who knows it gets it; without one everybody does. Upper and lower case are the same. */
  code?: string;
  /** What it is for: lines that meet all that is said, when together they are worth the minimum. */
  on: { skus?: string[]; category?: string; minimum?: Money };
  /** From then on, and before then: milliseconds since the epoch. */
  from?: number;
  until?: number;
  /** Orders that may use it, of all customers and of each. */
  limit?: number;
  limitPerCustomer?: number;
  active: boolean;
};

/** A line as promotions see it. */
export interface Goods {
  sku: string;
  category?: string;
  /** Quantity × unit price, in minor units. */
  worth: number;
  /** Staff has named its price: what is automatic leaves it alone. */
  byStaff: boolean;
}

/** How many orders use a promotion. */
export interface Uses {
  all: number;
  byCustomer: number;
  /** Of the customer's, those that are counted under a key that is no longer the current one. */
  before: number;
}

/** What a promotion came to: minor units in the order's currency. */
export interface Given {
  promotion: Promotion;
  amount: number;
}

/**
 * A promotion as staff describes it: times are RFC 3339.
 * @param id its name for ever
 */
export function promotionOf(id: string, { from, until, ...described }: NewPromotion): Promotion | Rejection {
  if (from !== undefined && !isDay(from)) return never("/from", "there is no such day");
  if (until !== undefined && !isDay(until)) return never("/until", "there is no such day");
  const begins = from === undefined ? undefined : Date.parse(from);
  const ends = until === undefined ? undefined : Date.parse(until);
  if (begins !== undefined && ends !== undefined && ends <= begins)
    return never("/until", "must be after its beginning");
  return {
    ...described,
    id,
    ...(begins === undefined ? {} : { from: begins }),
    ...(ends === undefined ? {} : { until: ends }),
  };
}

/** The 31st of a shorter month would be taken for a day of the next. */
function isDay(time: string): boolean {
  const [year = 0, month = 0, day = 0] = time.slice(0, 10).split("-").map(Number);
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

const never = (pointer: string, detail: string): Rejection => ({
  rejected: "promotion-never-holds",
  detail: "The promotion would never hold",
  errors: [{ pointer, detail }],
});

/** A code as it is compared. */
export const folded = (code: string): string => code.toUpperCase();

/** Why a promotion gives nothing in an order; undefined when it may. */
export function obstacle(
  promotion: Promotion,
  { goods, currency, at, uses }: { goods: Goods[]; currency: string; at: number; uses: Uses | undefined },
): string | undefined {
  const { active, from, until, limit, limitPerCustomer, on } = promotion;
  if (!active || (from !== undefined && at < from)) return "does not hold";
  if (until !== undefined && at >= until) return "has expired";
  if (uses && limit !== undefined && uses.all >= limit) return "is used up";
  if (uses && limitPerCustomer !== undefined && uses.byCustomer >= limitPerCustomer)
    return "has been used as often as one customer may";
  if (promotion.kind === "amount" && promotion.amount.currency !== currency)
    return `is for orders in ${promotion.amount.currency}`;
  const meant = goods.filter((one) => isFor(promotion, one));
  if (meant.length === 0) return "is for nothing in this order";
  if (on.minimum === undefined) return undefined;
  if (on.minimum.currency !== currency) return `is for orders in ${on.minimum.currency}`;
  const worth = meant.reduce((sum, one) => sum + one.worth, 0);
  return worth < on.minimum.amount
    ? `needs goods worth ${on.minimum.amount} ${on.minimum.currency} in minor units, these are worth ${worth}`
    : undefined;
}

const isFor = ({ code, on: { skus, category } }: Promotion, goods: Goods): boolean =>
  (code !== undefined || !goods.byStaff) &&
  (skus === undefined || skus.includes(goods.sku)) &&
  (category === undefined || category === goods.category);

/**
 * What each line is given off by promotions that hold for the order: percentages first, then amounts, each of what the
 * ones before it have left. What is left of a line is never negative.
 */
export function discounts(goods: Goods[], promotions: Promotion[]): { lines: number[]; given: Given[] } {
  const left = goods.map(({ worth }) => worth);
  const given = promotions.toSorted(byTurn).flatMap((promotion): Given[] => {
    const meant = goods.map((one, index) => (isFor(promotion, one) ? (left[index] ?? 0) : 0));
    const off = offOf(promotion, meant);
    let amount = 0;
    for (const [index, one] of off.entries()) {
      left[index] = (left[index] ?? 0) - one;
      amount += one;
    }
    return amount > 0 ? [{ promotion, amount }] : [];
  });
  return { lines: goods.map(({ worth }, index) => worth - (left[index] ?? 0)), given };
}

function offOf(promotion: Promotion, left: number[]): number[] {
  if (promotion.kind === "percentage") {
    const { basisPoints } = promotion;
    return left.map((one) => halfEven(one, basisPoints, 10_000));
  }
  const all = left.reduce((sum, one) => sum + one, 0);
  return spread(Math.min(promotion.amount.amount, all), left);
}

/** Always in the same order: it decides about what is rounded. */
function byTurn(a: Promotion, b: Promotion): number {
  const turn = ({ kind, code }: Promotion) => (kind === "amount" ? 2 : 0) + (code === undefined ? 0 : 1);
  return turn(a) - turn(b) || (a.id < b.id ? -1 : 1);
}

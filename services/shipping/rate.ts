import type { Rejection } from "chassis";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

/** What sending costs up to a weight in grams; null: whatever it weighs. */
export interface Price {
  upToGrams: number | null;
  price: Money;
}

/** What one way of sending to one country costs. */
export interface Rate {
  /** ISO 3166-1 alpha-2; `*`: wherever else. */
  country: string;
  method: string;
  /** What customers read. */
  name: string;
  prices: Price[];
}

/** A removed rate leaves its version behind: whoever keeps a copy tells by the version alone what is newer. */
export type Entry =
  | { status: "set"; version: number; rate: Rate }
  | { status: "removed"; version: number; country: string; method: string };

export type RateEvent = { type: "set"; rate: Rate } | { type: "removed"; country: string; method: string };

export const elsewhere = "*";

/** Puts a rate in the place of the one there is, if any. The same once more changes nothing. */
export function put(entry: Entry | undefined, rate: Rate): RateEvent[] | Rejection {
  const seen = new Set<string>();
  const errors = rate.prices.flatMap(({ upToGrams, price: { currency } }, index) => {
    const key = `${currency} ${upToGrams}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const detail = `there is a price in ${currency} for this weight already`;
    return [{ pointer: `/prices/${index}`, detail }];
  });
  if (errors.length > 0) {
    return { rejected: "ambiguous-price", detail: "One weight has two prices in one currency", errors };
  }
  const ordered = { ...rate, prices: sorted(rate.prices) };
  return entry?.status === "set" && isSame(entry.rate, ordered) ? [] : [{ type: "set", rate: ordered }];
}

export function remove(entry: Entry | undefined): RateEvent[] | Rejection {
  if (entry?.status !== "set") return { rejected: "not-found", detail: "There is no such rate" };
  const { country, method } = entry.rate;
  return [{ type: "removed", country, method }];
}

export function evolve(entry: Entry | undefined, event: RateEvent): Entry {
  const version = (entry?.version ?? 0) + 1;
  if (event.type === "set") return { status: "set", version, rate: event.rate };
  const { country, method } = event;
  return { status: "removed", version, country, method };
}

const isSame = (a: Rate, b: Rate): boolean =>
  a.name === b.name &&
  a.prices.length === b.prices.length &&
  a.prices.every((one, n) => {
    const other = b.prices[n];
    return other !== undefined && isSamePrice(one, other) && one.price.amount === other.price.amount;
  });

/** What names a price in a copy, besides country and method. */
export const isSamePrice = (a: Price, b: Price): boolean =>
  a.upToGrams === b.upToGrams && a.price.currency === b.price.currency;

/** Prices of a rate that another does not have any more. */
export const gone = (before: Entry | undefined, after: Entry): Price[] => {
  const now = after.status === "set" ? after.rate.prices : [];
  const then = before?.status === "set" ? before.rate.prices : [];
  return then.filter((price) => !now.some((one) => isSamePrice(one, price)));
};

/** One price of one rate. */
export interface Offer extends Price {
  country: string;
  method: string;
  name: string;
}

export interface Wanted {
  country?: string;
  /** Grams. */
  weight?: number;
  currency?: string;
}

/**
 * What is offered, by country, method, currency and weight. Of a method and currency a country's own prices count, or,
 * if it has none, those for anywhere else; of these, the one for the smallest weight that is enough.
 */
export function offers(rates: readonly Rate[], { country, weight, currency }: Wanted): Offer[] {
  const all = rates
    .flatMap(({ prices, ...of }) => prices.map((price): Offer => ({ ...of, ...price })))
    .filter((offer) => currency === undefined || offer.price.currency === currency)
    .sort(byPlace);
  const there = country === undefined ? all : theirs(all, country);
  if (weight === undefined) return there;
  const seen = new Set<string>();
  return there.filter((offer) => {
    const group = groupOf(offer);
    if (seen.has(group) || (offer.upToGrams !== null && offer.upToGrams < weight)) return false;
    // They come in order of weight: the first that is enough is the smallest.
    seen.add(group);
    return true;
  });
}

function theirs(all: readonly Offer[], country: string): Offer[] {
  const own = new Set(all.filter((offer) => offer.country === country).map(wherever));
  return all.filter(
    (offer) => offer.country === country || (offer.country === elsewhere && !own.has(wherever(offer))),
  );
}

/** Method and currency: what a country has of its own, it does not have from elsewhere. */
const wherever = ({ method, price }: Offer): string => `${method} ${price.currency}`;
const groupOf = (offer: Offer): string => `${offer.country} ${wherever(offer)}`;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byWeight = (a: Price, b: Price): number =>
  compare(a.price.currency, b.price.currency) ||
  (a.upToGrams ?? Number.POSITIVE_INFINITY) - (b.upToGrams ?? Number.POSITIVE_INFINITY) ||
  0;
const byPlace = (a: Offer, b: Offer): number =>
  compare(a.country, b.country) || compare(a.method, b.method) || byWeight(a, b);
const sorted = (prices: readonly Price[]): Price[] => [...prices].sort(byWeight);

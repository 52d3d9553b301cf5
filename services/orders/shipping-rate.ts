/** What a shipping method costs for goods up to a weight: our copy of what shipping says. */
export interface ShippingRate {
  /** ISO 3166-1 alpha-2, or `*`: anywhere else. */
  country: string;
  method: string;
  currency: string;
  /** Grams; null: any weight. */
  upToGrams: number | null;
  /** Minor units. */
  amount: number;
}

interface Parcel {
  country: string;
  method: string;
  currency: string;
  /** Grams. */
  weight: number;
}

/**
 * What shipping is charged with, in minor units: the lowest step that bears the weight. A country that has a method
 * of its own in a currency has that only.
 * @returns undefined when the method is not on offer for this
 */
export function charge(
  rates: ShippingRate[],
  { country, method, currency, weight }: Parcel,
): number | undefined {
  const offered = rates.filter((rate) => rate.method === method && rate.currency === currency);
  const own = offered.filter((rate) => rate.country === country);
  const steps = own.length > 0 ? own : offered.filter((rate) => rate.country === "*");
  return steps.filter((step) => bears(step) >= weight).toSorted(bySteps)[0]?.amount;
}

const bySteps = (a: ShippingRate, b: ShippingRate): number => bears(a) - bears(b) || 0;

const bears = ({ upToGrams }: ShippingRate): number => upToGrams ?? Number.POSITIVE_INFINITY;

import type { ShipmentView } from "./contracts.ts";
import type { Offer } from "./rate.ts";
import type { Found } from "./store.ts";

/** A shipment as its readers see it. */
export function view({ orderId, shipment }: Found): ShipmentView {
  const { id, status, lines, method, weight, carrier, tracking, refused, history, reports } = shipment;
  return {
    id,
    orderId,
    status,
    lines,
    ...(method === undefined ? {} : { method }),
    ...(weight === undefined ? {} : { weight }),
    ...(carrier === undefined ? {} : { carrier }),
    ...(tracking === undefined ? {} : { tracking }),
    ...(refused === undefined ? {} : { refused }),
    history: history.map(({ at, ...entry }) => ({ at: time(at), ...entry })),
    reports: reports.map(({ at, ...entry }) => ({ at: time(at), ...entry })),
  };
}

const time = (at: number): string => new Date(at).toISOString();

/** What names an offer in a list. */
export const placeOf = ({ country, method, upToGrams, price }: Offer): (string | number | null)[] => [
  country,
  method,
  price.currency,
  upToGrams,
];

export const isOfferPlace = (value: unknown): value is (string | number | null)[] =>
  Array.isArray(value) && value.length === 4;

import type { Rejection } from "chassis";
import { type Fulfilment, type FulfilmentEvent, fulfilled } from "./fulfilment.ts";
import { type Offer, type PriceParts, type Quote, quote } from "./quote.ts";
import type { Counters } from "./units.ts";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

export interface Line extends Counters {
  sku: string;
  name: string;
  quantity: number;
  unitPrice: Money;
  kind: "physical" | "service";
  /** What the whole line is worth, in minor units; absent: quantity × unit price. */
  total?: number;
  /** In `total`: what was taken off, and the tax, added or in the price. */
  discount?: number;
  tax?: number;
  /** Grams a piece; absent: nobody has said. */
  weight?: number;
}

/** What a client reads. `aborting` is an inner state: it shows as the status before it. */
export type PublicStatus = Exclude<Order["status"], "aborting">;
export type Reason = "out-of-stock" | "payment-declined" | "timed-out";
/** Why an order, or a part of it, was cancelled, where nobody has asked for it. */
export type CancelReason = "authorisation-expired";
/** What an order comes to when what was sent of it comes along. */
export type Progress = "shipped" | "delivered" | "returned";

interface Facts extends Fulfilment {
  id: string;
  version: number;
  reference: string | null;
  /** Who placed it: a user's or client's id, or `guest`. */
  owner: string;
  /** Digest of the key by which a guest reads it. */
  keyDigest: string | null;
  /** Customer and address, sealed; null once they are erased. */
  personal: string | null;
  /** Where the order goes to: ISO 3166-1 alpha-2. */
  country: string;
  /** The token is there until payments has been asked. */
  payment: { method: string; token?: string };
  lines: Line[];
  total: Money;
  /** What shipping is charged with, which is in the total. */
  shipping?: Money;
  shippingMethod?: string;
  price?: PriceParts;
  history: { at: number; status: PublicStatus; reason?: Reason | CancelReason }[];
}

/** What other services still hold for an order that is being undone. */
export interface Held {
  stock: boolean;
  money: boolean;
}

export type Ending =
  | { outcome: "rejected"; reason: Reason }
  | { outcome: "cancelled"; reason?: CancelReason };

export type Order =
  | (Facts & { status: "placed" | "reserved" | "confirmed" | Progress })
  | (Facts & { status: "cancelled"; reason?: CancelReason })
  | (Facts & { status: "rejected"; reason: Reason })
  | (Facts & { status: "aborting"; held: Held; ending: Ending });

export type OrderEvent =
  | { type: "placed"; at: number; order: Omit<Facts, "version" | "history"> }
  | { type: "reserved"; at: number }
  | { type: "confirmed"; at: number; paid?: number }
  | { type: "aborting"; at: number; held: Held; ending: Ending }
  | { type: "given-back"; at: number; what: keyof Held }
  | { type: "rejected"; at: number; reason: Reason }
  | { type: "cancelled"; at: number; reason?: CancelReason }
  | { type: "reached"; at: number; status: Progress }
  | { type: "noted"; at: number; personal: string }
  | FulfilmentEvent;

/** A line as asked for; `product` is absent when there is none. */
export interface AskedLine {
  sku: string;
  quantity: number;
  unitPrice?: Money;
  product?: ListedProduct;
}

/** What we know of a product: our copy of the catalog's entry. */
export interface ListedProduct {
  name: string;
  price: Money;
  kind: "physical" | "service";
  category?: string;
  /** Grams a piece. */
  weight?: number;
  /** `standard` where nothing is said. */
  taxClass?: string;
}

export interface Place extends Omit<Facts, "version" | "history" | keyof Quote> {
  lines: AskedLine[];
  /** Absent: nothing makes the price but quantities and unit prices. */
  offer?: Offer;
  at: number;
}

/** Accepts an order for what it comes to. */
export function place({ lines, offer, at, ...facts }: Place): OrderEvent[] | Rejection {
  const quoted = quote(lines, offer);
  return "rejected" in quoted ? quoted : [{ type: "placed", at, order: { ...facts, ...quoted } }];
}

/** What other services may hold for an order now: what an abort must wait for. */
export function holds(order: Order): Held {
  return { stock: true, money: order.status !== "placed" && order.total.amount > 0 };
}

/** Whether its money is certain: it is on its way to its customer, or has come there. */
export const isPaid = (status: Order["status"]): boolean =>
  status === "confirmed" || status === "shipped" || status === "delivered" || status === "returned";

/** The status that a client reads. */
export function shown(order: Order): PublicStatus {
  return order.history.at(-1)?.status ?? "placed";
}

export function evolve(order: Order | undefined, event: OrderEvent): Order {
  if (event.type === "placed") {
    return { ...event.order, status: "placed", version: 1, history: [{ at: event.at, status: "placed" }] };
  }
  if (order === undefined) throw new Error(`${event.type} before the order was placed`);
  const { method } = order.payment;
  const facts: Facts = { ...order, version: order.version + 1, payment: { method } };
  const reached = (status: PublicStatus, reason?: Reason | CancelReason) => ({
    ...facts,
    history: [...order.history, reason ? { at: event.at, status, reason } : { at: event.at, status }],
  });
  switch (event.type) {
    case "reserved":
      return { ...reached("reserved"), status: "reserved" };
    case "confirmed": {
      const { paid } = event;
      return { ...reached("confirmed"), status: "confirmed", ...(paid === undefined ? {} : { paid }) };
    }
    case "cancelled": {
      const { reason } = event;
      return { ...reached("cancelled", reason), status: "cancelled", ...(reason ? { reason } : {}) };
    }
    case "reached":
      return { ...reached(event.status), status: event.status };
    case "noted":
      return { ...order, ...facts, personal: event.personal };
    case "aborting":
      return { ...facts, status: "aborting", held: event.held, ending: event.ending };
    case "given-back":
      if (order.status !== "aborting") throw new Error(`given back while ${order.status}`);
      return { ...order, ...facts, held: { ...order.held, [event.what]: false } };
    case "rejected":
      return { ...reached("rejected", event.reason), status: "rejected", reason: event.reason };
    default:
      return fulfilled({ ...order, ...facts }, event);
  }
}

import type { Rejection } from "chassis";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

export interface Line {
  sku: string;
  /** 1 to {@link mostPieces}. */
  quantity: number;
  /** The price when it was put in, or was last looked at by changing its quantity. */
  seen: Money;
}

/** What somebody is about to buy. */
export interface Cart {
  id: string;
  /** Rises with every change. */
  version: number;
  /** The user whose cart it is; a guest's has none, and belongs to whoever knows its id. */
  owner?: string;
  /** In the order in which they came. */
  lines: Line[];
  /** Guests' carts that went into this one, so that none does twice. */
  merged: string[];
  /** The order that takes it: chosen at the first checkout, and the same at every further one. */
  orderId?: string;
  /** The order is on disk: nothing changes any more. */
  ordered: boolean;
  /** Milliseconds since the epoch. */
  changedAt: number;
}

/** Our copy of the catalog's entry. */
export interface Product {
  price: Money;
}

export type CartEvent = { at: number } & (
  | { type: "created"; id: string; owner?: string }
  | { type: "line-set"; line: Line }
  | { type: "line-removed"; sku: string }
  | { type: "merged"; id: string; lines: Line[] }
  | { type: "taken"; orderId: string }
  | { type: "ordered"; orderId: string }
);

/** What is for sale today, by SKU. */
export type Products = ReadonlyMap<string, Product>;

type Decision = CartEvent[] | Rejection;

export const mostPieces = 9_999;
export const mostLines = 1_000;

/** @param products of this line, and of those that the cart has */
export function setLine(
  cart: Cart,
  { sku, quantity }: { sku: string; quantity: number },
  products: Products,
  at: number,
): Decision {
  if (cart.ordered) return isOrdered;
  const product = products.get(sku);
  if (product === undefined) {
    return { rejected: "unknown-product", detail: `There is no product ${sku}` };
  }
  const others = cart.lines.filter((line) => line.sku !== sku);
  const [first] = others;
  if (first && first.seen.currency !== product.price.currency) {
    return {
      rejected: "mixed-currencies",
      detail: `This cart is in ${first.seen.currency}, the product in ${product.price.currency}`,
    };
  }
  if (others.length >= mostLines) return { rejected: "cart-full", detail: `A cart has ${mostLines} lines` };
  const line = cart.lines.find((one) => one.sku === sku);
  if (line && line.quantity === quantity && isSame(line.seen, product.price)) return [];
  const set = { sku, quantity, seen: product.price };
  const more = worth(set, products);
  if (!isExact(more) || !isExact(sum(others, products) + more)) return tooLarge;
  return [{ type: "line-set", at, line: set }];
}

/** Puts several products in, all of them or none. */
export function setLines(
  cart: Cart,
  lines: { sku: string; quantity: number }[],
  products: Products,
  at: number,
): Decision {
  let next = cart;
  const events: CartEvent[] = [];
  for (const [index, line] of lines.entries()) {
    const decided = setLine(next, line, products, at);
    if (!Array.isArray(decided)) {
      const field = decided.rejected === "total-too-large" ? "quantity" : "sku";
      return { ...decided, errors: [{ pointer: `/lines/${index}/${field}`, detail: decided.detail }] };
    }
    next = decided.reduce<Cart>(evolve, next);
    events.push(...decided);
  }
  return events;
}

/** What a line comes to at today's price, in minor units; undefined where it is for sale no more. */
function worth({ sku, quantity }: Pick<Line, "sku" | "quantity">, products: Products): number | undefined {
  const product = products.get(sku);
  return product && quantity * product.price.amount;
}

/** Today's price of a line; none where it is for sale no more, or where no order could count what it comes to. */
export const priceOf = (line: Line, products: Products): Money | undefined =>
  isExact(worth(line, products)) ? products.get(line.sku)?.price : undefined;

/** What lines come to that have a price today, in minor units. */
export const sum = (lines: Line[], products: Products): number =>
  lines.reduce((all, line) => {
    const one = worth(line, products);
    return isExact(one) ? all + one : all;
  }, 0);

/** Whether an amount is counted to the last unit. */
export const isExact = (amount: number | undefined): amount is number => Number.isSafeInteger(amount);

export function removeLine(cart: Cart, sku: string, at: number): Decision {
  if (cart.ordered) return isOrdered;
  return cart.lines.some((line) => line.sku === sku) ? [{ type: "line-removed", at, sku }] : [];
}

/**
 * Takes over what a guest had put together before signing in. Of what is in both, the pieces add up; what is in
 * another currency, or does not fit any more, stays behind.
 * @param products of the lines of both
 */
export function merge(cart: Cart, from: Cart, products: Products, at: number): Decision {
  if (cart.ordered || from.ordered) return isOrdered;
  if (from.owner !== undefined)
    return { rejected: "not-a-guests-cart", detail: "The cart is somebody's already" };
  if (cart.merged.includes(from.id)) return [];
  const currency = (cart.lines[0] ?? from.lines[0])?.seen.currency;
  const alike = from.lines.filter((line) => line.seen.currency === currency);
  const added = alike.filter(({ sku }) => !cart.lines.some((line) => line.sku === sku));
  const room = added.slice(0, Math.max(0, mostLines - cart.lines.length));
  const both = alike.flatMap((line) => {
    const own = cart.lines.find(({ sku }) => sku === line.sku);
    return own ? [{ ...own, quantity: Math.min(mostPieces, own.quantity + line.quantity) }] : [];
  });
  return [{ type: "merged", at, id: from.id, lines: countable(cart, [...both, ...room], products) }];
}

/** Of lines that change, or are new: those with which what the cart comes to can still be counted exactly. */
function countable({ lines }: Cart, changed: Line[], products: Products): Line[] {
  let all = sum(lines, products);
  return changed.filter((line) => {
    const before = lines.filter(({ sku }) => sku === line.sku);
    const more = worth(line, products) ?? 0;
    const next = all - sum(before, products) + more;
    // Once it is for sale no more, it is shown at the price that was seen.
    const fits = isExact(more) && isExact(next) && isExact(line.quantity * line.seen.amount);
    if (fits) all = next;
    return fits;
  });
}

/**
 * Hands the cart to an order. Asked again it is the same order, so that of two who check out at once one places it,
 * and an attempt that failed is repeated.
 */
export function take(cart: Cart, orderId: string, at: number): Decision {
  if (cart.ordered) return isOrdered;
  if (cart.lines.length === 0) return { rejected: "empty-cart", detail: "There is nothing in the cart" };
  return cart.orderId === undefined ? [{ type: "taken", at, orderId }] : [];
}

/** Its order is placed. */
export function close(cart: Cart, orderId: string, at: number): CartEvent[] {
  return cart.ordered || cart.orderId !== orderId ? [] : [{ type: "ordered", at, orderId }];
}

export function evolve(cart: Cart | undefined, event: CartEvent): Cart {
  if (event.type === "created") {
    const { id, owner, at } = event;
    const whose = owner === undefined ? {} : { owner };
    return { id, version: 1, ...whose, lines: [], merged: [], ordered: false, changedAt: at };
  }
  if (cart === undefined) throw new Error(`${event.type} of a cart that is not there`);
  const next = { ...cart, version: cart.version + 1, changedAt: event.at };
  switch (event.type) {
    case "line-set":
      return { ...next, lines: withLines(cart.lines, [event.line]) };
    case "line-removed":
      return { ...next, lines: cart.lines.filter(({ sku }) => sku !== event.sku) };
    case "merged":
      return { ...next, lines: withLines(cart.lines, event.lines), merged: [...cart.merged, event.id] };
    case "taken":
      return { ...next, orderId: event.orderId };
    case "ordered":
      return { ...next, ordered: true };
    default:
      return event satisfies never;
  }
}

/** A line that is there keeps its place. */
function withLines(lines: Line[], changed: Line[]): Line[] {
  const bySku = new Map(lines.map((line) => [line.sku, line]));
  for (const line of changed) bySku.set(line.sku, line);
  return [...bySku.values()];
}

const isSame = (a: Money, b: Money): boolean => a.amount === b.amount && a.currency === b.currency;

const tooLarge: Rejection = {
  rejected: "total-too-large",
  detail: "The cart would come to more than can be counted exactly",
};

const isOrdered: Rejection = {
  rejected: "cart-ordered",
  detail: "This cart has been ordered: begin a new one",
};

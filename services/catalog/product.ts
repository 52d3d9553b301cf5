import type { Rejection } from "chassis";

export interface Money {
  /** Integer minor units. */
  amount: number;
  /** ISO 4217. */
  currency: string;
}

export interface Product {
  /** Its name for ever: what else there is of it may change. */
  sku: string;
  name: string;
  description?: string;
  category?: string;
  price: Money;
  kind: "physical" | "service";
  /** https URLs. */
  images: string[];
  /** Grams a piece. */
  weight?: number;
  /** What it is to those who tax it; `standard` where nothing is said. */
  taxClass?: string;
}

/**
 * What the catalog knows under one SKU. A deleted product leaves its version behind: should it come back, it goes
 * on from there, so that whoever keeps a copy can tell by the version alone what is newer.
 */
export type Entry =
  | { status: "listed"; sku: string; version: number; product: Product }
  | { status: "deleted"; sku: string; version: number };

export type ProductEvent =
  | { type: "created"; product: Product }
  | { type: "updated"; product: Product }
  | { type: "deleted" }
  | { type: "stocked"; onHand: number };

/** Lists a product that is not there, or is no longer. */
export function create(entry: Entry | undefined, product: Product): ProductEvent[] | Rejection {
  if (entry?.status === "listed") {
    const errors = [{ pointer: "/sku", detail: "is taken" }];
    return { rejected: "sku-taken", detail: `There is a product ${product.sku} already`, errors };
  }
  return [{ type: "created", product }];
}

/** Puts another description in the place of the one there is. The same once more changes nothing. */
export function replace(entry: Entry | undefined, product: Product): ProductEvent[] | Rejection {
  if (entry?.status !== "listed") return missing(product.sku);
  return same(entry.product, product) ? [] : [{ type: "updated", product }];
}

/** Takes a product off the catalog. */
export function remove(entry: Entry | undefined, sku: string): ProductEvent[] | Rejection {
  return entry?.status === "listed" ? [{ type: "deleted" }] : missing(sku);
}

/**
 * What a line of an import does: creates, updates, or leaves what is the same already. How much is in stock is said
 * each time, since only inventory knows what has become of what it was told before.
 * @param onHand pieces counted
 */
export function put(entry: Entry | undefined, product: Product, onHand?: number): ProductEvent[] {
  const stocked: ProductEvent[] = onHand === undefined ? [] : [{ type: "stocked", onHand }];
  if (entry?.status !== "listed") return [{ type: "created", product }, ...stocked];
  return same(entry.product, product) ? stocked : [{ type: "updated", product }, ...stocked];
}

export function evolve(entry: Entry | undefined, event: ProductEvent): Entry {
  const version = (entry?.version ?? 0) + 1;
  switch (event.type) {
    case "created":
    case "updated":
      return { status: "listed", sku: event.product.sku, version, product: event.product };
    case "deleted":
      return { status: "deleted", sku: known(entry, event).sku, version };
    case "stocked":
      // Said here, kept by inventory.
      return known(entry, event);
    default:
      return event satisfies never;
  }
}

function known(entry: Entry | undefined, event: ProductEvent): Entry {
  if (entry === undefined) throw new Error(`${event.type} before the product was created`);
  return entry;
}

const missing = (sku: string): Rejection => ({ rejected: "not-found", detail: `There is no product ${sku}` });

function same(a: Product, b: Product): boolean {
  return (
    a.sku === b.sku &&
    a.name === b.name &&
    a.description === b.description &&
    a.category === b.category &&
    a.price.amount === b.price.amount &&
    a.price.currency === b.price.currency &&
    a.kind === b.kind &&
    a.weight === b.weight &&
    a.taxClass === b.taxClass &&
    a.images.length === b.images.length &&
    a.images.every((image, index) => image === b.images[index])
  );
}

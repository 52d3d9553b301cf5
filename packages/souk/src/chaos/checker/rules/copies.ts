import type { Facts, Product } from "../facts.ts";
import type { Violation } from "../types.ts";

/** Orders' copy of the catalog, and inventory's list of what can be in the house. */
export function copies({ catalog, copies: copied, stock }: Facts): Violation[] {
  const wrong = (sku: string, detail: string): Violation => ({ rule: "copy-equals-source", sku, detail });
  const differing = [...new Set([...catalog.keys(), ...copied.keys()])].flatMap((sku) => {
    const [source, copy] = [catalog.get(sku), copied.get(sku)];
    return text(source) === text(copy)
      ? []
      : [wrong(sku, `the catalog has ${text(source)}, orders has ${text(copy)}`)];
  });
  const unlisted = [...catalog.values()]
    .filter(({ sku, kind, deleted }) => !deleted && kind === "physical" && !stock.has(sku))
    .map(({ sku }) => wrong(sku, "the catalog has it, inventory has never heard of it"));
  const unknown = [...stock.keys()]
    .filter((sku) => !catalog.has(sku))
    .map((sku) => wrong(sku, "inventory has it, the catalog has not"));
  return [...differing, ...unlisted, ...unknown];
}

function text(product: Product | undefined): string {
  if (product === undefined) return "nothing";
  const { version, deleted, name, price, kind } = product;
  return deleted
    ? `version ${version}, deleted`
    : `version ${version}, ${name}, ${kind}, ${price.amount} ${price.currency}`;
}

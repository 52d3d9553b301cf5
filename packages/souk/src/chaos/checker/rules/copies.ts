import type { Facts, Product } from "../facts.ts";
import type { Violation } from "../types.ts";

/** Orders' copies of the catalog and of what sending costs, and inventory's list of what can be in the house. */
export function copies({ catalog, copies: copied, rates, stock }: Facts): Violation[] {
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
  const priced = [...new Set([...rates.source.keys(), ...rates.copy.keys()])].flatMap((rate): Violation[] => {
    const [is, should] = [rates.copy.get(rate) ?? "nothing", rates.source.get(rate) ?? "nothing"];
    const detail = `sending (${rate}) is ${should} by shipping, ${is} by orders`;
    return is === should ? [] : [{ rule: "copy-equals-source", detail }];
  });
  return [...differing, ...unlisted, ...unknown, ...priced];
}

function text(product: Product | undefined): string {
  if (product === undefined) return "nothing";
  const { version, deleted, name, price, kind, taxClass, weight } = product;
  return deleted
    ? `version ${version}, deleted`
    : `version ${version}, ${name}, ${kind}, ${price.amount} ${price.currency}, ${taxClass}, ${weight} g`;
}

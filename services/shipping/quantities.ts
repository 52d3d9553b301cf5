/** So many pieces of a product. Lists of them name each product once, in the order of the SKUs. */
export interface Quantity {
  sku: string;
  quantity: number;
}

/** Each product once. */
export function summed(lines: readonly Quantity[]): Quantity[] {
  const sums = new Map<string, number>();
  for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  return [...sums]
    .filter(([, quantity]) => quantity > 0)
    .map(([sku, quantity]) => ({ sku, quantity }))
    .sort((a, b) => (a.sku < b.sku ? -1 : a.sku > b.sku ? 1 : 0));
}

export const plus = (a: readonly Quantity[], b: readonly Quantity[]): Quantity[] => summed([...a, ...b]);

/** What is left of `a` without `b`; never less than nothing. */
export function minus(a: readonly Quantity[], b: readonly Quantity[]): Quantity[] {
  const gone = new Map(b.map(({ sku, quantity }) => [sku, quantity]));
  return a.flatMap(({ sku, quantity }) => {
    const left = quantity - (gone.get(sku) ?? 0);
    return left > 0 ? [{ sku, quantity: left }] : [];
  });
}

export const same = (a: readonly Quantity[], b: readonly Quantity[]): boolean =>
  a.length === b.length &&
  a.every(({ sku, quantity }, n) => sku === b[n]?.sku && quantity === b[n]?.quantity);

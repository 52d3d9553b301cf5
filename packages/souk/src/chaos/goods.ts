import { fileURLToPath } from "node:url";
import { type PlannedOrder, type PlannedProduct, plan } from "../retail/plan.ts";
import { readRetail } from "../retail/read.ts";
import type { Random } from "./random.ts";

const sample = fileURLToPath(
  new URL("../../../../tests/data/online-retail-first-150-invoices.csv", import.meta.url),
);

/** What is for sale, and who buys what of it by the real sales. */
export interface Goods {
  products: PlannedProduct[];
  /** SKUs by how much they are asked for: the first most. */
  popular: string[];
  /** Those of which there will not be enough. */
  scarce: string[];
  orders: PlannedOrder[];
}

const madeUp = { ample: 60, scarce: 20, services: 3 };

/** The products of the retail sample and made-up ones: some with more than can be sold, some with a few pieces. */
export async function goods(random: Random): Promise<Goods> {
  const { orders, products } = plan(await readRetail(sample));
  const made = (kind: "AMPLE" | "SCARCE" | "SERVICE", count: number, onHand?: () => number) =>
    Array.from({ length: count }, (_, index): PlannedProduct => {
      const sku = `${kind}-${index + 1}`;
      return {
        sku,
        name: `${kind.toLowerCase()} thing ${index + 1}`,
        price: { amount: random.int(50, 9_999), currency: "GBP" },
        kind: onHand ? "physical" : "service",
        ...(onHand ? { onHand: onHand() } : {}),
      };
    });
  const ample = made("AMPLE", madeUp.ample, () => 100_000);
  const scarce = made("SCARCE", madeUp.scarce, () => random.int(0, 40));
  const services = made("SERVICE", madeUp.services);
  const sold = products.flatMap(({ sku, price, kind }) =>
    kind === "physical" && price.amount > 0 ? [sku] : [],
  );
  const names = (some: PlannedProduct[]) => some.map(({ sku }) => sku);
  return {
    products: [...products, ...ample, ...scarce, ...services],
    // What sells most is there: a shop that refuses every second order would prove little.
    popular: [
      ...shuffled(names(ample), random),
      ...shuffled([...names(scarce), ...names(services), ...sold.slice(0, 200)], random),
    ],
    scarce: names(scarce),
    orders,
  };
}

function shuffled<T>(items: T[], random: Random): T[] {
  return items
    .map((item) => ({ item, place: random.share() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

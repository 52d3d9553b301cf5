import { type Received, react } from "chassis";
import { ProductCreated, ProductDeleted, ProductUpdated, StockAvailability } from "./contracts.ts";
import type { Store } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(ProductCreated, (e, { store }: Got) => ({ writes: [store.product(e)] })),
  react(ProductUpdated, (e, { store }: Got) => ({ writes: [store.product(e)] })),
  react(ProductDeleted, (e, { store }: Got) => ({ writes: [store.productGone(e.sku, e.version)] })),
  react(StockAvailability, ({ sku, available, plenty, version }, { store }: Got) => ({
    writes: [store.left(sku, plenty ? null : available, version)],
  })),
];

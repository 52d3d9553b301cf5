import { type Received, react } from "chassis";
import { ProductCreated, ProductDeleted, ProductUpdated } from "./contracts.ts";
import type { Memory } from "./edge.ts";
import { ofProduct, ofProducts } from "./tags.ts";

type Got = Received<Memory>;

// Forgetting twice does no harm, so no inbox is needed. Of several gateways one gets each event: the others are
// late by as long as the answer says that it may be shared (s-maxage).
export const reactions = [
  react(ProductCreated, (e, got: Got) => got.store.cache.forget(ofProduct(e.sku), ofProducts)),
  react(ProductUpdated, (e, got: Got) => got.store.cache.forget(ofProduct(e.sku), ofProducts)),
  react(ProductDeleted, (e, got: Got) => got.store.cache.forget(ofProduct(e.sku), ofProducts)),
];

import type { Examples } from "chassis";

const id = { operation: "POST /api/carts", at: "/id", like: "Jr0mcQ0bqkqG9D3m2V1X5A" };

/** How each operation is called, so that it works when it is copied: with the products that a first start brings. */
export const examples: Examples = {
  "POST /carts": { body: { lines: [{ sku: "TEA-MINT", quantity: 1 }] } },
  "GET /carts/{id}": { parameters: { id } },
  "PUT /carts/{id}/lines/{sku}": { parameters: { id, sku: "TEA-ASSAM" }, body: { quantity: 2 } },
  "DELETE /carts/{id}/lines/{sku}": { parameters: { id, sku: "TEA-ASSAM" } },
};

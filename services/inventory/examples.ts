import type { Examples } from "chassis";

/** How each operation is called, so that it works when it is copied: with the products that a first start brings. */
export const examples: Examples = {
  "GET /stock": { parameters: { limit: "3" } },
  "GET /stock/{sku}": {
    parameters: { sku: "TEA-MINT" },
    answer: { sku: "TEA-MINT", onHand: 150, reserved: 2, available: 148 },
  },
  "PUT /stock/{sku}": {
    parameters: {
      sku: "TEA-MINT",
      "If-Match": { operation: "GET /api/stock/{sku}", header: "etag", like: '"1"' },
    },
    body: { onHand: 250 },
  },
};

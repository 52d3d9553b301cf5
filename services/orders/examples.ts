import type { Examples } from "chassis";

const placed = { operation: "POST /api/orders", at: "/id", like: "Jr0mcQ0bqkqG9D3m2V1X5A" };

/** How each operation is called, so that it works when it is copied: with the products that a first start brings. */
export const examples: Examples = {
  "POST /orders": {
    body: {
      lines: [{ sku: "TEA-ASSAM", quantity: 2 }],
      customer: { email: "ada@example.com", name: "Ada Lovelace" },
      shippingAddress: { name: "Ada Lovelace", line1: "12 St James's Square", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
    },
  },
  "GET /orders": { parameters: { limit: "3" } },
  "GET /orders/{id}": { parameters: { id: placed } },
  "GET /orders/{id}/events": { parameters: { id: placed } },
  "POST /orders/{id}/cancel": { parameters: { id: placed } },
};

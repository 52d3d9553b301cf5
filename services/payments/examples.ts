import type { Examples } from "chassis";

const orderId = { operation: "POST /api/orders", at: "/id", like: "Jr0mcQ0bqkqG9D3m2V1X5A" };

/** How each operation is called, so that it works when it is copied. */
export const examples: Examples = {
  "GET /payments/ledger": {},
  "GET /payments/{orderId}": { parameters: { orderId } },
  "POST /payments/{orderId}/refunds": {
    parameters: { orderId },
    body: { amount: { amount: 100, currency: "GBP" }, reason: "Chipped on arrival" },
  },
};

import type { Examples } from "chassis";

const orderId = { operation: "POST /api/orders", at: "/id", like: "Jr0mcQ0bqkqG9D3m2V1X5A" };

/** How each operation is called, so that it works when it is copied. */
export const examples: Examples = {
  "GET /payments/ledger": {},
  "GET /payments/{orderId}": {
    parameters: { orderId },
    answer: {
      orderId: "Jr0mcQ0bqkqG9D3m2V1X5A",
      status: "captured",
      authorised: { amount: 1780, currency: "GBP" },
      captured: { amount: 1780, currency: "GBP" },
      refunded: { amount: 0, currency: "GBP" },
      history: [
        { at: "2026-01-05T09:30:00.010Z", status: "authorising" },
        { at: "2026-01-05T09:30:00.015Z", status: "captured" },
      ],
    },
  },
  "POST /payments/{orderId}/refunds": {
    parameters: { orderId },
    body: { amount: { amount: 100, currency: "GBP" }, reason: "Chipped on arrival" },
  },
};

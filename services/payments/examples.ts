import type { Examples } from "chassis";

const orderId = { operation: "POST /api/orders", at: "/id", like: "Jr0mcQ0bqkqG9D3m2V1X5A" };

/** How each operation is called, so that it works when it is copied. */
export const examples: Examples = {
  "GET /payments/ledger": {},
  "GET /payments/reconciliations": {
    answer: {
      items: [
        {
          id: "Q0mJrcbqkqG9D3m2V1X5A7",
          status: "done",
          startedAt: "2026-01-06T03:17:00.004Z",
          endedAt: "2026-01-06T03:17:02.310Z",
          since: "2026-01-05T03:07:00.004Z",
          compared: 412,
          different: 0,
          differences: [],
        },
      ],
      nextCursor: null,
    },
  },
  "POST /payments/reconciliations": {},
  "GET /payments/reconciliations/{id}": {
    parameters: {
      id: { operation: "POST /api/payments/reconciliations", at: "/id", like: "Q0mJrcbqkqG9D3m2V1X5A7" },
    },
  },
  "GET /payments/{orderId}": {
    parameters: { orderId },
    answer: {
      orderId: "Jr0mcQ0bqkqG9D3m2V1X5A",
      status: "authorised",
      authorised: { amount: 1780, currency: "GBP" },
      captured: { amount: 780, currency: "GBP" },
      refunded: { amount: 0, currency: "GBP" },
      authorisedUntil: "2026-01-12T09:30:00.015Z",
      history: [
        { at: "2026-01-05T09:30:00.010Z", status: "authorising" },
        {
          at: "2026-01-05T09:30:00.015Z",
          status: "authorised",
          amount: { amount: 1780, currency: "GBP" },
        },
        {
          at: "2026-01-06T14:02:11.201Z",
          status: "capturing",
          amount: { amount: 780, currency: "GBP" },
          key: "Jr0mcQ0bqkqG9D3m2V1X5A-1",
        },
        {
          at: "2026-01-06T14:02:11.209Z",
          status: "captured",
          amount: { amount: 780, currency: "GBP" },
          key: "Jr0mcQ0bqkqG9D3m2V1X5A-1",
        },
      ],
    },
  },
  "POST /payments/{orderId}/refunds": {
    parameters: { orderId },
    body: { amount: { amount: 100, currency: "GBP" }, reason: "Chipped on arrival" },
  },
};

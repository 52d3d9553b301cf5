import type { Examples } from "chassis";

const id = { operation: "POST /api/webhooks", at: "/id", like: "wh_Jr0mcQ0bqkqG9D3m2V1X5A" };

/** How each operation is called, so that it works when it is copied. */
export const examples: Examples = {
  "POST /webhooks": {
    body: { url: "https://example.com/hooks/souk", events: ["order.confirmed", "payment.refunded"] },
  },
  "GET /webhooks": { parameters: { limit: "3" } },
  "GET /webhooks/{id}": { parameters: { id } },
  "PATCH /webhooks/{id}": { parameters: { id }, body: { status: "disabled" } },
  "POST /webhooks/{id}/secret": { parameters: { id } },
  "GET /webhooks/{id}/deliveries": { parameters: { id, limit: "3" } },
  "DELETE /webhooks/{id}": { parameters: { id } },
};

import type { Examples } from "chassis";
import { pricingExamples } from "./pricing-examples.ts";

const placed = { operation: "POST /api/orders", at: "/id", like: "Jr0mcQ0bqkqG9D3m2V1X5A" };

const customer = { email: "ada@example.com", name: "Ada Lovelace" };
const shippingAddress = {
  name: "Ada Lovelace",
  line1: "12 St James's Square",
  city: "London",
  country: "GB",
};
const accepted = {
  id: "Jr0mcQ0bqkqG9D3m2V1X5A",
  reference: null,
  status: "placed",
  customer,
  shippingAddress,
  lines: [
    {
      sku: "TEA-ASSAM",
      name: "Assam breakfast tea, 250 g",
      quantity: 2,
      unitPrice: { amount: 890, currency: "GBP" },
      total: { amount: 1780, currency: "GBP" },
    },
    {
      sku: "GIFT-WRAP",
      name: "Gift wrapping",
      quantity: 2,
      unitPrice: { amount: 350, currency: "GBP" },
      total: { amount: 700, currency: "GBP" },
    },
  ],
  total: { amount: 2480, currency: "GBP" },
  history: [{ at: "2026-01-05T09:30:00.000Z", status: "placed" }],
};
const [tea, wrapping] = accepted.lines;
const confirmed = {
  ...accepted,
  status: "confirmed",
  lines: [
    { ...tea, shipped: 0, cancelled: 0, returned: 0 },
    { ...wrapping, shipped: 2, cancelled: 0, returned: 0 },
  ],
  shipments: [
    {
      id: "Jr0mcQ0bqkqG9D3m2V1X5A-1",
      status: "pending",
      lines: [{ sku: "TEA-ASSAM", quantity: 2 }],
    },
  ],
  returns: [],
  history: [
    ...accepted.history,
    { at: "2026-01-05T09:30:00.009Z", status: "reserved" },
    { at: "2026-01-05T09:30:00.016Z", status: "confirmed" },
  ],
};

/** How each operation is called, so that it works when it is copied: with the products that a first start brings. */
export const examples: Examples = {
  ...pricingExamples,
  "POST /orders": {
    body: {
      lines: [
        { sku: "TEA-ASSAM", quantity: 2 },
        { sku: "GIFT-WRAP", quantity: 2 },
      ],
      customer,
      shippingAddress,
      payment: { method: "test", token: "tok_ok" },
    },
    answer: accepted,
  },
  "GET /orders": { parameters: { limit: "3" }, answer: { items: [confirmed], nextCursor: null } },
  "GET /order-statuses": {
    parameters: { ids: placed },
    answer: { items: [{ id: confirmed.id, version: 4, status: "confirmed" }] },
  },
  "GET /orders/{id}": { parameters: { id: placed }, answer: confirmed },
  "GET /orders/{id}/events": { parameters: { id: placed } },
  "POST /orders/{id}/returns": {
    parameters: { id: placed },
    body: { lines: [{ sku: "GIFT-WRAP", quantity: 1 }], reason: "It was to be a surprise, and was seen" },
  },
  "POST /orders/{id}/cancel": { parameters: { id: placed }, body: { reason: "Ordered twice" } },
};

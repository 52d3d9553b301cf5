import type { Examples } from "chassis";

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const promotion = {
  operation: "POST /api/promotions",
  at: "/id",
  like: "p0wWqkXcQm6m0x1Qm3bT5w",
};
const tea = {
  name: "Ten percent off tea",
  code: "TEATIME",
  kind: "percentage",
  basisPoints: 1000,
  on: { category: "Tea", minimum: gbp(1000) },
  until: "2099-01-01T00:00:00.000Z",
  limit: 500,
  limitPerCustomer: 1,
};
const rate = { country: "XI", class: "reduced" };
const setRate = "PUT /api/tax-rates/{country}/{class}";
const known = {
  country: { operation: setRate, at: "/country", like: rate.country },
  class: { operation: setRate, at: "/class", like: rate.class },
};

export const pricingExamples: Examples = {
  "POST /promotions": {
    body: tea,
    answer: { ...tea, id: "p0wWqkXcQm6m0x1Qm3bT5w", active: true },
  },
  "GET /promotions": { parameters: { limit: "3" } },
  "GET /promotions/{id}": { parameters: { id: promotion } },
  "PUT /promotions/{id}": {
    parameters: {
      id: promotion,
      "If-Match": { operation: "POST /api/promotions", header: "etag", like: '"1"' },
    },
    body: {
      name: "Two pounds off tea",
      code: "TEATIME",
      kind: "amount",
      amount: gbp(200),
      on: { category: "Tea" },
    },
  },
  "DELETE /promotions/{id}": {
    parameters: {
      id: promotion,
      "If-Match": { operation: "PUT /api/promotions/{id}", header: "etag", like: '"2"' },
    },
  },
  "PUT /tax-rates/{country}/{class}": {
    parameters: rate,
    body: { basisPoints: 500, included: true },
    answer: { ...rate, basisPoints: 500, included: true },
  },
  "GET /tax-rates": { parameters: { limit: "3" } },
  "GET /tax-rates/{country}/{class}": { parameters: known },
  "DELETE /tax-rates/{country}/{class}": {
    parameters: {
      ...known,
      "If-Match": { operation: setRate, header: "etag", like: '"1"' },
    },
  },
  "POST /quotes": {
    body: { lines: [{ sku: "TEA-ASSAM", quantity: 2 }], country: "GB" },
    answer: {
      lines: [
        {
          sku: "TEA-ASSAM",
          name: "Assam breakfast tea, 250 g",
          quantity: 2,
          unitPrice: gbp(890),
          total: gbp(1780),
          discount: gbp(0),
          tax: gbp(0),
        },
      ],
      subtotal: gbp(1780),
      discount: gbp(0),
      tax: gbp(0),
      shipping: gbp(0),
      total: gbp(1780),
      promotions: [],
    },
  },
};

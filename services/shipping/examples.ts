import type { Examples } from "chassis";

const rate = { country: "DE", method: "economy" };
const economy = {
  name: "Economy, 7 to 12 days",
  prices: [
    { upToGrams: 1_000, price: { amount: 695, currency: "GBP" } },
    { upToGrams: null, price: { amount: 1_995, currency: "GBP" } },
  ],
};

/** How each operation is called, so that it works when it is copied: with the rates that a first start brings. */
export const examples: Examples = {
  "GET /shipments": { parameters: { status: "pending", limit: "3" } },
  "GET /shipping/rates": {
    parameters: { country: "GB", weight: "1500", currency: "GBP" },
    answer: {
      items: [
        {
          country: "GB",
          method: "express",
          name: "Express, the next working day",
          upToGrams: 2_000,
          price: { amount: 795, currency: "GBP" },
        },
        {
          country: "GB",
          method: "standard",
          name: "Standard, 3 to 5 days",
          upToGrams: 2_000,
          price: { amount: 395, currency: "GBP" },
        },
      ],
      nextCursor: null,
    },
  },
  "PUT /shipping/rates/{country}/{method}": {
    parameters: rate,
    body: economy,
    answer: { ...rate, ...economy },
  },
  "GET /shipping/rates/{country}/{method}": {
    parameters: { country: "GB", method: "standard" },
  },
  "DELETE /shipping/rates/{country}/{method}": {
    parameters: {
      ...rate,
      "If-Match": { operation: "PUT /api/shipping/rates/{country}/{method}", header: "etag", like: '"1"' },
    },
  },
};

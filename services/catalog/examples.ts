import type { Examples } from "chassis";

const assam = {
  sku: "TEA-ASSAM",
  name: "Assam breakfast tea, 250 g",
  description: "Strong and malty; made for milk.",
  category: "Tea",
  price: { amount: 890, currency: "GBP" },
  kind: "physical",
  images: [],
};

/** How each operation is called, so that it works when it is copied: with the products that a first start brings. */
export const examples: Examples = {
  "GET /products": {
    parameters: { search: "tea", limit: "3" },
    answer: { items: [assam], nextCursor: null },
  },
  "GET /categories": {
    parameters: { limit: "20" },
    answer: { items: [{ category: "Tea", products: 3 }], nextCursor: null },
  },
  "GET /products/{sku}": { parameters: { sku: "TEA-ASSAM" }, answer: assam },
  "POST /products": {
    body: {
      sku: "MUG-BLUE",
      name: "Blue mug, 300 ml",
      description: "Stoneware, safe in the dishwasher.",
      category: "Mugs",
      price: { amount: 1250, currency: "GBP" },
      kind: "physical",
      weight: 420,
    },
  },
  "PUT /products/{sku}": {
    parameters: {
      sku: { operation: "POST /api/products", at: "/sku", like: "MUG-BLUE" },
      "If-Match": { operation: "POST /api/products", header: "etag", like: '"1"' },
    },
    body: {
      name: "Blue mug, 350 ml",
      category: "Mugs",
      price: { amount: 1350, currency: "GBP" },
      kind: "physical",
    },
  },
  "PATCH /products/{sku}": {
    parameters: {
      sku: { operation: "POST /api/products", at: "/sku", like: "MUG-BLUE" },
      "If-Match": { operation: "PUT /api/products/{sku}", header: "etag", like: '"2"' },
    },
    body: { description: "Stoneware.", category: null },
  },
  "DELETE /products/{sku}": {
    parameters: {
      sku: { operation: "POST /api/products", at: "/sku", like: "MUG-BLUE" },
      "If-Match": { operation: "PATCH /api/products/{sku}", header: "etag", like: '"3"' },
    },
  },
  "POST /products/import": {
    body: [
      {
        sku: "HEART-1",
        name: "White hanging heart",
        price: { amount: 255, currency: "GBP" },
        kind: "physical",
        onHand: 20,
      },
      { sku: "WRAP", name: "Gift wrapping", price: { amount: 150, currency: "GBP" }, kind: "service" },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(""),
  },
};

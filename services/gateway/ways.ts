import { ofCatalog, ofIdentity, ofProduct, ofProducts, ofRates, type Tag } from "./tags.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One way in: a path, who answers it, and what may be done there. What is not listed is not forwarded. */
export interface Way {
  /** As Hono writes it; the part behind `/api` is the service's own path. */
  path: string;
  service: string;
  methods: Method[];
  /** How long to wait for the beginning of an answer, in milliseconds. */
  patience?: number;
  /** Its GET is the same for all, and may be answered from the edge cache; says what the answer is about. */
  cached?(id: string): Tag[];
  /** What any other method than GET may have changed, whatever came back. */
  changes?(id: string): Tag[];
  /** The most bytes of a body, where it is not 1 MiB. */
  most?: number;
  /** Credentials are its own, not a token. */
  ownCredentials?: boolean;
  /** Pages for a browser, with cookies and forms of their own. */
  pages?: boolean;
  /** The answer goes on for as long as the client listens. */
  follows?: boolean;
  /** What begins something new by this, and waits behind what finishes something when the service is busy. */
  begins?: Method[];
}

const uploading = 10 * 60_000;
/** A page of identity, with its form. */
const page = (path: string, methods: Method[] = ["GET", "POST"]): Way => ({
  path,
  service: "identity",
  methods,
  pages: true,
  most: 64 * 1024,
});

// The last segment of a path that has a parameter is handed to `tags` and `changes`, decoded.
export const ways: Way[] = [
  {
    path: "/.well-known/openid-configuration",
    service: "identity",
    methods: ["GET"],
    cached: () => [ofIdentity],
  },
  { path: "/jwks", service: "identity", methods: ["GET"], cached: () => [ofIdentity] },
  { path: "/token", service: "identity", methods: ["POST"], ownCredentials: true, most: 64 * 1024 },
  { path: "/token/introspection", service: "identity", methods: ["POST"], ownCredentials: true },
  { path: "/token/revocation", service: "identity", methods: ["POST"], ownCredentials: true },
  { path: "/me", service: "identity", methods: ["GET", "POST"], ownCredentials: true },
  page("/auth"),
  page("/auth/:uid", ["GET"]),
  page("/interaction/:uid"),
  page("/interaction/:uid/:step"),
  page("/session/end"),
  page("/session/end/confirm", ["POST"]),
  page("/session/end/success", ["GET"]),
  page("/register"),
  page("/verify-email"),
  page("/forgot-password"),
  page("/reset-password"),

  { path: "/api/clients", service: "identity", methods: ["GET", "POST"] },
  { path: "/api/clients/:id", service: "identity", methods: ["GET", "DELETE"] },
  { path: "/api/keys", service: "identity", methods: ["GET"] },
  { path: "/api/keys/rotate", service: "identity", methods: ["POST"], changes: () => [ofIdentity] },
  { path: "/api/keys/:kid", service: "identity", methods: ["DELETE"], changes: () => [ofIdentity] },
  { path: "/api/users", service: "identity", methods: ["GET", "POST"] },
  { path: "/api/users/verify-email", service: "identity", methods: ["POST"] },
  { path: "/api/users/forgot-password", service: "identity", methods: ["POST"] },
  { path: "/api/users/reset-password", service: "identity", methods: ["POST"] },
  // `me` is an id like any other here.
  { path: "/api/users/:id", service: "identity", methods: ["GET", "PATCH", "DELETE"] },
  { path: "/api/users/:id/export", service: "identity", methods: ["GET"] },
  { path: "/api/users/:id/verification-mail", service: "identity", methods: ["POST"] },

  {
    path: "/api/products",
    service: "catalog",
    methods: ["GET", "POST"],
    cached: () => [ofCatalog, ofProducts],
    changes: () => [ofProducts],
  },
  {
    path: "/api/products/import",
    service: "catalog",
    methods: ["POST"],
    patience: uploading,
    most: 64 * 1024 * 1024,
    changes: () => [ofCatalog],
  },
  {
    path: "/api/products/:sku",
    service: "catalog",
    methods: ["GET", "PUT", "PATCH", "DELETE"],
    cached: (sku) => [ofCatalog, ofProduct(sku)],
    changes: (sku) => [ofProduct(sku), ofProducts],
  },
  {
    path: "/api/categories",
    service: "catalog",
    methods: ["GET"],
    cached: () => [ofCatalog, ofProducts],
  },

  // It changes with every order: a copy would be old, or cost a look at every order.
  { path: "/api/stock", service: "inventory", methods: ["GET"] },
  { path: "/api/stock/:sku", service: "inventory", methods: ["GET", "PUT"] },

  { path: "/api/carts", service: "carts", methods: ["POST"] },
  { path: "/api/carts/mine", service: "carts", methods: ["GET"] },
  { path: "/api/carts/mine/merge", service: "carts", methods: ["POST"] },
  { path: "/api/carts/:id", service: "carts", methods: ["GET"] },
  { path: "/api/carts/:id/lines/:sku", service: "carts", methods: ["PUT", "DELETE"] },

  { path: "/api/orders", service: "orders", methods: ["GET", "POST"], begins: ["POST"] },
  { path: "/api/orders/:id", service: "orders", methods: ["GET"] },
  { path: "/api/orders/:id/events", service: "orders", methods: ["GET"], follows: true },
  { path: "/api/orders/:id/cancel", service: "orders", methods: ["POST"] },
  { path: "/api/orders/:id/returns", service: "orders", methods: ["POST"] },
  { path: "/api/orders/:id/returns/:returnId/receive", service: "orders", methods: ["POST"] },

  { path: "/api/order-statuses", service: "orders", methods: ["GET"] },

  { path: "/api/quotes", service: "orders", methods: ["POST"] },
  { path: "/api/promotions", service: "orders", methods: ["GET", "POST"] },
  { path: "/api/promotions/:id", service: "orders", methods: ["GET", "PUT", "DELETE"] },
  { path: "/api/tax-rates", service: "orders", methods: ["GET"] },
  { path: "/api/tax-rates/:country/:class", service: "orders", methods: ["GET", "PUT", "DELETE"] },

  { path: "/api/payments/ledger", service: "payments", methods: ["GET"] },
  { path: "/api/payments/reconciliations", service: "payments", methods: ["GET", "POST"] },
  { path: "/api/payments/reconciliations/:id", service: "payments", methods: ["GET"] },
  { path: "/api/payments/:orderId", service: "payments", methods: ["GET"] },
  { path: "/api/payments/:orderId/refunds", service: "payments", methods: ["POST"] },
  // Signed by whoever sends it.
  {
    path: "/api/payments/webhooks/stripe",
    service: "payments",
    methods: ["POST"],
    ownCredentials: true,
    most: 256 * 1024,
  },

  { path: "/api/shipments", service: "shipping", methods: ["GET"] },
  { path: "/api/shipments/:id", service: "shipping", methods: ["GET"] },
  { path: "/api/shipments/:id/dispatch", service: "shipping", methods: ["POST"] },
  { path: "/api/shipments/:id/deliver", service: "shipping", methods: ["POST"] },
  {
    path: "/api/shipping/rates",
    service: "shipping",
    methods: ["GET"],
    cached: () => [ofRates],
  },
  // For staff: nothing of it is cached.
  {
    path: "/api/shipping/rates/:country/:method",
    service: "shipping",
    methods: ["GET", "PUT", "DELETE"],
    changes: () => [ofRates],
  },
  // Signed by whoever sends it.
  { path: "/api/shipping/webhooks/:carrier", service: "shipping", methods: ["POST"] },

  { path: "/api/webhooks", service: "notifications", methods: ["GET", "POST"] },
  { path: "/api/webhooks/:id", service: "notifications", methods: ["GET", "PATCH", "DELETE"] },
  { path: "/api/webhooks/:id/secret", service: "notifications", methods: ["POST"] },
  { path: "/api/webhooks/:id/deliveries", service: "notifications", methods: ["GET"] },
  {
    path: "/api/webhooks/:id/deliveries/:deliveryId/redeliver",
    service: "notifications",
    methods: ["POST"],
  },
  // Where a mail's link leads, and where a mail program posts to.
  { path: "/unsubscribe", service: "notifications", methods: ["GET", "POST"], most: 64 * 1024 },
];

/** The services that are behind the gateway. */
export const behind: string[] = [...new Set(ways.map(({ service }) => service))];

/** What a client may be allowed: everything that asks for more than a guest may do. */
export const staffScopes: readonly string[] = [
  "orders:read",
  "orders:write",
  "orders:manage",
  "catalog:write",
  "inventory:write",
  "payments:manage",
  "users:manage",
  "ops",
];

/** What a client may learn of a person (OpenID Connect Core, section 5.4), and that it may do so while they are away. */
export const personScopes: readonly string[] = ["openid", "profile", "email", "offline_access"];

/** What each scope allows, as the consent page says it. */
export const meanings: Readonly<Record<string, string>> = {
  openid: "Know that it is you",
  profile: "See your name, language and role",
  email: "See your e-mail address",
  offline_access: "Stay signed in when you close it",
  "orders:read": "See your orders",
  "orders:write": "Place and cancel orders for you",
  "orders:manage": "See and change the orders of all customers",
  "catalog:write": "Change products and prices",
  "inventory:write": "Change the stock",
  "payments:manage": "See payments and the ledger, and give money back",
  "users:manage": "See and change the accounts of all users",
  ops: "Operate the shop",
};

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

import { PersonScope, StaffScope } from "../contracts.ts";

export const staffScopes: readonly string[] = StaffScope.options;
export const personScopes: readonly string[] = PersonScope.options;

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

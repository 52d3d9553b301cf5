import fc from "fast-check";
import { known } from "./request.ts";
import type { Hints } from "./schema.ts";

const money = fc.record({ amount: fc.nat(5_000), currency: fc.constant("GBP") });

/** Real values for the fields of bodies, queries (`?name`) and paths (`{name}`), so that cases get past the first check. */
export const hints: Hints = {
  sku: known("sku"),
  orderId: known("orderId"),
  currency: fc.constant("GBP"),
  price: money,
  unitPrice: money,
  country: fc.constantFrom("GB", "DE", "JP"),
  method: fc.constant("test"),
  token: fc.constantFrom("tok_ok", "tok_ok", "tok_declined", "tok_flaky"),
  cartId: known("cartId"),
  shippingMethod: fc.constantFrom(undefined, undefined, "standard"),
  codes: fc.constantFrom(undefined, undefined, ["CODE"], ["code", "SPRING"]),
  grant_type: fc.constant("client_credentials"),
  client_id: known("clientid"),
  client_secret: known("clientsecret"),
  scope: fc.constantFrom("orders:read", "catalog:write ops"),
  "?limit": fc.integer({ min: 1, max: 100 }).map(String),
  "?cursor": fc.constantFrom("{{cursor}}"),
  "?search": fc.constantFrom("heart", "white hang", "日本", "x"),
  "?customer": fc.constantFrom("ada@example.com", "tester"),
  "{id}": known("orderId"),
  "/carts/{id}": known("cartId"),
  "/users/{id}": known("userId"),
  "/clients/{id}": known("clientid"),
  "/webhooks/{id}": known("webhookId"),
  "/shipments/{id}": known("shipmentId"),
  "/promotions/{id}": known("promotionId"),
  "{class}": fc.constantFrom("standard", "reduced"),
  "{country}": fc.constantFrom("GB", "FR", "*"),
  "{method}": fc.constantFrom("standard", "express"),
  "{carrier}": fc.constant("test"),
  "?country": fc.constantFrom("GB", "FR"),
  "?weight": fc.integer({ min: 0, max: 5_000 }).map(String),
  "?currency": fc.constant("GBP"),
  "?order": known("orderId"),
};

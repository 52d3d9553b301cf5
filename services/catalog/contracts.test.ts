import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { NewProduct, Sku } from "./contracts.ts";

describe("a SKU", () => {
  test.each([
    "85123A",
    "BANK CHARGES",
    "a",
    "🎁".repeat(64),
    "👩‍👩‍👧‍👦",
    "Grüße 日本語",
    "नमस्ते",
    "/?#%&",
    "...",
  ])("%j is one", (sku) => {
    expect(v.is(Sku, sku)).toBe(true);
  });

  test.each([
    "",
    " a",
    "a ",
    "🎁".repeat(65),
    ".",
    "..",
    "a\u0000b",
    "a\nb",
    "\u007f",
    "\u0085",
    "a\u2028b",
    "a\u2029b",
    "\ud83d",
    "a\udf81b",
    "\u202eevil",
    "\u2066a\u2069",
  ])("%j is none", (sku) => {
    expect(v.is(Sku, sku)).toBe(false);
  });
});

test("images are https URLs, percent-encoded", () => {
  const product = { sku: "A", name: "x", price: { amount: 1, currency: "GBP" }, kind: "service" };
  const taken = (url: string): boolean => v.is(NewProduct, { ...product, images: [url] });
  const good = ["https://a.example/b.jpg", "https://a.example:8443/%C3%A9?x=1&y=(2)#z"];
  const bad = [
    "http://a.example/",
    "https://a.example/%0",
    "https://a.example/a b",
    "https://a/<b>",
    "https://a#b#c",
  ];
  expect(good.map(taken)).toEqual([true, true]);
  expect(bad.map(taken)).toEqual(bad.map(() => false));
});

test("texts are counted in characters, and hold no control characters", () => {
  const product = { sku: "A", name: "x", price: { amount: 1, currency: "GBP" }, kind: "service" };
  const taken = (over: object): boolean => v.is(NewProduct, { ...product, ...over });
  expect(taken({ name: "🎁".repeat(200), description: "a\tb\r\n🎁" })).toBe(true);
  expect(taken({ name: "🎁".repeat(201) })).toBe(false);
  expect(taken({ name: "a\nb" })).toBe(false);
  expect(taken({ description: "a\u0000b" })).toBe(false);
  expect(taken({ category: "\ud83d" })).toBe(false);
});

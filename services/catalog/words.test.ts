import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { searched, words, wordsOf } from "./words.ts";

describe("words", () => {
  test.each<[string, string[]]>([
    ["WHITE HANGING HEART T-LIGHT HOLDER", ["white", "hanging", "heart", "t", "light", "holder"]],
    ["Crème brûlée, Ångström & Dvořák", ["creme", "brulee", "angstrom", "dvorak"]],
    ["Straße Øre Łódź Œuvre", ["strasse", "ore", "lodz", "oeuvre"]],
    ["children's children’s", ["childrens"]],
    ["BANK CHARGES", ["bank", "charges"]],
    ["A/B 85123A", ["a", "b", "85123a"]],
    ["½ ﬁne ①", ["1", "2", "fine"]],
    ["茶碗 tea ちゃわん", ["茶", "碗", "tea", "ち", "ゃ", "わ", "ん"]],
    ["…!? —", []],
    ["", []],
  ])("of %s", (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  test("are cut where they are too long to be words", () => {
    expect(words("a".repeat(100))).toEqual(["a".repeat(40)]);
  });

  test("are the same in upper and lower case, and when taken apart once more", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const found = words(text);
        expect(words(found.join(" "))).toEqual(found);
      }),
    );
  });
});

test("a product counts a word where it says most", () => {
  const found = wordsOf({
    sku: "HEART-1",
    name: "Heart holder",
    category: "Holders",
    description: "A heart for candles",
    price: { amount: 1, currency: "GBP" },
    kind: "physical",
    images: [],
  });
  expect(Object.fromEntries(found)).toEqual({
    heart: 0,
    "1": 0,
    holder: 1,
    holders: 2,
    a: 3,
    for: 3,
    candles: 3,
  });
});

test("a word that begins another one asks for nothing more", () => {
  expect(searched("mu mug m tea")).toEqual(["mug", "tea"]);
});

import type { Product } from "./product.ts";

/** Where a word stands: the lower, the more it says of the product. */
const weights = { sku: 0, name: 1, category: 2, description: 3 } as const;

const longest = 40;

// Letters that do not come apart into a plain letter and an accent.
const plain: Record<string, string> = {
  ß: "ss",
  æ: "ae",
  œ: "oe",
  ø: "o",
  ð: "d",
  þ: "th",
  đ: "d",
  ħ: "h",
  ł: "l",
  ı: "i",
};

// Chinese and Japanese put no space between words: there every character counts as one.
const tokens =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}])[\p{L}\p{N}])+/gu;

/** The distinct words of a text, in lower case and without accents; an apostrophe does not end a word. */
export function words(text: string): string[] {
  const folded = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\p{M}'’]/gu, "")
    .replace(/[ßæœøðþđħłı]/g, (letter) => plain[letter] ?? letter);
  return [...new Set(Array.from(folded.matchAll(tokens), ([word]) => word.slice(0, longest)))];
}

/** The words by which a product is found, each with the weight of the best place it stands in. */
export function wordsOf({ sku, name, category = "", description = "" }: Product): Map<string, number> {
  const found = new Map<string, number>();
  const places = [
    [sku, weights.sku],
    [name, weights.name],
    [category, weights.category],
    [description, weights.description],
  ] as const;
  for (const [text, weight] of places) {
    for (const word of words(text)) if (!found.has(word)) found.set(word, weight);
  }
  return found;
}

/** What a search asks for: each word begins one of the product's. One that begins another says nothing new. */
export function searched(text: string): string[] {
  const all = words(text);
  return all.filter((word) => !all.some((other) => other !== word && other.startsWith(word)));
}

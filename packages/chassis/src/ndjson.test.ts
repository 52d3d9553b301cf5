import { expect, test } from "bun:test";
import fc from "fast-check";
import { Lines } from "./ndjson.ts";

function split(bytes: Uint8Array, cuts: number[], longest = 1_000) {
  const lines = new Lines(longest);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const found = places.slice(1).flatMap((end, i) => [...lines.push(bytes.subarray(places[i], end))]);
  return [...found, ...lines.end()];
}

test("lines are the same wherever their bytes are cut, each with its number", () => {
  const line = fc.string({ unit: "grapheme", maxLength: 30 }).filter((text) => !/[\n\ufeff]/.test(text));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat()), (texts, cuts) => {
      const expected = texts.flatMap((text, i) => (text === "" ? [] : [{ number: i + 1, text }]));
      expect(split(Buffer.from(texts.join("\n")), cuts)).toEqual(expected);
      expect(
        split(Buffer.from(`\ufeff${texts.join("\n")}\n`), cuts).filter(({ number }) => number > 1),
      ).toEqual(expected.filter(({ number }) => number > 1));
    }),
  );
});

test("a line that is too long is refused alone, one that just fits is taken", () => {
  const bytes = Buffer.from(`${"a".repeat(10)}\n${"b".repeat(11)}\nc`);
  for (let at = 0; at < bytes.length; at++) {
    expect(split(bytes, [at], 10)).toEqual([
      { number: 1, text: "a".repeat(10) },
      { number: 2, detail: "is longer than 10 bytes" },
      { number: 3, text: "c" },
    ]);
  }
});

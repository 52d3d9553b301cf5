import { expect, test } from "bun:test";
import * as v from "valibot";
import { line, lines } from "./text.ts";

test("a line is counted in characters, and holds what every database stores", () => {
  const taken = (text: string): boolean => v.is(line(3), text);
  expect(["a", " abc ", "🎁🎁🎁", "日本語"].map(taken)).toEqual([true, true, true, true]);
  expect(["", "   ", "abcd", "a\nb", "a\u0000", "\ud83d", "a\u2028b"].map(taken)).toEqual(
    Array(7).fill(false),
  );
});

test("lines may break", () => {
  expect(v.is(lines(5), "a\r\n\tb")).toBe(true);
  expect(v.is(lines(5), "a\u0000b")).toBe(false);
  expect(v.is(lines(5), "\udf81")).toBe(false);
});

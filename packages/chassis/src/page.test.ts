import { describe, expect, test } from "bun:test";
import { isPlace, page, readWindow } from "./page.ts";
import { Problem } from "./problem.ts";

const isNumber = (value: unknown): value is number => typeof value === "number";

describe("a window", () => {
  test("is the first twenty unless asked otherwise", () => {
    expect(readWindow({}, isNumber)).toEqual({ limit: 20, after: undefined });
    expect(readWindow({ limit: "100" }, isNumber).limit).toBe(100);
  });

  test.each([
    { limit: "0" },
    { limit: "101" },
    { limit: "1.5" },
    { limit: "" },
    { cursor: "?" },
    { cursor: "Ing" },
    // A number with a control character beside it.
    { cursor: Buffer.from('{"sku":"\\u0000"}').toString("base64url") },
  ])("%j is refused", (query) => {
    expect(() => readWindow(query, isNumber)).toThrow(Problem);
  });
});

test.each([
  [{ at: 1, id: "a" }, true],
  [{ at: 1.5, id: "a" }, false],
  [{ at: "1", id: "a" }, false],
  [{ at: 1, id: 2 }, false],
  [{ at: 1 }, false],
  [null, false],
  ["a", false],
])("%j is a place: %s", (value, is) => {
  expect(isPlace(value)).toBe(is);
});

test("pages join without gaps or repeats", () => {
  const all = Array.from({ length: 7 }, (_, index) => index);
  const seen: number[] = [];
  let cursor: string | undefined;
  do {
    const { limit, after } = readWindow({ limit: "3", cursor }, isNumber);
    const rows = all.filter((row) => after === undefined || row > after).slice(0, limit + 1);
    const { items, nextCursor } = page(
      rows,
      limit,
      (row) => row,
      (row) => row,
    );
    seen.push(...items);
    cursor = nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toEqual(all);
});

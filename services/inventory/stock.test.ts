import { describe, expect, test } from "bun:test";
import { available, count, evolve, type Level, list, type StockEvent, set, tell } from "./stock.ts";

const level: Level = {
  sku: "85123A",
  onHand: 10,
  reserved: 4,
  version: 7,
  madeAt: 1_000,
  countedAt: 2_000,
  told: null,
  sold: 9,
  restocked: 2,
  writtenOff: 1,
};
const after = (before: Level | undefined, events: StockEvent[]) =>
  events.reduce<Level | undefined>(evolve, before);

describe("a product comes to the catalog", () => {
  test("a physical one is listed with nothing on hand", () => {
    const events = list(undefined, { sku: "85123A", kind: "physical", at: 1_000 });
    expect(events).toEqual([{ type: "listed", sku: "85123A", at: 1_000 }]);
    expect(after(undefined, events)).toEqual({
      ...level,
      onHand: 0,
      reserved: 0,
      version: 1,
      countedAt: null,
      sold: 0,
      restocked: 0,
      writtenOff: 0,
    });
  });

  test("a service needs no stock", () => {
    expect(list(undefined, { sku: "POSTAGE", kind: "service", at: 1_000 })).toEqual([]);
  });

  test("one that is there already keeps its stock", () => {
    expect(list(level, { sku: "85123A", kind: "physical", at: 9_000 })).toEqual([]);
  });
});

describe("staff sets what is on hand", () => {
  test("what is available follows", () => {
    const changed = after(level, set(level, 25) as StockEvent[]);
    expect(changed).toEqual({ ...level, onHand: 25, version: 8 });
    expect(available(changed)).toBe(21);
  });

  test("exactly what is reserved is enough", () => {
    expect(after(level, set(level, 4) as StockEvent[])).toMatchObject({ onHand: 4 });
  });

  test("less than what is reserved is refused", () => {
    expect(set(level, 3)).toEqual({
      rejected: "below-reserved",
      detail: "4 of 85123A are reserved for orders: onHand cannot be less",
      errors: [{ pointer: "/onHand", detail: "at least 4" }],
    });
  });

  test("the same again changes nothing", () => {
    expect(set(level, 10)).toEqual([]);
  });
});

describe("an import counts", () => {
  const counted = { sku: "85123A", countedAt: 3_000, at: 3_001 };

  test("onHand becomes what was counted", () => {
    const events = count(level, { ...counted, onHand: 30 });
    expect(after(level, events)).toEqual({ ...level, onHand: 30, version: 8, countedAt: 3_000 });
  });

  test("a count before the product itself makes its level", () => {
    const events = count(undefined, { ...counted, onHand: 30 });
    expect(after(undefined, events)).toMatchObject({ onHand: 30, reserved: 0, version: 2, countedAt: 3_000 });
  });

  test("less than what is reserved goes down to that, and says so", () => {
    expect(count(level, { ...counted, onHand: 1 })).toEqual([
      { type: "adjusted", sku: "85123A", onHand: 4, countedAt: 3_000, counted: 1 },
    ]);
    expect(count(undefined, { ...counted, onHand: -5 })).toContainEqual({
      type: "adjusted",
      sku: "85123A",
      onHand: 0,
      countedAt: 3_000,
      counted: -5,
    });
  });

  test("an older count that comes late changes nothing", () => {
    expect(count(level, { ...counted, onHand: 30, countedAt: 1_999 })).toEqual([]);
  });
});

test("an adjustment of nothing is a mistake", () => {
  expect(() => evolve(undefined, { type: "adjusted", sku: "85123A", onHand: 1 })).toThrow(
    "before it was listed",
  );
});

describe("the others hear how few there are", () => {
  const left = (onHand: number, told: number | null): Level => ({ ...level, onHand, reserved: 0, told });

  test.each([
    [11, null, []],
    [10, null, [{ type: "told", sku: "85123A", few: 10 }]],
    [10, 10, []],
    [9, 10, [{ type: "told", sku: "85123A", few: 9 }]],
    [0, 3, [{ type: "told", sku: "85123A", few: 0 }]],
    [11, 0, [{ type: "told", sku: "85123A", few: null }]],
  ] as [number, number | null, StockEvent[]][])("%d left, told %p", (onHand, told, expected) => {
    const events = tell(left(onHand, told));
    expect(events).toEqual(expected);
    // Who was told is not told again, and a level is as it was but for that.
    const knowing = after(left(onHand, told), events);
    if (knowing === undefined) throw new Error("a level stays");
    expect(tell(knowing)).toEqual([]);
    expect({ ...knowing, told }).toEqual(left(onHand, told));
  });
});

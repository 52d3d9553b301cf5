import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Cart,
  type CartEvent,
  close,
  evolve,
  type Line,
  merge,
  mostLines,
  mostPieces,
  removeLine,
  setLine,
  take,
} from "./cart.ts";

const at = 1_000;
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const line = (sku: string, quantity: number, amount = 255): Line => ({ sku, quantity, seen: gbp(amount) });
const cart = (lines: Line[] = [], more: Partial<Cart> = {}): Cart => ({
  id: "c-1",
  version: 1,
  lines,
  merged: [],
  ordered: false,
  changedAt: 0,
  ...more,
});
const after = (before: Cart, decided: CartEvent[] | { rejected: string }): Cart => {
  if (!Array.isArray(decided)) throw new Error(decided.rejected);
  return decided.reduce<Cart>(evolve, before);
};

describe("lines", () => {
  test("a product is put in at its price, and changed in its place", () => {
    const one = after(cart(), setLine(cart(), { sku: "A", quantity: 2 }, { price: gbp(255) }, at));
    const two = after(one, setLine(one, { sku: "B", quantity: 1 }, { price: gbp(100) }, at));
    const three = after(two, setLine(two, { sku: "A", quantity: 5 }, { price: gbp(275) }, at));
    expect(three.lines).toEqual([line("A", 5, 275), line("B", 1, 100)]);
    expect(three.version).toBe(4);
    expect(setLine(three, { sku: "A", quantity: 5 }, { price: gbp(275) }, at)).toEqual([]);
  });

  test("is refused: an unknown product, another currency, one line too many, a cart that is ordered", () => {
    const product = { price: gbp(1) };
    expect(setLine(cart(), { sku: "A", quantity: 1 }, undefined, at)).toMatchObject({
      rejected: "unknown-product",
    });
    expect(
      setLine(cart([line("A", 1)]), { sku: "B", quantity: 1 }, { price: { amount: 1, currency: "EUR" } }, at),
    ).toMatchObject({ rejected: "mixed-currencies" });
    const full = cart(Array.from({ length: mostLines }, (_, n) => line(`S${n}`, 1)));
    expect(setLine(full, { sku: "A", quantity: 1 }, product, at)).toMatchObject({ rejected: "cart-full" });
    expect(setLine(full, { sku: "S1", quantity: 2 }, product, at)).toHaveLength(1);
    const ordered = cart([line("A", 1)], { ordered: true, orderId: "o-1" });
    for (const refused of [
      setLine(ordered, { sku: "A", quantity: 2 }, product, at),
      removeLine(ordered, "A", at),
      take(ordered, "o-2", at),
    ])
      expect(refused).toMatchObject({ rejected: "cart-ordered" });
  });

  test("the last line may come back in another currency", () => {
    const eur = { price: { amount: 1, currency: "EUR" } };
    expect(setLine(cart([line("A", 1)]), { sku: "A", quantity: 1 }, eur, at)).toHaveLength(1);
  });

  test("taking out what is not there changes nothing", () => {
    expect(removeLine(cart(), "A", at)).toEqual([]);
    const before = cart([line("A", 1), line("B", 1)]);
    expect(after(before, removeLine(before, "A", at)).lines).toEqual([line("B", 1)]);
  });
});

describe("a guest's cart goes into a user's", () => {
  const lines = fc
    .uniqueArray(
      fc.record({
        sku: fc.constantFrom("A", "B", "C", "D"),
        quantity: fc.integer({ min: 1, max: mostPieces }),
      }),
      {
        selector: ({ sku }) => sku,
      },
    )
    .map((all) => all.map(({ sku, quantity }) => line(sku, quantity)));

  test("nothing is lost, no line is beyond what a line may hold, and twice is once", () => {
    fc.assert(
      fc.property(lines, lines, (own, guests) => {
        const mine = cart(own, { owner: "u-1" });
        const from = cart(guests, { id: "c-2" });
        const once = after(mine, merge(mine, from, at));
        const pieces = (all: Line[], sku: string) => all.find((one) => one.sku === sku)?.quantity ?? 0;
        for (const sku of ["A", "B", "C", "D"])
          expect(pieces(once.lines, sku)).toBe(Math.min(mostPieces, pieces(own, sku) + pieces(guests, sku)));
        expect(merge(once, from, at)).toEqual([]);
      }),
    );
  });

  test("what is in another currency stays behind, and so does what does not fit", () => {
    const mine = cart([line("A", 1)], { owner: "u-1" });
    const euros = cart([{ sku: "E", quantity: 1, seen: { amount: 1, currency: "EUR" } }, line("B", 1)], {
      id: "c-2",
    });
    expect(after(mine, merge(mine, euros, at)).lines.map(({ sku }) => sku)).toEqual(["A", "B"]);
    const full = cart(
      Array.from({ length: mostLines }, (_, n) => line(`S${n}`, 1)),
      { owner: "u-1" },
    );
    const more = cart([line("S0", 2), line("NEW", 1)], { id: "c-2" });
    const merged = after(full, merge(full, more, at));
    expect(merged.lines).toHaveLength(mostLines);
    expect(merged.lines[0]).toEqual(line("S0", 3));
  });

  test("somebody else's is not taken over", () => {
    const from = cart([line("A", 1)], { id: "c-2", owner: "u-2" });
    expect(merge(cart(), from, at)).toMatchObject({ rejected: "not-a-guests-cart" });
  });
});

describe("checkout", () => {
  test("the first one chooses the order, every further one gets the same", () => {
    const before = cart([line("A", 1)]);
    const taken = after(before, take(before, "o-1", at));
    expect(taken.orderId).toBe("o-1");
    expect(take(taken, "o-2", at)).toEqual([]);
    // Until the order is placed, the cart can still be changed.
    expect(removeLine(taken, "A", at)).toHaveLength(1);
    expect(close(taken, "o-2", at)).toEqual([]);
    const ordered = after(taken, close(taken, "o-1", at));
    expect(ordered.ordered).toBe(true);
    expect(close(ordered, "o-1", at)).toEqual([]);
  });

  test("there is nothing to order in an empty cart", () => {
    expect(take(cart(), "o-1", at)).toMatchObject({ rejected: "empty-cart" });
  });
});

test("nothing happens to a cart that is not there", () => {
  expect(() => evolve(undefined, { type: "line-removed", at, sku: "A" })).toThrow("not there");
});

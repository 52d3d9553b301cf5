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
  type Products,
  removeLine,
  setLine,
  setLines,
  take,
} from "./cart.ts";

const at = 1_000;
const gbp = (amount: number) => ({ amount, currency: "GBP" });
/** What is for sale, and for how much. */
const priced = (amounts: Record<string, number>): Products =>
  new Map(Object.entries(amounts).map(([sku, amount]) => [sku, { price: gbp(amount) }]));
const most = Number.MAX_SAFE_INTEGER;
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
    const one = after(cart(), setLine(cart(), { sku: "A", quantity: 2 }, priced({ A: 255 }), at));
    const two = after(one, setLine(one, { sku: "B", quantity: 1 }, priced({ B: 100 }), at));
    const three = after(two, setLine(two, { sku: "A", quantity: 5 }, priced({ A: 275 }), at));
    expect(three.lines).toEqual([line("A", 5, 275), line("B", 1, 100)]);
    expect(three.version).toBe(4);
    expect(setLine(three, { sku: "A", quantity: 5 }, priced({ A: 275 }), at)).toEqual([]);
  });

  test("is refused: an unknown product, another currency, one line too many, a cart that is ordered", () => {
    const products = priced({ A: 1, S1: 1 });
    expect(setLine(cart(), { sku: "A", quantity: 1 }, new Map(), at)).toMatchObject({
      rejected: "unknown-product",
    });
    expect(
      setLine(
        cart([line("A", 1)]),
        { sku: "B", quantity: 1 },
        new Map([["B", { price: { amount: 1, currency: "EUR" } }]]),
        at,
      ),
    ).toMatchObject({ rejected: "mixed-currencies" });
    const full = cart(Array.from({ length: mostLines }, (_, n) => line(`S${n}`, 1)));
    expect(setLine(full, { sku: "A", quantity: 1 }, products, at)).toMatchObject({ rejected: "cart-full" });
    expect(setLine(full, { sku: "S1", quantity: 2 }, products, at)).toHaveLength(1);
    const ordered = cart([line("A", 1)], { ordered: true, orderId: "o-1" });
    for (const refused of [
      setLine(ordered, { sku: "A", quantity: 2 }, products, at),
      removeLine(ordered, "A", at),
      take(ordered, "o-2", at),
    ])
      expect(refused).toMatchObject({ rejected: "cart-ordered" });
  });

  test("is refused: what makes the total more than can be counted exactly, at today's prices", () => {
    const tooLarge = { rejected: "total-too-large" };
    const products = priced({ A: most, B: 1, C: most, D: 2 ** 50 });
    expect(setLine(cart(), { sku: "A", quantity: 1 }, products, at)).toHaveLength(1);
    expect(setLine(cart(), { sku: "A", quantity: 2 }, products, at)).toMatchObject(tooLarge);
    const full = cart([line("A", 1, most)]);
    expect(setLine(full, { sku: "B", quantity: 1 }, products, at)).toMatchObject(tooLarge);
    // A has become dearer since it was seen.
    expect(setLine(cart([line("A", 1)]), { sku: "B", quantity: 1 }, products, at)).toMatchObject(tooLarge);
    expect(setLine(full, { sku: "B", quantity: 1 }, priced({ A: 1, B: 1 }), at)).toHaveLength(1);
    // It is in nobody's way: neither what is for sale no more, nor what has become too dear to be ordered.
    expect(setLine(full, { sku: "B", quantity: 1 }, priced({ B: 1 }), at)).toHaveLength(1);
    expect(setLine(cart([line("A", 2)]), { sku: "B", quantity: 1 }, products, at)).toHaveLength(1);
    const many = ["B", "C", "A"].map((sku) => ({ sku, quantity: 1 }));
    expect(setLines(cart(), many, priced({ A: most, B: 0, C: 1 }), at)).toMatchObject({
      ...tooLarge,
      errors: [{ pointer: "/lines/2/quantity" }],
    });
  });

  test("the last line may come back in another currency", () => {
    const eur = new Map([["A", { price: { amount: 1, currency: "EUR" } }]]);
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
        const once = after(mine, merge(mine, from, new Map(), at));
        const pieces = (all: Line[], sku: string) => all.find((one) => one.sku === sku)?.quantity ?? 0;
        for (const sku of ["A", "B", "C", "D"])
          expect(pieces(once.lines, sku)).toBe(Math.min(mostPieces, pieces(own, sku) + pieces(guests, sku)));
        expect(merge(once, from, new Map(), at)).toEqual([]);
      }),
    );
  });

  test("what is in another currency stays behind, and so does what does not fit", () => {
    const mine = cart([line("A", 1)], { owner: "u-1" });
    const euros = cart([{ sku: "E", quantity: 1, seen: { amount: 1, currency: "EUR" } }, line("B", 1)], {
      id: "c-2",
    });
    expect(after(mine, merge(mine, euros, new Map(), at)).lines.map(({ sku }) => sku)).toEqual(["A", "B"]);
    const full = cart(
      Array.from({ length: mostLines }, (_, n) => line(`S${n}`, 1)),
      { owner: "u-1" },
    );
    const more = cart([line("S0", 2), line("NEW", 1)], { id: "c-2" });
    const merged = after(full, merge(full, more, new Map(), at));
    expect(merged.lines).toHaveLength(mostLines);
    expect(merged.lines[0]).toEqual(line("S0", 3));
  });

  test("what would make the total more than can be counted exactly stays behind", () => {
    const into = (own: Line[], guests: Line[], amounts: Record<string, number>) => {
      const mine = cart(own, { owner: "u-1" });
      return after(mine, merge(mine, cart(guests, { id: "c-2" }), priced(amounts), at)).lines;
    };
    const own = line("A", 2, 100);
    expect(into([own], [line("A", 1), line("B", 1)], { A: Math.floor(most / 2), B: 1 })).toEqual([
      own,
      line("B", 1),
    ]);
    expect(into([own], [line("B", 1), line("C", 1)], { A: 1, B: most, C: most - 2 })).toEqual([
      own,
      line("C", 1),
    ]);
    // For sale no more, and shown at the price that was seen.
    const dear = line("A", 1, most);
    expect(into([dear], [dear], {})).toEqual([dear]);
  });

  test("somebody else's is not taken over", () => {
    const from = cart([line("A", 1)], { id: "c-2", owner: "u-2" });
    expect(merge(cart(), from, new Map(), at)).toMatchObject({ rejected: "not-a-guests-cart" });
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

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { halfEven, spread } from "./half-even.ts";
import { type Priceable, priced } from "./price.ts";
import { type Goods, obstacle, type Promotion } from "./promotion.ts";
import { charge, type ShippingRate } from "./shipping-rate.ts";
import { type TaxRate, taxOn } from "./tax.ts";

const most = 2 ** 53 - 1;
const sum = (all: number[]): number => all.reduce((one, other) => one + other, 0);

const worth = fc.oneof(fc.nat(50), fc.nat(100_000_000));
const classes = [undefined, "standard", "reduced", "zero"];
const line: fc.Arbitrary<Priceable> = fc.record({
  sku: fc.constantFrom("A", "B", "C"),
  category: fc.constantFrom(undefined, "Tea", "Mugs"),
  taxClass: fc.constantFrom(...classes),
  worth,
  byStaff: fc.boolean(),
});
const lines = fc.array(line, { minLength: 1, maxLength: 12 });
const gift = fc.oneof(
  fc.record({ kind: fc.constant("percentage" as const), basisPoints: fc.integer({ min: 1, max: 10_000 }) }),
  fc.record({
    kind: fc.constant("amount" as const),
    amount: fc.record({ amount: fc.nat(1_000_000), currency: fc.constant("GBP") }),
  }),
);
const promotion: fc.Arbitrary<Promotion> = fc
  .tuple(
    gift,
    fc.record({
      id: fc.string({ minLength: 1, maxLength: 4 }),
      name: fc.constant("p"),
      code: fc.constantFrom(undefined, "TEN"),
      on: fc.record({
        skus: fc.constantFrom<string[] | undefined>(undefined, ["A"], ["A", "B"]),
        category: fc.constantFrom(undefined, "Tea"),
      }),
      active: fc.constant(true),
    }),
  )
  .map(([one, rest]) => ({ ...rest, ...one }));
const promotions = fc.uniqueArray(promotion, { maxLength: 5, selector: ({ id }) => id });
const rate = fc.record({
  country: fc.constant("GB"),
  class: fc.constantFrom("standard", "reduced", "shipping"),
  basisPoints: fc.nat(10_000),
  included: fc.boolean(),
});
const taxes = fc
  .array(rate, { maxLength: 3 })
  .map((rates) => new Map(rates.map((one): [string, TaxRate] => [one.class, one])));
const charges = fc.option(fc.nat(10_000), { nil: undefined });
const runs = { numRuns: 2_000 };

describe("halves go to the even neighbour", () => {
  test.each([
    [1, 1, 2, 0],
    [3, 1, 2, 2],
    [5, 1, 2, 2],
    [7, 1, 3, 2],
    [8, 1, 3, 3],
    [0, 7, 3, 0],
    [most, most, most, most],
    [most, 1, 2, 2 ** 52],
  ])("%d × %d ÷ %d is %d", (a, b, c, result) => {
    expect(halfEven(a, b, c)).toBe(result);
  });

  test("exactly, whatever the size", () => {
    const number = fc.oneof(fc.nat(1_000), fc.nat({ max: most }));
    fc.assert(
      fc.property(number, number, number, (a, b, less) => {
        const c = less + 1;
        fc.pre(b <= c && Number.isSafeInteger(c));
        // Twice the distance from the true quotient is at most the divisor; a tie is even.
        const result = BigInt(halfEven(a, b, c));
        const off = 2n * (BigInt(a) * BigInt(b) - result * BigInt(c));
        const distance = off < 0n ? -off : off;
        expect(distance <= BigInt(c)).toBe(true);
        if (distance === BigInt(c)) expect(result % 2n).toBe(0n);
      }),
      runs,
    );
  });

  test("an amount is spread without a rest, and no part gets more than it is worth", () => {
    fc.assert(
      fc.property(fc.array(worth, { maxLength: 30 }), fc.nat(), (parts, wish) => {
        const amount = Math.min(wish, sum(parts));
        const shares = spread(amount, parts);
        expect(sum(shares)).toBe(amount);
        for (const [index, share] of shares.entries()) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(parts[index] ?? 0);
        }
      }),
      runs,
    );
  });
});

describe("what an order comes to", () => {
  test("is the sum of its parts, each of which is what it says, and none negative", () => {
    fc.assert(
      fc.property(lines, promotions, taxes, charges, (goods, given, rates, shipping) => {
        const order = priced(goods, { promotions: given, taxes: rates, shipping });
        const added = order.lines.map(({ tax }, index) =>
          rates.get(goods[index]?.taxClass ?? "standard")?.included ? 0 : tax,
        );
        expect(order.subtotal).toBe(sum(goods.map((one) => one.worth)));
        expect(order.subtotal - order.discount + sum(added) + order.shipping).toBe(order.total);
        expect(sum(order.lines.map(({ total }) => total)) + order.shipping).toBe(order.total);
        expect(sum(order.lines.map(({ discount }) => discount))).toBe(order.discount);
        expect(sum(order.given.map(({ amount }) => amount))).toBe(order.discount);
        const onShipping = taxOn(shipping ?? 0, rates.get("shipping"));
        expect(order.shipping).toBe((shipping ?? 0) + onShipping.added);
        expect(sum(order.lines.map(({ tax }) => tax)) + onShipping.tax).toBe(order.tax);
        for (const [index, { discount, tax, total }] of order.lines.entries()) {
          const { worth = 0 } = goods[index] ?? {};
          expect(Math.min(discount, tax, total, worth - discount)).toBeGreaterThanOrEqual(0);
          expect(total).toBe(worth - discount + (added[index] ?? 0));
        }
        for (const { amount } of order.given) expect(amount).toBeGreaterThan(0);
      }),
      runs,
    );
  });

  test("does not depend on the order in which promotions are found", () => {
    fc.assert(
      fc.property(lines, promotions, taxes, (goods, some, rates) => {
        const there = priced(goods, { promotions: some, taxes: rates });
        const back = priced(goods, { promotions: some.toReversed(), taxes: rates });
        expect(back).toEqual(there);
      }),
      runs,
    );
  });

  test("is no more with a promotion than without, and less with one that gives more", () => {
    const more = fc.nat(5_000);
    fc.assert(
      fc.property(lines, promotion, more, (goods, one, extra) => {
        const better: Promotion =
          one.kind === "percentage"
            ? { ...one, basisPoints: Math.min(10_000, one.basisPoints + extra) }
            : { ...one, amount: { ...one.amount, amount: one.amount.amount + extra } };
        const without = priced(goods, { promotions: [], taxes: new Map() });
        const before = priced(goods, { promotions: [one], taxes: new Map() });
        const after = priced(goods, { promotions: [better], taxes: new Map() });
        expect(before.total).toBeLessThanOrEqual(without.total);
        expect(after.total).toBeLessThanOrEqual(before.total);
      }),
      runs,
    );
  });

  test("grows with what is bought, and with a rate that is added", () => {
    fc.assert(
      fc.property(worth, fc.nat(1_000), rate, fc.nat(1_000), (amount, more, one, extra) => {
        const due = (of: number, basisPoints: number): number => {
          const { tax, added } = taxOn(of, { ...one, basisPoints });
          expect(tax).toBeLessThanOrEqual(of);
          return of + added;
        };
        const { basisPoints } = one;
        expect(due(amount + more, basisPoints)).toBeGreaterThanOrEqual(due(amount, basisPoints));
        const dearer = Math.min(10_000, basisPoints + extra);
        expect(due(amount, dearer)).toBeGreaterThanOrEqual(due(amount, basisPoints));
      }),
      runs,
    );
  });

  test("leaves a line whose price staff has named to codes alone", () => {
    fc.assert(
      fc.property(lines, promotions, (goods, some) => {
        const automatic = some.map((one): Promotion => ({ ...one, code: undefined }));
        const order = priced(goods, { promotions: automatic, taxes: new Map() });
        for (const [index, { byStaff }] of goods.entries())
          if (byStaff) expect(order.lines[index]?.discount).toBe(0);
      }),
      runs,
    );
  });
});

const goods = (over: Partial<Priceable> = {}): Priceable => ({
  sku: "A",
  worth: 1_000,
  byStaff: false,
  ...over,
});
const tenPercent: Promotion = {
  id: "1",
  name: "Ten",
  kind: "percentage",
  basisPoints: 1_000,
  on: {},
  active: true,
};
const gb = (name: string, basisPoints: number, included: boolean): [string, TaxRate] => [
  name,
  { country: "GB", class: name, basisPoints, included },
];

describe("by example", () => {
  test("the tax that is in a price is found in what is left of it, the other is added to that", () => {
    const taxes = new Map([gb("standard", 2_000, true), gb("reduced", 500, false)]);
    const order = priced([goods(), goods({ taxClass: "reduced" }), goods({ taxClass: "zero" })], {
      promotions: [tenPercent],
      taxes,
    });
    expect(order.lines).toEqual([
      { discount: 100, tax: 150, total: 900 },
      { discount: 100, tax: 45, total: 945 },
      { discount: 100, tax: 0, total: 900 },
    ]);
    expect(order).toMatchObject({ subtotal: 3_000, discount: 300, tax: 195, shipping: 0, total: 2_745 });
  });

  test("shipping is taxed by its own class", () => {
    const terms = { promotions: [], shipping: 499 };
    const included = priced([goods()], { ...terms, taxes: new Map([gb("shipping", 2_000, true)]) });
    expect(included).toMatchObject({ shipping: 499, tax: 83, total: 1_499 });
    const added = priced([goods()], { ...terms, taxes: new Map([gb("shipping", 2_000, false)]) });
    expect(added).toMatchObject({ shipping: 599, tax: 100, total: 1_599 });
  });

  test("percentages come before amounts, and nothing is given that is not there", () => {
    const five: Promotion = {
      ...tenPercent,
      id: "0",
      kind: "amount",
      amount: { amount: 500, currency: "GBP" },
    };
    const both = priced([goods()], { promotions: [five, tenPercent], taxes: new Map() });
    expect(both.given.map(({ promotion, amount }) => [promotion.id, amount])).toEqual([
      ["1", 100],
      ["0", 500],
    ]);
    const little = priced([goods({ worth: 300 })], { promotions: [five], taxes: new Map() });
    expect(little).toMatchObject({ discount: 300, total: 0 });
  });

  test("an amount is spread over what it is for", () => {
    const ten: Promotion = { ...tenPercent, kind: "amount", amount: { amount: 10, currency: "GBP" } };
    const three = [goods({ worth: 1 }), goods({ worth: 1 }), goods({ sku: "B", worth: 100 })];
    const order = priced(three, { promotions: [{ ...ten, on: { skus: ["A"] } }], taxes: new Map() });
    expect(order.lines.map(({ discount }) => discount)).toEqual([1, 1, 0]);
  });
});

describe("what is in the way of a promotion", () => {
  const order = { goods: [goods({ category: "Tea" }) as Goods], currency: "GBP", at: 100, uses: undefined };
  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  const five: Promotion = { ...tenPercent, kind: "amount", amount: gbp(500) };
  test.each<[string, Promotion, object, string | undefined]>([
    ["nothing", tenPercent, {}, undefined],
    ["that it is switched off", { ...tenPercent, active: false }, {}, "does not hold"],
    ["its beginning", { ...tenPercent, from: 101 }, {}, "does not hold"],
    ["nothing from its beginning on", { ...tenPercent, from: 100 }, {}, undefined],
    ["its end", { ...tenPercent, until: 100 }, {}, "has expired"],
    ["nothing before its end", { ...tenPercent, until: 101 }, {}, undefined],
    ["its limit", { ...tenPercent, limit: 5 }, { uses: { all: 5, byCustomer: 0 } }, "is used up"],
    ["nothing below its limit", { ...tenPercent, limit: 5 }, { uses: { all: 4, byCustomer: 4 } }, undefined],
    [
      "the customer's limit",
      { ...tenPercent, limitPerCustomer: 1 },
      { uses: { all: 1, byCustomer: 1 } },
      "as often as one customer may",
    ],
    ["another product", { ...tenPercent, on: { skus: ["B"] } }, {}, "nothing in this order"],
    [
      "another category",
      { ...tenPercent, on: { skus: ["A"], category: "Mugs" } },
      {},
      "nothing in this order",
    ],
    ["nothing in its category", { ...tenPercent, on: { category: "Tea" } }, {}, undefined],
    ["staff's price", tenPercent, { goods: [goods({ byStaff: true })] }, "nothing in this order"],
    [
      "no price of staff's, with a code",
      { ...tenPercent, code: "X" },
      { goods: [goods({ byStaff: true })] },
      undefined,
    ],
    ["the minimum", { ...tenPercent, on: { minimum: gbp(1_001) } }, {}, "needs goods worth 1001 GBP"],
    ["nothing at the minimum", { ...tenPercent, on: { minimum: gbp(1_000) } }, {}, undefined],
    [
      "a minimum in other money",
      { ...tenPercent, on: { minimum: gbp(1) } },
      { currency: "EUR" },
      "orders in GBP",
    ],
    ["other money", five, { currency: "EUR" }, "orders in GBP"],
  ])("%s", (_, promotion, over, expected) => {
    const found = obstacle(promotion, { ...order, ...over });
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(expected);
  });
});

describe("shipping costs", () => {
  const step = (
    amount: number,
    upToGrams: number | null,
    over: Partial<ShippingRate> = {},
  ): ShippingRate => ({
    country: "GB",
    method: "post",
    currency: "GBP",
    upToGrams,
    amount,
    ...over,
  });
  const rates = [
    step(900, null),
    step(300, 1_000),
    step(500, 2_000),
    step(1_500, 2_000, { country: "*" }),
    step(100, null, { method: "bike" }),
    step(1_700, null, { country: "*", currency: "EUR" }),
  ];
  const parcel = { country: "GB", method: "post", currency: "GBP", weight: 1_000 };
  test.each<[object, number | undefined]>([
    [{}, 300],
    [{ weight: 0 }, 300],
    [{ weight: 1_001 }, 500],
    [{ weight: 1_000_000 }, 900],
    [{ method: "bike" }, 100],
    [{ country: "DE" }, 1_500],
    [{ country: "DE", weight: 2_001 }, undefined],
    [{ country: "DE", method: "bike" }, undefined],
    [{ currency: "EUR" }, 1_700],
    [{ method: "owl" }, undefined],
  ])("of %j %j", (over, amount) => {
    expect(charge(rates, { ...parcel, ...over })).toBe(amount);
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Entry, evolve, gone, offers, put, type Rate, remove } from "./rate.ts";

const price = (upToGrams: number | null, amount: number, currency = "GBP") => ({
  upToGrams,
  price: { amount, currency },
});
const rate = (country: string, method: string, ...prices: Rate["prices"]): Rate => ({
  country,
  method,
  name: `${method} to ${country}`,
  prices,
});
const standard = rate("GB", "standard", price(2_000, 395), price(10_000, 695), price(null, 1_495));
const abroad = rate("*", "standard", price(2_000, 995), price(null, 2_995));
const express = rate("*", "express", price(2_000, 1_995));
const all = [standard, abroad, express];
const seen = (wanted: Parameters<typeof offers>[1], rates = all) =>
  offers(rates, wanted).map(
    ({ country, method, price: { amount, currency } }) => `${country} ${method} ${amount} ${currency}`,
  );

describe("what is offered", () => {
  test("is the smallest weight that is enough, the limit included", () => {
    expect(seen({ country: "GB", weight: 0 })).toEqual(["* express 1995 GBP", "GB standard 395 GBP"]);
    expect(seen({ country: "GB", weight: 2_000 })).toEqual(["* express 1995 GBP", "GB standard 395 GBP"]);
    expect(seen({ country: "GB", weight: 2_001 })).toEqual(["GB standard 695 GBP"]);
    expect(seen({ country: "GB", weight: 99_999 })).toEqual(["GB standard 1495 GBP"]);
  });

  test("is for anywhere else only where a country has nothing of its own", () => {
    expect(seen({ country: "FR", weight: 100 })).toEqual(["* express 1995 GBP", "* standard 995 GBP"]);
    const light = rate("FR", "standard", price(500, 100));
    // Its own ends at 500 g, and is not filled up with what holds elsewhere.
    expect(seen({ country: "FR", weight: 600 }, [...all, light])).toEqual(["* express 1995 GBP"]);
  });

  test("is by currency: one that a country has no price in is as elsewhere", () => {
    const euros = rate("*", "standard", price(null, 1_200, "EUR"), price(null, 900));
    expect(seen({ country: "GB", weight: 1 }, [standard, euros])).toEqual([
      "* standard 1200 EUR",
      "GB standard 395 GBP",
    ]);
    expect(seen({ country: "GB", weight: 1, currency: "GBP" }, [standard, euros])).toEqual([
      "GB standard 395 GBP",
    ]);
  });

  test("is everything, in order, where nothing is asked", () => {
    expect(seen({})).toHaveLength(6);
    expect(seen({ country: "*" })).toEqual([
      "* express 1995 GBP",
      "* standard 995 GBP",
      "* standard 2995 GBP",
    ]);
  });

  test("is at most one price a method and currency, and none that is too light, whatever the table", () => {
    const grams = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(null));
    const table = fc.array(
      fc.record({
        country: fc.constantFrom("GB", "FR", "*"),
        method: fc.constantFrom("a", "b"),
        name: fc.constant("n"),
        prices: fc.array(
          fc.record({
            upToGrams: grams,
            price: fc.record({ amount: fc.nat(99), currency: fc.constantFrom("GBP", "EUR") }),
          }),
          { minLength: 1 },
        ),
      }),
    );
    fc.assert(
      fc.property(table, fc.nat(60), (rates, weight) => {
        const found = offers(rates, { country: "GB", weight });
        expect(new Set(found.map(({ method, price: p }) => `${method} ${p.currency}`)).size).toBe(
          found.length,
        );
        for (const one of found) {
          expect(one.upToGrams ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(weight);
          // No other price of the same rates is nearer.
          const others = rates
            .filter(({ country, method }) => country === one.country && method === one.method)
            .flatMap(({ prices }) => prices)
            .filter((p) => p.price.currency === one.price.currency)
            .map(({ upToGrams }) => upToGrams ?? Number.POSITIVE_INFINITY)
            .filter((limit) => limit >= weight);
          expect(one.upToGrams ?? Number.POSITIVE_INFINITY).toBe(Math.min(...others));
        }
      }),
    );
  });
});

describe("the table", () => {
  const set: Entry = { status: "set", version: 1, rate: standard };

  test("takes a rate, and the same once more changes nothing, in whatever order", () => {
    expect(put(undefined, standard)).toEqual([{ type: "set", rate: standard }]);
    expect(put(set, { ...standard, prices: standard.prices.toReversed() })).toEqual([]);
    // A database may give the members back in another order.
    const { prices, ...rest } = standard;
    const kept = prices.map(({ upToGrams, price: { amount, currency } }) => ({
      price: { currency, amount },
      upToGrams,
    }));
    expect(put({ ...set, rate: { prices: kept, ...rest } }, standard)).toEqual([]);
    expect(put(set, { ...standard, prices: [...prices.slice(0, 2), price(null, 1_496)] })).toHaveLength(1);
    expect(put(set, { ...standard, prices: prices.slice(0, 2) })).toHaveLength(1);
    expect(put(set, { ...standard, name: "Slow" })).toMatchObject([{ type: "set", rate: { name: "Slow" } }]);
  });

  test("has one price for a weight in a currency", () => {
    const twice = rate(
      "GB",
      "standard",
      price(5, 1),
      price(5, 1, "EUR"),
      price(5, 2),
      price(null, 1),
      price(null, 1),
    );
    expect(put(undefined, twice)).toMatchObject({
      rejected: "ambiguous-price",
      errors: [{ pointer: "/prices/2" }, { pointer: "/prices/4" }],
    });
  });

  test("remembers the version of what was removed", () => {
    const removed = evolve(set, { type: "removed", country: "GB", method: "standard" });
    expect(removed).toEqual({ status: "removed", version: 2, country: "GB", method: "standard" });
    expect(remove(removed)).toMatchObject({ rejected: "not-found" });
    expect(remove(undefined)).toMatchObject({ rejected: "not-found" });
    expect(evolve(removed, { type: "set", rate: standard })).toMatchObject({ version: 3 });
  });

  test("knows which prices a copy has to forget", () => {
    const less: Entry = { status: "set", version: 2, rate: rate("GB", "standard", price(2_000, 1)) };
    expect(gone(set, less)).toEqual([price(10_000, 695), price(null, 1_495)]);
    expect(gone(set, { status: "removed", version: 2, country: "GB", method: "standard" })).toHaveLength(3);
    expect(gone(undefined, set)).toEqual([]);
  });
});

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { countryCode } from "./countries.ts";
import { parseDecimal, toMinor } from "./decimal.ts";
import { plan } from "./plan.ts";
import { type Row, readRetail } from "./read.ts";

const row = (over: Partial<Row>): Row => ({
  line: 2,
  invoice: "536365",
  sku: "85123A",
  description: "HOLDER",
  quantity: "6",
  price: "2.55",
  customer: "17850",
  country: "United Kingdom",
  date: "1/12/2010",
  ...over,
});

describe("decimals", () => {
  test("are exact, also where floating point is not", () => {
    expect(parseDecimal("2.55")).toBe(2_550_000n);
    expect(parseDecimal("0,85")).toBe(850_000n);
    expect(parseDecimal("1,234.5")).toBe(1_234_500_000n);
    expect(parseDecimal("-11062.06")).toBe(-11_062_060_000n);
    expect(parseDecimal("2.5.5")).toBeUndefined();
    expect(parseDecimal("")).toBeUndefined();
  });

  test("round half to even", () => {
    expect(toMinor(125_000n)).toBe(12);
    expect(toMinor(135_000n)).toBe(14);
    expect(toMinor(135_001n)).toBe(14);
  });
});

describe("a plan", () => {
  test("keeps several lines of one product, at their prices", () => {
    const { orders, products } = plan([row({}), row({ price: "2.10", quantity: "4" })]);
    expect(orders).toHaveLength(1);
    expect(orders[0]?.lines.map((line) => [line.quantity, line.unitPrice.amount])).toEqual([
      [6, 255],
      [4, 210],
    ]);
    expect(orders[0]?.total).toBe(2370);
    expect(products[0]?.onHand).toBe(10);
  });

  test("spreads a price of fractions of a penny so that the total is exact", () => {
    const { orders } = plan([row({ quantity: "3", price: "0.335" })]);
    const lines = orders[0]?.lines ?? [];
    expect(orders[0]?.total).toBe(100);
    expect(lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0)).toBe(100);
    expect(lines.reduce((sum, line) => sum + line.quantity, 0)).toBe(3);
  });

  test.each([
    [{ invoice: "C536379" }, "no return: the quantity is not negative"],
    [{ quantity: "-1" }, "no sale: the quantity is not positive"],
    [{ price: "0", description: "" }, "stock correction: no price and no description"],
    [{ price: "-5" }, "adjustment: the price is negative"],
    [{ quantity: "1.5" }, 'the quantity is not a whole number: "1.5"'],
    [{ price: "n/a" }, 'the price is not a number: "n/a"'],
    [{ sku: "" }, "no stock code"],
  ])("skips %j and says why", (over, reason) => {
    const { orders, skipped } = plan([row(over)]);
    expect(orders).toEqual([]);
    expect(skipped.map((line) => line.reason)).toEqual([reason]);
  });

  test("makes postage a service, without stock", () => {
    expect(plan([row({ sku: "POST" })]).products[0]).toMatchObject({ kind: "service" });
    expect(plan([row({ sku: "POST" })]).products[0]).not.toHaveProperty("onHand");
  });

  test("splits an invoice of more than 1,000 lines", () => {
    const rows = Array.from({ length: 1114 }, (_, index) => row({ sku: `S${index}` }));
    const { orders } = plan(rows);
    expect(orders.map((order) => order.lines.length)).toEqual([1000, 114]);
    expect(orders.reduce((sum, order) => sum + order.total, 0)).toBe(1114 * 1530);
  });
});

test("the sample is read whole, and its money adds up", async () => {
  const rows = await readRetail(
    join(import.meta.dir, "../../../../tests/data/online-retail-first-150-invoices.csv"),
  );
  expect(rows).toHaveLength(3155);
  const { orders, returns, unmatched, skipped } = plan(rows);
  const lines = orders.flatMap((order) => order.lines);
  expect(lines.length + returns.length + unmatched.length + skipped.length).toBe(3155);
  expect(orders.reduce((sum, order) => sum + order.total, 0)).toBe(
    lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0),
  );
  // All others bring back what they bought before the file begins.
  expect(returns.map(({ reference, order, lines }) => [reference, order.reference, lines])).toEqual([
    ["C536506", "536488", [{ sku: "22960", quantity: 6, unitPrice: { amount: 425, currency: "GBP" } }]],
  ]);
  expect(unmatched).toHaveLength(25);
});

test("countries of the data set have codes", () => {
  expect(["United Kingdom", "EIRE", "Norway", "USA", "RSA", "Unspecified"].map(countryCode)).toEqual([
    "GB",
    "IE",
    "NO",
    "US",
    "ZA",
    "ZZ",
  ]);
});

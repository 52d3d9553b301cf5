import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Plan, plan } from "./plan.ts";
import type { Row } from "./read.ts";

/** Lines of a file, each `invoice sku quantity price customer`; `-` for no customer. */
const file = (...lines: string[]): Row[] =>
  lines.map((text, index) => {
    const [invoice = "", sku = "", quantity = "", price = "", customer = "7"] = text.split(" ");
    return {
      line: index + 2,
      invoice,
      sku,
      description: "THING",
      quantity,
      price,
      customer: customer === "-" ? "" : customer,
      country: "France",
      date: "",
    };
  });

const returned = ({ returns }: Plan) =>
  returns.map(
    ({ reference, order, lines }) =>
      `${reference} of ${order.reference}: ${lines.map(({ sku, quantity, unitPrice }) => `${quantity} ${sku} at ${unitPrice.amount}`).join(", ")}`,
  );
const unmatched = (found: Plan) =>
  found.unmatched.map(({ invoice, sku, quantity, reason }) => `${invoice}: ${quantity} ${sku}: ${reason}`);

describe("a line of a C-invoice", () => {
  test.each([
    ["is a return of the order before", ["1 A 6 2.55", "C2 A -6 2.55"], ["C2 of 1: 6 A at 255"], []],
    ["may be of some pieces", ["1 A 6 2.55", "C2 A -2 2.55"], ["C2 of 1: 2 A at 255"], []],
    [
      "is of the newest of several",
      ["1 A 6 2.55", "2 A 6 2.55", "C3 A -6 2.55"],
      ["C3 of 2: 6 A at 255"],
      [],
    ],
    [
      "is of the newest that still holds the quantity",
      ["1 A 6 2.55", "2 A 6 2.55", "C3 A -2 2.55", "C4 A -5 2.55", "C5 A -4 2.55"],
      ["C3 of 2: 2 A at 255", "C4 of 1: 5 A at 255", "C5 of 2: 4 A at 255"],
      [],
    ],
    [
      "is of several, the newest first, when none holds the quantity",
      ["1 A 6 2.55", "2 A 3 2.55", "C3 A -7 2.55"],
      ["C3 of 2: 3 A at 255", "C3 of 1: 4 A at 255"],
      [],
    ],
    [
      "takes several lines of one order together",
      ["1 A 6 2.55", "1 A 3 2.55", "2 A 8 2.55", "C3 A -9 2.55"],
      ["C3 of 1: 9 A at 255"],
      [],
    ],
    [
      "joins the others of its invoice",
      ["1 A 6 2.55", "1 B 1 1.00", "C2 A -1 2.55", "C2 B -1 1.00", "C2 A -2 2.55"],
      ["C2 of 1: 3 A at 255, 1 B at 100"],
      [],
    ],
    [
      "is of the price that was paid",
      ["1 A 6 2.55", "2 A 6 2.10", "C3 A -6 2.55", "C4 A -1 1.99"],
      ["C3 of 1: 6 A at 255"],
      ["C4: 1 A: this customer bought it at other prices only"],
    ],
    [
      "may be postage, or cost nothing",
      ["1 POST 2 18.00", "1 A 3 0", "C2 POST -1 18.00", "C2 A -3 0"],
      ["C2 of 1: 1 POST at 1800, 3 A at 0"],
      [],
    ],
    [
      "is not of somebody else's order",
      ["1 A 6 2.55 8", "C2 A -6 2.55"],
      [],
      ["C2: 6 A: this customer bought none"],
    ],
    [
      "is nobody's without a customer",
      ["1 A 6 2.55 -", "C2 A -6 2.55 -"],
      [],
      ["C2: 6 A: the file does not say who brought it back"],
    ],
    [
      "is not of an order after it",
      ["C1 A -6 2.55", "2 A 6 2.55"],
      [],
      ["C1: 6 A: it came back before it was bought"],
    ],
    [
      "returns what there is",
      ["1 A 6 2.55", "C2 A -8 2.55", "C3 A -1 2.55"],
      ["C2 of 1: 6 A at 255"],
      ["C2: 2 A: more came back than was bought", "C3: 1 A: more came back than was bought"],
    ],
    ["may be a discount", ["1 A 6 2.55", "C2 D -1 27.5"], [], ["C2: 1 D: a discount: nothing came back"]],
    [
      "gives back for fractions of a penny what was paid, in all",
      ["1 A 3 0.335", "C2 A -1 0.335", "C3 A -1 0.335", "C4 A -1 0.335"],
      ["C2 of 1: 1 A at 34", "C3 of 1: 1 A at 33", "C4 of 1: 1 A at 33"],
      [],
    ],
  ])("%s", (_, lines, expected, left) => {
    const found = plan(file(...lines));
    expect(returned(found)).toEqual(expected);
    expect(unmatched(found)).toEqual(left);
    expect(found.skipped).toEqual([]);
  });

  test("goes by the dates, however the file is sorted", () => {
    const rows = file("C3 A -2 2.55", "2 A 2 2.55", "1 A 2 2.55");
    const dates = ["3/12/2010 9:00", "2/12/2010 9:00", "2/12/2010 10:00"];
    expect(returned(plan(rows.map((row, index) => ({ ...row, date: dates[index] ?? "" }))))).toEqual([
      "C3 of 1: 2 A at 255",
    ]);
  });

  test("of more pieces than a line takes is several returns", () => {
    const found = plan(file("1 A 80000 1", "1 A 80000 1", "C2 A -80000 1", "C2 A -80000 1"));
    expect(returned(found)).toEqual(["C2 of 1: 80000 A at 100", "C2 of 1: 80000 A at 100"]);
  });

  test("comes back of the part of a large invoice that holds it", () => {
    const many = Array.from({ length: 1_001 }, (_, index) => `1 S${index} 1 1.00`);
    const { orders, returns } = plan(file(...many, "C2 S3 -1 1.00", "C2 S1000 -1 1.00"));
    expect(returns.map(({ order }) => orders.indexOf(order))).toEqual([0, 1]);
  });
});

const cell = <T>(values: T[], odd: T[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...values) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  );
const messy = fc
  .array(
    fc.record({
      invoice: cell(["1", "2", "3", "4", "5", "6", "C7", "C8", "C9", "c10"], ["", "C", "A563185"]),
      sku: cell(["A", "B", "a", "POST"], ["", "D", "x".repeat(65)]),
      description: cell(["THING"], [""]),
      quantity: fc.oneof(
        { weight: 12, arbitrary: fc.integer({ min: -12, max: 12 }).map(String) },
        { weight: 1, arbitrary: fc.constantFrom("", "1.5", "many", "-100001", "100000", "1e3") },
      ),
      price: cell(["2.55", "0.335", "0", "0.125", "1,10"], ["", "-1", "n/a"]),
      customer: cell(["1", "2", "X"], [""]),
      country: cell(["France", "EIRE"], ["", "Atlantis"]),
      date: cell(["", "1/12/2010", "2/12/2010 9:00", "1/12/2010 10:00"], ["yesterday", "31/12/2010"]),
    }),
    { maxLength: 60 },
  )
  .map((rows): Row[] =>
    rows.map((row, index) => ({
      ...row,
      line: index + 2,
      // As in the published files, most of the time: what comes back is negative.
      quantity:
        /^c/i.test(row.invoice) && index % 11 > 0 ? row.quantity.replace(/^(?=[1-9])/, "-") : row.quantity,
    })),
  );

describe("whatever a file holds", () => {
  const always = (holds: (found: Plan, rows: Row[]) => void) =>
    fc.assert(
      fc.property(messy, (rows) => holds(plan(rows), rows)),
      { numRuns: 2_000 },
    );

  test("each line is sold, returned, unmatched or skipped, with all of its pieces", () => {
    always(({ orders, returns, unmatched, skipped }, rows) => {
      const left = new Set(skipped.map(({ line }) => line));
      const read = rows.filter(({ line }) => !left.has(line));
      const pieces = (some: Row[]) => some.reduce((sum, { quantity }) => sum + Math.abs(Number(quantity)), 0);
      const [back, sold] = [
        read.filter(({ invoice }) => /^c/i.test(invoice)),
        read.filter(({ invoice }) => !/^c/i.test(invoice)),
      ];
      const count = (some: { lines: { quantity: number }[] }[]) =>
        some.flatMap(({ lines }) => lines).reduce((sum, { quantity }) => sum + quantity, 0);
      expect(count(orders)).toBe(pieces(sold));
      expect(count(returns) + unmatched.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(pieces(back));
    });
  });

  test("no order gives back more than it sold, nor more money", () => {
    always(({ orders, returns }) => {
      for (const order of orders) {
        const mine = returns.filter((one) => one.order === order);
        const left = new Map<string, number>();
        const move = (lines: Plan["orders"][number]["lines"], sign: number) => {
          for (const { sku, quantity, unitPrice } of lines) {
            const what = `${sku} ${unitPrice.amount}`;
            left.set(what, (left.get(what) ?? 0) + sign * quantity);
          }
        };
        move(order.lines, 1);
        for (const { lines } of mine) move(lines, -1);
        expect([...left.values()].every((quantity) => quantity >= 0)).toBe(true);
        expect(mine.reduce((sum, { total }) => sum + total, 0)).toBeLessThanOrEqual(order.total);
      }
    });
  });

  test("nothing is left unmatched that its customer still had", () => {
    always((_, dated) => {
      const rows = dated.map((row) => ({ ...row, date: "" }));
      const { orders, unmatched, skipped } = plan(rows);
      // Piece by piece, with no thought of orders.
      const has = new Map<string, number>();
      let missing = 0;
      for (const { line, invoice, sku, quantity, price, customer } of rows) {
        if (skipped.some((one) => one.line === line)) continue;
        const buyer = orders.find(({ reference }) => reference === invoice)?.customer.email;
        const what = `${buyer ?? `customer-${customer.toLowerCase()}@retail.example`} ${sku} ${price}`;
        const [pieces, held] = [Math.abs(Number(quantity)), has.get(what) ?? 0];
        if (buyer !== undefined) has.set(what, held + pieces);
        else {
          has.set(what, Math.max(0, held - pieces));
          missing += Math.max(0, pieces - held);
        }
      }
      expect(unmatched.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(missing);
    });
  });
});

import { describe, expect, test } from "bun:test";
import { decider } from "chassis/testing";
import fc from "fast-check";
import { cancel } from "./cancel.ts";
import { advance, type Heard } from "./checkout.ts";
import { evolve, type Order, type OrderEvent, place, shown } from "./order.ts";

const at = 1_000;
const total = { amount: 1530, currency: "GBP" };
const facts = {
  id: "o-1",
  reference: null,
  owner: "ada",
  keyDigest: null,
  personal: "sealed",
  country: "GB",
  payment: { method: "test", token: "tok_ok" },
};
const product = { name: "Holder", price: { amount: 255, currency: "GBP" }, kind: "physical" as const };
const line = {
  sku: "85123A",
  quantity: 6,
  name: "Holder",
  kind: "physical" as const,
  unitPrice: product.price,
};

const placed: OrderEvent = { type: "placed", at, order: { ...facts, lines: [line], total } };
const free: OrderEvent = {
  type: "placed",
  at,
  order: { ...facts, lines: [], total: { amount: 0, currency: "GBP" } },
};
const reserved: OrderEvent = { type: "reserved", at };
const confirmed: OrderEvent = { type: "confirmed", at };
const declined: OrderEvent = {
  type: "aborting",
  at,
  held: { stock: true, money: false },
  ending: { outcome: "rejected", reason: "payment-declined" },
};
const cancelling: OrderEvent = {
  type: "aborting",
  at,
  held: { stock: true, money: true },
  ending: { outcome: "cancelled" },
};
const givenBack = (what: "stock" | "money"): OrderEvent => ({ type: "given-back", at, what });

const given = decider<Order, OrderEvent, Heard | "cancel">(evolve, (order, command) => {
  if (order === undefined) return { rejected: "none", detail: "" };
  return command === "cancel" ? cancel(order, { at }) : advance(order, command, at);
});

describe("place", () => {
  const ask = { ...facts, at };

  test("takes the catalog's price, or the one named", () => {
    const events = place({
      ...ask,
      lines: [
        { sku: "85123A", quantity: 6, product },
        { sku: "85123A", quantity: 1, product, unitPrice: { amount: 100, currency: "GBP" } },
      ],
    });
    expect(events).toMatchObject([{ type: "placed", order: { total: { amount: 1630 } } }]);
  });

  test.each([
    ["unknown-product", [{ sku: "NO", quantity: 1 }]],
    [
      "mixed-currencies",
      [
        { sku: "A", quantity: 1, product },
        { sku: "B", quantity: 1, product, unitPrice: { amount: 1, currency: "EUR" } },
      ],
    ],
    [
      "total-too-large",
      [{ sku: "A", quantity: 100_000, product, unitPrice: { amount: 2 ** 50, currency: "GBP" } }],
    ],
  ])("refuses: %s", (code, lines) => {
    expect(place({ ...ask, lines })).toMatchObject({ rejected: code });
  });
});

describe("the checkout saga", () => {
  test("placed", () => {
    given(placed).when({ type: "stock-reserved" }).then(reserved);
    given(placed).when({ type: "stock-refused" }).then({ type: "rejected", at, reason: "out-of-stock" });
    given(placed)
      .when({ type: "deadline" })
      .then({
        type: "aborting",
        at,
        held: { stock: true, money: false },
        ending: { outcome: "rejected", reason: "timed-out" },
      });
    given(placed).when({ type: "payment-captured" }).thenNothingHappened();
  });

  test("an order that costs nothing needs no payment", () => {
    given(free).when({ type: "stock-reserved" }).then(reserved, confirmed);
  });

  test("reserved", () => {
    given(placed, reserved).when({ type: "payment-captured" }).then(confirmed);
    given(placed, reserved).when({ type: "payment-declined" }).then(declined);
    given(placed, reserved)
      .when({ type: "payment-timed-out" })
      .then({
        type: "aborting",
        at,
        held: { stock: true, money: false },
        ending: { outcome: "rejected", reason: "timed-out" },
      });
    given(placed, reserved).when({ type: "stock-reserved" }).thenNothingHappened();
  });

  test("aborting ends when nothing is held any more", () => {
    given(placed, reserved, cancelling).when({ type: "stock-released" }).then(givenBack("stock"));
    given(placed, reserved, cancelling).when({ type: "money-given-back", held: 0 }).then(givenBack("money"));
    given(placed, reserved, cancelling, givenBack("stock"))
      .when({ type: "money-given-back", held: 0 })
      .then(givenBack("money"), { type: "cancelled", at });
    given(placed, reserved, cancelling, givenBack("stock"))
      .when({ type: "stock-released" })
      .thenNothingHappened();
    given(placed, reserved, declined)
      .when({ type: "stock-released" })
      .then(givenBack("stock"), { type: "rejected", at, reason: "payment-declined" });
    given(placed, reserved, declined).when({ type: "payment-captured" }).thenNothingHappened();
  });
});

describe("cancel", () => {
  test("gives back what may be held", () => {
    given(placed)
      .when("cancel")
      .then({ ...cancelling, held: { stock: true, money: false } });
    given(placed, reserved, confirmed).when("cancel").then(cancelling);
  });

  test("twice is once; of a rejected order it is refused", () => {
    given(placed, reserved, cancelling).when("cancel").thenNothingHappened();
    given(placed, { type: "rejected", at, reason: "out-of-stock" })
      .when("cancel")
      .thenRejected("not-cancellable");
    given(placed, reserved, declined).when("cancel").thenRejected("not-cancellable");
  });
});

test("whatever is heard in whatever order: a final state is final, and none shows while something is held", () => {
  const heard = fc.constantFrom<Heard | "cancel">(
    { type: "stock-reserved" },
    { type: "stock-refused" },
    { type: "stock-released" },
    { type: "payment-declined" },
    { type: "payment-timed-out" },
    { type: "payment-captured" },
    { type: "money-given-back", held: 0 },
    { type: "deadline" },
    "cancel",
  );
  fc.assert(
    fc.property(fc.array(heard, { maxLength: 30 }), (sequence) => {
      let order = evolve(undefined, placed);
      for (const one of sequence) {
        const before = order;
        const decided = one === "cancel" ? cancel(order, { at }) : advance(order, one, at);
        if (Array.isArray(decided)) order = decided.reduce<Order>(evolve, order);
        const wasFinal = before.status === "rejected" || before.status === "cancelled";
        if (wasFinal) expect(order).toEqual(before);
        if (order.status === "aborting") expect(["rejected", "cancelled"]).not.toContain(shown(order));
        if (before.status === "aborting" && order.status !== "aborting") {
          const left = Object.values(before.held).filter(Boolean).length;
          expect(left).toBe(1);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

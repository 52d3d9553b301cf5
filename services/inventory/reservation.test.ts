import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decideRelease,
  decideReserve,
  evolve,
  physical,
  type Quantity,
  type Reservation,
  type ReservationEvent,
  type Wanted,
} from "./reservation.ts";
import { available, type Level } from "./stock.ts";

const now = 1_000_000;

const level = (sku: string, onHand: number, reserved = 0): Level => ({
  sku,
  onHand,
  reserved,
  version: 5,
  madeAt: 0,
  countedAt: 0,
  told: null,
});
const given = (...levels: Level[]) => new Map(levels.map((each) => [each.sku, each]));
const line = (sku: string, quantity: number, kind: "physical" | "service" = "physical") => ({
  sku,
  quantity,
  kind,
});
const order = (...lines: Wanted["lines"]): Wanted => ({ orderId: "o-1", lines });
const reservation = (status: Reservation["status"], ...lines: Quantity[]): Reservation => ({
  orderId: "o-1",
  status,
  lines,
});

describe("an order comes", () => {
  test("what is available is reserved", () => {
    expect(decideReserve(undefined, given(level("A", 10, 4)), order(line("A", 6)), now)).toEqual([
      { type: "reserved", orderId: "o-1", lines: [{ sku: "A", quantity: 6 }] },
    ]);
  });

  test("several lines of one product are one reservation", () => {
    const lines = order(line("B", 2), line("A", 1), line("B", 3));
    expect(decideReserve(undefined, given(level("A", 1), level("B", 5)), lines, now)).toEqual([
      {
        type: "reserved",
        orderId: "o-1",
        lines: [
          { sku: "A", quantity: 1 },
          { sku: "B", quantity: 5 },
        ],
      },
    ]);
    expect(decideReserve(undefined, given(level("A", 1), level("B", 4)), lines, now)).toEqual([
      { type: "refused", orderId: "o-1", skus: ["B"] },
    ]);
  });

  test("all or nothing: one line too many refuses the order and names the products", () => {
    const levels = given(level("A", 10), level("B", 2, 1), level("C", 0));
    expect(decideReserve(undefined, levels, order(line("C", 1), line("A", 1), line("B", 2)), now)).toEqual([
      { type: "refused", orderId: "o-1", skus: ["B", "C"] },
    ]);
  });

  test("services need no stock", () => {
    expect(decideReserve(undefined, given(), order(line("POST", 1, "service")), now)).toEqual([
      { type: "reserved", orderId: "o-1", lines: [] },
    ]);
  });

  test.each(["reserved", "refused", "released"] as const)(
    "one that is %s already changes nothing",
    (status) => {
      expect(decideReserve(reservation(status), given(level("A", 10)), order(line("A", 1)), now)).toEqual([]);
    },
  );
});

describe("an order is ahead of what the catalog says of its products", () => {
  const fresh: Level = {
    sku: "A",
    onHand: 0,
    reserved: 0,
    version: 1,
    madeAt: now - 1_999,
    countedAt: null,
    told: null,
  };

  test("it waits for a product that is not known yet", () => {
    const [event] = decideReserve(undefined, given(), order(line("A", 1)), now);
    expect(event).toEqual({
      type: "deferred",
      wanted: { ...order(line("A", 1)), until: now + 10_000 },
      again: now + 200,
    });
  });

  test("it waits for the first count of a product that was listed a moment ago", () => {
    expect(decideReserve(undefined, given(fresh), order(line("A", 1)), now)).toMatchObject([
      { type: "deferred" },
    ]);
    expect(
      decideReserve(undefined, given({ ...fresh, madeAt: now - 2_000 }), order(line("A", 1)), now),
    ).toMatchObject([{ type: "refused" }]);
    expect(
      decideReserve(undefined, given({ ...fresh, countedAt: now }), order(line("A", 1)), now),
    ).toMatchObject([{ type: "refused" }]);
  });

  test("it does not wait when another product is out of stock anyway", () => {
    expect(
      decideReserve(undefined, given(level("B", 0)), order(line("A", 1), line("B", 1)), now),
    ).toMatchObject([{ type: "refused" }]);
  });

  test("it does not wait for ever", () => {
    const waiting = { ...order(line("A", 1)), until: now };
    expect(decideReserve(undefined, given(), { ...waiting, until: now + 1 }, now)).toMatchObject([
      { type: "deferred", again: now + 1 },
    ]);
    expect(decideReserve(undefined, given(), waiting, now)).toEqual([
      { type: "refused", orderId: "o-1", skus: ["A"] },
    ]);
  });
});

describe("an order is taken back", () => {
  test("what it holds comes back", () => {
    const held = [{ sku: "A", quantity: 6 }];
    expect(decideRelease(reservation("reserved", ...held), "o-1")).toEqual([
      { type: "released", orderId: "o-1", lines: held },
    ]);
  });

  test.each(["refused", "released"] as const)(
    "one that is %s is answered again, but nothing moves",
    (status) => {
      expect(decideRelease(reservation(status, { sku: "A", quantity: 6 }), "o-1")).toEqual([
        { type: "released", orderId: "o-1", lines: [] },
      ]);
    },
  );

  test("one that was never seen is over before it comes", () => {
    const events = decideRelease(undefined, "o-1");
    expect(events).toEqual([{ type: "released", orderId: "o-1", lines: [] }]);
    const over = events.reduce<Reservation | undefined>(evolve, undefined);
    expect(decideReserve(over, given(level("A", 10)), order(line("A", 1)), now)).toEqual([]);
  });
});

test("a thousand lines are summed, in SKU order", () => {
  const lines = Array.from({ length: 1_000 }, (_, i) => line(`S${(i * 7) % 500}`, 2));
  const sums = physical(lines);
  expect(sums).toHaveLength(500);
  expect(sums.every(({ quantity }) => quantity === 4)).toBe(true);
  expect(sums.map(({ sku }) => sku)).toEqual(sums.map(({ sku }) => sku).toSorted());
});

describe("whatever comes in whatever order", () => {
  // A world with the database's rules: a decision may rest on what was true some steps ago, and is only taken over
  // while the claim is what it was and every piece is there; else it is decided again.
  class World {
    levels = given(level("A", 5), level("B", 3), level("C", 0));
    reservations = new Map<string, Reservation>();
    snapshot = this.#look();

    #look() {
      return { levels: new Map(this.levels), reservations: new Map(this.reservations) };
    }

    refresh() {
      this.snapshot = this.#look();
    }

    handle(orderId: string, decide: (seen: World["snapshot"]) => ReservationEvent[]) {
      if (this.#commit(orderId, this.snapshot.reservations.get(orderId), decide(this.snapshot))) return;
      this.refresh();
      expect(
        this.#commit(orderId, this.snapshot.reservations.get(orderId), decide(this.snapshot)),
        "a fresh decision holds",
      ).toBe(true);
    }

    #commit(orderId: string, before: Reservation | undefined, events: ReservationEvent[]): boolean {
      const levels = new Map(this.levels);
      const after = events.reduce(evolve, before);
      if (after?.status !== before?.status && this.reservations.get(orderId)?.status !== before?.status)
        return false;
      for (const event of events) {
        if (event.type !== "reserved" && event.type !== "released") continue;
        for (const { sku, quantity } of event.lines) {
          const moved = event.type === "reserved" ? quantity : -quantity;
          const now = levels.get(sku);
          if (now === undefined || available(now) < moved || now.reserved + moved < 0) return false;
          levels.set(sku, { ...now, reserved: now.reserved + moved, version: now.version + 1 });
        }
      }
      this.levels = levels;
      if (after && after.status !== before?.status) this.reservations.set(orderId, after);
      return true;
    }
  }

  const orders = ["o-1", "o-2", "o-3", "o-4"];
  const lines = fc.array(
    fc.record({
      sku: fc.constantFrom("A", "B", "C"),
      quantity: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom("physical" as const, "physical" as const, "service" as const),
    }),
    { minLength: 1, maxLength: 4 },
  );
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant("reserve" as const), orderId: fc.constantFrom(...orders) }),
      fc.record({ do: fc.constant("release" as const), orderId: fc.constantFrom(...orders) }),
      fc.record({ do: fc.constant("look" as const) }),
    ),
    { maxLength: 40 },
  );

  test("nothing is sold twice, nothing is lost, nothing is below zero", () => {
    fc.assert(
      fc.property(fc.tuple(lines, lines, lines, lines), steps, (wanted, what) => {
        const world = new World();
        const onHand = new Map([...world.levels].map(([sku, each]) => [sku, each.onHand]));
        const over = new Set<string>();
        for (const step of what) {
          if (step.do === "look") {
            world.refresh();
            continue;
          }
          const { orderId } = step;
          const mine = wanted[orders.indexOf(orderId)] ?? [];
          world.handle(orderId, (seen) =>
            step.do === "reserve"
              ? decideReserve(seen.reservations.get(orderId), seen.levels, { orderId, lines: mine }, now)
              : decideRelease(seen.reservations.get(orderId), orderId),
          );
          if (step.do === "release") over.add(orderId);

          const held = [...world.reservations.values()].filter(({ status }) => status === "reserved");
          for (const each of world.levels.values()) {
            const sum = held
              .flatMap((reservation) => reservation.lines)
              .filter(({ sku }) => sku === each.sku)
              .reduce((total, { quantity }) => total + quantity, 0);
            expect(each.reserved).toBe(sum);
            expect(each.reserved).toBeGreaterThanOrEqual(0);
            expect(each.onHand).toBe(onHand.get(each.sku) ?? 0);
            expect(available(each)).toBeGreaterThanOrEqual(0);
          }
          expect(held.filter((reservation) => over.has(reservation.orderId))).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });
});

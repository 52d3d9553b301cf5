import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Back,
  decideDispatch,
  decideReduce,
  decideRelease,
  decideReserve,
  decideReturn,
  evolve,
  type Leaving,
  physical,
  type Quantity,
  type Reservation,
  type ReservationEvent,
  type Wanted,
} from "./reservation.ts";
import { available, type Level } from "./stock.ts";

const now = 1_000_000;

const unmoved = { sold: 0, restocked: 0, writtenOff: 0 };

const level = (sku: string, onHand: number, reserved = 0): Level => ({
  sku,
  onHand,
  reserved,
  version: 5,
  madeAt: 0,
  countedAt: 0,
  told: null,
  ...unmoved,
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
  shipments: [],
  returns: [],
  version: 1,
});
const pieces = (quantity: number, sku = "A"): Quantity => ({ sku, quantity });

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
    ...unmoved,
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

describe("part of an order is cancelled", () => {
  const held = reservation("reserved", pieces(6), pieces(2, "B"));

  test("that part comes back, the rest stays held", () => {
    const events = decideReduce(held, [pieces(1), pieces(2, "B"), pieces(1)]);
    expect(events).toEqual([{ type: "reduced", lines: [pieces(2), pieces(2, "B")] }]);
    expect(events.reduce<Reservation | undefined>(evolve, held)).toEqual({
      ...reservation("reserved", pieces(4)),
      version: 2,
    });
  });

  test("no more than is held comes back", () => {
    expect(decideReduce(held, [pieces(9), pieces(1, "C")])).toEqual([
      { type: "reduced", lines: [pieces(6)] },
    ]);
    expect(decideReduce(held, [pieces(1, "C")])).toEqual([]);
  });

  test.each(["refused", "released"] as const)("nothing comes back of one that is %s", (status) => {
    expect(decideReduce(reservation(status, pieces(6)), [pieces(1)])).toEqual([]);
  });
});

describe("a shipment leaves", () => {
  const held = reservation("reserved", pieces(6), pieces(2, "B"));
  const levels = given(level("A", 10, 6), level("B", 2, 2));
  const ship = (reservation: Reservation, ...lines: Quantity[]) =>
    decideDispatch(reservation, levels, { shipmentId: "s-1", lines });

  test("with what was reserved for it; the rest stays held", () => {
    const events = ship(held, pieces(4), pieces(1, "B"), pieces(1, "B"));
    expect(events).toEqual([
      {
        type: "dispatched",
        shipmentId: "s-1",
        lines: [
          { ...pieces(4), held: 4 },
          { ...pieces(2, "B"), held: 2 },
        ],
      },
    ]);
    const after = events.reduce<Reservation | undefined>(evolve, held);
    expect(after).toEqual({ ...reservation("reserved", pieces(2)), shipments: ["s-1"], version: 2 });
    if (after === undefined) throw new Error("a claim stays");
    expect(decideRelease(after, "o-1")).toEqual([{ type: "released", orderId: "o-1", lines: [pieces(2)] }]);
  });

  test("once", () => {
    expect(ship({ ...held, shipments: ["s-1"] }, pieces(4))).toEqual([]);
  });

  test("also with more than was reserved for it: from what is available, as far as there is something", () => {
    expect(ship(held, pieces(8))).toMatchObject([{ lines: [{ ...pieces(8), held: 6 }] }]);
    expect(ship(held, pieces(99))).toMatchObject([{ lines: [{ ...pieces(10), held: 6 }] }]);
    expect(ship(held, pieces(1, "C"))).toMatchObject([{ lines: [] }]);
    expect(ship(reservation("released", pieces(6)), pieces(5))).toMatchObject([
      { lines: [{ ...pieces(4), held: 0 }] },
    ]);
  });
});

describe("goods come back", () => {
  const sent = { ...reservation("reserved"), shipments: ["s-1"] };
  const lines = [
    { ...pieces(2), restock: true },
    { ...pieces(1, "B"), restock: false },
    { ...pieces(1), restock: false },
  ];

  test("what can be sold again is told from what cannot", () => {
    const events = decideReturn(sent, { returnId: "r-1", lines });
    expect(events).toEqual([
      {
        type: "restocked",
        orderId: "o-1",
        returnId: "r-1",
        lines: [
          { sku: "A", restocked: 2, writtenOff: 1 },
          { sku: "B", restocked: 0, writtenOff: 1 },
        ],
      },
    ]);
    const after = events.reduce<Reservation | undefined>(evolve, sent);
    expect(after).toEqual({ ...sent, returns: ["r-1"], version: 2 });
  });

  test("once; who tells it again is answered again", () => {
    const known = { ...sent, returns: ["r-1"] };
    const events = decideReturn(known, { returnId: "r-1", lines });
    expect(events).toEqual([{ type: "restocked", orderId: "o-1", returnId: "r-1", lines: [] }]);
    expect(events.reduce<Reservation | undefined>(evolve, known)).toBe(known);
  });

  test("nothing of it is there to be counted, and it is answered all the same", () => {
    expect(decideReturn(sent, { returnId: "r-1", lines: [] })).toMatchObject([{ lines: [] }]);
  });
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
      const isChanged = after?.version !== before?.version;
      if (isChanged && this.reservations.get(orderId)?.version !== before?.version) return false;
      const all = events.flatMap((event) => moves(event));
      for (const { sku, reserved = 0, sold = 0, restocked = 0, writtenOff = 0 } of all) {
        const now = levels.get(sku);
        if (now === undefined) return false;
        const next = {
          ...now,
          onHand: now.onHand - sold + restocked,
          reserved: now.reserved + reserved,
          sold: now.sold + sold,
          restocked: now.restocked + restocked,
          writtenOff: now.writtenOff + writtenOff,
          version: now.version + 1,
        };
        if (next.reserved < 0 || available(next) < 0) return false;
        levels.set(sku, next);
      }
      this.levels = levels;
      if (after && isChanged) this.reservations.set(orderId, after);
      return true;
    }
  }

  interface Move extends Partial<Pick<Level, "reserved" | "sold" | "restocked" | "writtenOff">> {
    sku: string;
  }

  /** What an event does to the levels, as the store's statements do it. */
  function moves(event: ReservationEvent): Move[] {
    switch (event.type) {
      case "reserved":
        return event.lines.map(({ sku, quantity }) => ({ sku, reserved: quantity }));
      case "released":
      case "reduced":
        return event.lines.map(({ sku, quantity }) => ({ sku, reserved: -quantity }));
      case "dispatched":
        return event.lines.map(({ sku, quantity, held }: Leaving) => ({
          sku,
          reserved: -held,
          sold: quantity,
        }));
      case "restocked":
        return event.lines.map((back: Back) => ({ ...back }));
      default:
        return [];
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
  const some = fc.array(
    fc.record({ sku: fc.constantFrom("A", "B"), quantity: fc.integer({ min: 1, max: 3 }) }),
    { minLength: 1, maxLength: 3 },
  );
  const own = { orderId: fc.constantFrom(...orders) };
  const id = fc.constantFrom("1", "2");
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant("reserve" as const), ...own }),
      fc.record({ do: fc.constant("release" as const), ...own }),
      fc.record({ do: fc.constant("reduce" as const), ...own, some }),
      fc.record({ do: fc.constant("ship" as const), ...own, id, some }),
      fc.record({
        do: fc.constant("take back" as const),
        ...own,
        id,
        some: some.map((lines) => lines.map((each, i) => ({ ...each, restock: i % 2 === 0 }))),
      }),
      fc.record({ do: fc.constant("look" as const) }),
    ),
    { maxLength: 60 },
  );
  type Step = Exclude<typeof steps extends fc.Arbitrary<(infer T)[]> ? T : never, { do: "look" }>;

  /** What the service does with an event: one that is ahead of its order is tried again later. */
  function decided(step: Step, seen: World["snapshot"], wanted: Wanted["lines"]): ReservationEvent[] {
    const { orderId } = step;
    const claim = seen.reservations.get(orderId);
    if (step.do === "reserve") return decideReserve(claim, seen.levels, { orderId, lines: wanted }, now);
    if (step.do === "release") return decideRelease(claim, orderId);
    if (claim === undefined) return [];
    switch (step.do) {
      case "reduce":
        return decideReduce(claim, step.some);
      case "ship":
        return decideDispatch(claim, seen.levels, { shipmentId: step.id, lines: step.some });
      case "take back":
        return decideReturn(claim, { returnId: step.id, lines: step.some });
      default:
        return step satisfies never;
    }
  }

  test("nothing is sold twice, nothing is lost, nothing is below zero", () => {
    fc.assert(
      fc.property(fc.tuple(lines, lines, lines, lines), steps, (wanted, what) => {
        const world = new World();
        const putIn = new Map([...world.levels].map(([sku, each]) => [sku, each.onHand]));
        const over = new Set<string>();
        for (const step of what) {
          if (step.do === "look") {
            world.refresh();
            continue;
          }
          const mine = wanted[orders.indexOf(step.orderId)] ?? [];
          world.handle(step.orderId, (seen) => decided(step, seen, mine));
          if (step.do === "release") over.add(step.orderId);

          const held = [...world.reservations.values()].filter(({ status }) => status === "reserved");
          for (const each of world.levels.values()) {
            const sum = held
              .flatMap((reservation) => reservation.lines)
              .filter(({ sku }) => sku === each.sku)
              .reduce((total, { quantity }) => total + quantity, 0);
            expect(each.reserved).toBe(sum);
            expect(each.reserved).toBeGreaterThanOrEqual(0);
            expect(each.onHand).toBe((putIn.get(each.sku) ?? 0) - each.sold + each.restocked);
            expect(available(each)).toBeGreaterThanOrEqual(0);
          }
          expect(held.filter((reservation) => over.has(reservation.orderId))).toEqual([]);
          const { shipments = [], returns = [] } = world.reservations.get(step.orderId) ?? {};
          for (const ids of [shipments, returns]) expect(new Set(ids).size).toBe(ids.length);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("a shipment and a cancellation of other pieces may come in either order", () => {
    const few = fc.array(fc.constantFrom("A", "B"), { maxLength: 6 });
    fc.assert(
      fc.property(few, few, few, (shipped, cancelled, open) => {
        const list = (skus: string[]) => skus.map((sku) => pieces(1, sku));
        const all = list([...shipped, ...cancelled, ...open]);
        const levels = given(level("A", 20, 20), level("B", 20, 20));
        const claim = decideReserve(
          undefined,
          given(level("A", 20), level("B", 20)),
          order(...all.map((each) => ({ ...each, kind: "physical" as const }))),
          now,
        ).reduce<Reservation | undefined>(evolve, undefined);
        const run = (...what: ((claim: Reservation) => ReservationEvent[])[]) =>
          what.reduce((claim, decide) => {
            if (claim === undefined) throw new Error("a claim stays");
            return decide(claim).reduce<Reservation | undefined>(evolve, claim);
          }, claim);
        const ship = (claim: Reservation) =>
          decideDispatch(claim, levels, { shipmentId: "s-1", lines: list(shipped) });
        const reduce = (claim: Reservation) => decideReduce(claim, list(cancelled));
        const held = decideReserve(
          undefined,
          given(level("A", 20), level("B", 20)),
          order(...list(open).map((each) => ({ ...each, kind: "physical" as const }))),
          now,
        );
        expect(run(ship, reduce)).toEqual(run(reduce, ship));
        expect(held).toMatchObject([{ lines: run(ship, reduce)?.lines ?? [] }]);
      }),
      { numRuns: 300 },
    );
  });
});

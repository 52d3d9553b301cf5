import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { minus, plus, type Quantity, same, summed } from "./quantities.ts";
import {
  abort,
  type Consignment,
  cancelLines,
  confirm,
  deliver,
  dispatch,
  evolve,
  hear,
  open,
  refuse,
  type ShipmentEvent,
  ship,
  shipmentOf,
} from "./shipment.ts";

const of = { orderId: "o", customerId: "u_1" };
const at = 1_000;
const lines = (...pairs: [string, number][]): Quantity[] =>
  pairs.map(([sku, quantity]) => ({ sku, quantity }));

/** Decides one after the other, each with what the ones before have come to. */
function after(...steps: ((before: Consignment | undefined) => ShipmentEvent[] | object)[]): Consignment {
  return from(undefined, ...steps);
}

function from(known: Consignment | undefined, ...steps: Parameters<typeof after>): Consignment {
  for (const step of steps) {
    const decided = step(known);
    if (!Array.isArray(decided)) throw new Error(`refused: ${JSON.stringify(decided)}`);
    known = (decided as ShipmentEvent[]).reduce<Consignment | undefined>(evolve, known);
  }
  if (known === undefined) throw new Error("nothing happened");
  return known;
}
type Step = Parameters<typeof after>[0];
const confirmed =
  (...of_: [string, number][]): Step =>
  (before) =>
    confirm(before, { of, id: "o-1", lines: lines(...of_), method: "standard", weight: 500, at });
const dispatched =
  (id: string, some?: Quantity[], more: { carrier?: string; tracking?: string } = {}): Step =>
  (before) =>
    dispatch(before as Consignment, { id, lines: some, ...more, at });
const shipped =
  (id: string, ...what: [string, number][]): Step =>
  (before) =>
    ship(before, { of, id, lines: lines(...what), at });
const refused =
  (id: string): Step =>
  (before) =>
    refuse(before, { id, reason: "not-open", at });
const cancelled =
  (...what: [string, number][]): Step =>
  (before) =>
    cancelLines(before, { of, lines: lines(...what), at });
const aborted: Step = (before) => abort(before, { of, at });
const delivered =
  (id: string): Step =>
  (before) =>
    deliver(before as Consignment, { id, at });
const told =
  (id: string, what: "in-transit" | "exception" | "delivered", detail?: string): Step =>
  (before) =>
    hear(before as Consignment, { ids: [id], told: what, at, ...(detail ? { detail } : {}) });

/** `o-1 pending A:5`, one a shipment. */
const seen = ({ shipments }: Consignment): string[] =>
  shipments.map(
    ({ id, status, lines }) => `${id} ${status} ${lines.map(({ sku, quantity }) => `${sku}:${quantity}`)}`,
  );

describe("an order's shipments", () => {
  test("begin with one that waits, under the name that orders gave it, each product once", () => {
    const known = after((before) =>
      confirm(before, { of, id: "o-1", lines: lines(["B", 2], ["A", 1], ["B", 3]), weight: 500, at }),
    );
    expect(seen(known)).toEqual(["o-1 pending A:1,B:5"]);
    expect(known.shipments[0]).toMatchObject({ weight: 500, history: [{ at, status: "pending" }] });
  });

  test("a confirmation that comes twice changes nothing", () => {
    const known = after(confirmed(["A", 5]));
    expect(confirm(known, { of, id: "o-1", lines: lines(["A", 5]), at })).toEqual([]);
  });

  test("whole: handed over when orders says so, and arrives", () => {
    const known = after(confirmed(["A", 5]), dispatched("o-1", undefined, { carrier: "c", tracking: "t" }));
    expect(seen(known)).toEqual(["o-1 dispatching A:5"]);
    const there = from(known, shipped("o-1", ["A", 5]), delivered("o-1"));
    expect(seen(there)).toEqual(["o-1 delivered A:5"]);
    expect(there.shipments[0]).toMatchObject({
      carrier: "c",
      tracking: "t",
      weight: 500,
      method: "standard",
    });
    expect(deliver(there, { id: "o-1", at })).toEqual([]);
  });

  test("in parts: what stays behind waits under a name of its own", () => {
    const steps = [confirmed(["A", 5], ["B", 1]), dispatched("o-1", lines(["A", 2]))];
    expect(seen(after(...steps))).toEqual(["o-1 dispatching A:2", "o-2 pending A:3,B:1"]);
    expect(after(...steps).shipments.map(({ weight, method }) => [weight, method])).toEqual([
      [undefined, "standard"],
      [undefined, "standard"],
    ]);
    expect(seen(after(...steps, shipped("o-1", ["A", 2]), dispatched("o-2", lines(["B", 1]))))).toEqual([
      "o-1 dispatched A:2",
      "o-2 dispatching B:1",
      "o-3 pending A:3",
    ]);
  });

  test("refused whole: it waits again, for what is open", () => {
    const known = after(
      confirmed(["A", 5]),
      dispatched("o-1", undefined, { carrier: "c", tracking: "t" }),
      cancelled(["A", 2]),
      refused("o-1"),
    );
    expect(seen(known)).toEqual(["o-1 pending A:3"]);
    expect(known.shipments[0]).toMatchObject({ refused: "not-open" });
    expect(known.shipments[0]).not.toHaveProperty("tracking");
    expect(seen(from(known, dispatched("o-1")))).toEqual(["o-1 dispatching A:3"]);
    expect(shipmentOf(from(known, dispatched("o-1")), "o-1")).not.toHaveProperty("refused");
  });

  test("refused in part: its lines go back to what waits", () => {
    const known = after(confirmed(["A", 5]), dispatched("o-1", lines(["A", 2])), refused("o-1"));
    expect(seen(known)).toEqual(["o-1 cancelled A:2", "o-2 pending A:5"]);
  });

  test("refused when nothing is left of it: that was all", () => {
    const known = after(confirmed(["A", 5]), dispatched("o-1"), cancelled(["A", 5]), refused("o-1"));
    expect(seen(known)).toEqual(["o-1 cancelled A:5"]);
  });

  test("cancelled while more than what is left is on its way out: the refusal brings back the rest", () => {
    const steps = [confirmed(["A", 5]), dispatched("o-1", lines(["A", 2])), cancelled(["A", 4])];
    expect(seen(after(...steps))).toEqual(["o-1 dispatching A:2", "o-2 cancelled A:3"]);
    expect(seen(after(...steps, refused("o-1")))).toEqual(["o-1 pending A:1", "o-2 cancelled A:3"]);
  });

  test("an order that is taken back sends nothing more, whatever comes late", () => {
    expect(seen(after(confirmed(["A", 5]), aborted))).toEqual(["o-1 cancelled A:5"]);
    expect(seen(after(confirmed(["A", 5]), dispatched("o-1"), aborted))).toEqual(["o-1 dispatching A:5"]);
    expect(seen(after(confirmed(["A", 5]), dispatched("o-1"), aborted, refused("o-1")))).toEqual([
      "o-1 cancelled A:5",
    ]);
    expect(seen(after(aborted, confirmed(["A", 5]), cancelled(["A", 1])))).toEqual([]);
  });

  test("cancelled lines may be ahead of the confirmation", () => {
    expect(seen(after(cancelled(["A", 2]), confirmed(["A", 5])))).toEqual(["o-1 pending A:3"]);
    expect(seen(after(cancelled(["A", 5]), confirmed(["A", 5])))).toEqual([]);
  });

  test("orders is believed when it says that something has gone, even if it is not known here", () => {
    const known = after(shipped("o-1", ["A", 2]), confirmed(["A", 5]));
    expect(seen(known)).toEqual(["o-1 dispatched A:2", "o-2 pending A:3"]);
    expect(seen(after(confirmed(["A", 5]), shipped("o-1", ["A", 2])))).toEqual([
      "o-1 dispatched A:2",
      "o-2 pending A:3",
    ]);
  });

  test("what was decided stays so, whatever is said once more", () => {
    const over = after(confirmed(["A", 5]), aborted);
    const arrived = after(confirmed(["A", 5]), dispatched("o-1"), shipped("o-1", ["A", 5]), delivered("o-1"));
    for (const [known, again] of [
      [over, aborted],
      [over, cancelled(["A", 1])],
      [over, refused("o-1")],
      [arrived, shipped("o-1", ["A", 5])],
      [arrived, refused("o-1")],
      [arrived, refused("o-9")],
    ] as const)
      expect(again(known)).toEqual([]);
  });

  test("no two have one name, though orders may know of some that are not known here", () => {
    const known = after(shipped("o-1", ["A", 1]), shipped("o-3", ["A", 1]), confirmed(["A", 5]));
    expect(seen(known)).toEqual(["o-1 dispatched A:1", "o-3 dispatched A:1", "o-4 pending A:3"]);
  });

  test("what its carrier brings before orders has said that it may go has arrived once that is said", () => {
    const steps = [confirmed(["A", 1]), dispatched("o-1"), told("o-1", "delivered")];
    expect(seen(after(...steps))).toEqual(["o-1 dispatching A:1"]);
    const known = after(...steps, shipped("o-1", ["A", 1]));
    expect(known.shipments[0]).toMatchObject({ status: "delivered", reports: [{ type: "delivered" }] });
    expect(known.shipments[0]).not.toHaveProperty("arrived");
    expect(seen(after(...steps, refused("o-1"), dispatched("o-1"), shipped("o-1", ["A", 1])))).toEqual([
      "o-1 dispatched A:1",
    ]);
  });

  test("what its carrier tells is noted, the latest fifty", () => {
    const known = after(
      confirmed(["A", 1]),
      dispatched("o-1"),
      shipped("o-1", ["A", 1]),
      ...Array.from({ length: 60 }, (_, n) => told("o-1", "in-transit", `stop ${n}`)),
      told("o-1", "exception", "nobody at home"),
    );
    expect(known.shipments[0]?.status).toBe("dispatched");
    expect(known.shipments[0]?.reports).toHaveLength(50);
    expect(known.shipments[0]?.reports.at(-1)).toEqual({ at, type: "exception", detail: "nobody at home" });
  });
});

describe("a dispatch is refused", () => {
  const known = after(confirmed(["A", 5], ["B", 1]), dispatched("o-1", lines(["A", 2])));

  test("while another of the order is being handed over", () => {
    expect(dispatch(known, { id: "o-2", at })).toMatchObject({ rejected: "dispatch-in-progress" });
  });

  test("of what is not pending", () => {
    expect(dispatch(known, { id: "o-1", at })).toMatchObject({ rejected: "not-pending" });
  });

  test("of more than it holds, with what and where", () => {
    const fresh = after(confirmed(["A", 5], ["B", 1]));
    const asked = lines(["A", 3], ["C", 1], ["B", 2], ["A", 3]);
    expect(dispatch(fresh, { id: "o-1", lines: asked, at })).toMatchObject({
      rejected: "not-in-shipment",
      errors: [
        { pointer: "/lines/0/quantity", detail: "at most 5" },
        { pointer: "/lines/1/sku", detail: "there is no C in this shipment" },
        { pointer: "/lines/2/quantity", detail: "at most 1" },
        { pointer: "/lines/3/quantity", detail: "at most 5" },
      ],
    });
  });

  test.each([
    ["pending", after(confirmed(["A", 1]))],
    ["dispatching", after(confirmed(["A", 1]), dispatched("o-1"))],
    ["cancelled", after(confirmed(["A", 1]), aborted)],
  ])("and what is %s does not arrive", (_, shipment) => {
    expect(deliver(shipment, { id: "o-1", at })).toMatchObject({ rejected: "not-dispatched" });
  });
});

// ── Any interleaving ────────────────────────────────────────────────────────────────────────────────────────

/** What orders says, on its way to shipping. */
type Message = { id: number } & (
  | { type: "confirmed"; lines: Quantity[] }
  | { type: "lines-cancelled"; lines: Quantity[] }
  | { type: "refused"; shipmentId: string }
  | { type: "shipped"; shipmentId: string; lines: Quantity[] }
  | { type: "aborting" }
);

/**
 * A whole order between two services: an arbiter that decides as orders does, a shipping with an inbox, and between them
 * two wires on which messages overtake each other and come twice.
 */
class World {
  known: Consignment | undefined;
  /** What the arbiter has: open (not shipped, not cancelled), and what it has let go. */
  open: Quantity[];
  gone: Quantity[] = [];
  cancelled: Quantity[] = [];
  over = false;
  toShipping: Message[] = [];
  toOrders: { id: number; shipmentId: string; lines: Quantity[] }[] = [];
  #heard = new Set<number>();
  #answered = new Set<number>();
  #ids = 0;

  constructor(readonly ordered: Quantity[]) {
    this.open = ordered;
    this.#say({ type: "confirmed", lines: ordered });
  }

  #say(message: Message extends infer M ? (M extends Message ? Omit<M, "id"> : never) : never): void {
    this.toShipping.push({ ...message, id: ++this.#ids } as Message);
  }

  #take(decided: ShipmentEvent[]): void {
    for (const event of decided) {
      this.known = evolve(this.known, event);
      if (event.type === "dispatching")
        this.toOrders.push({ id: ++this.#ids, shipmentId: event.id, lines: event.lines });
    }
    this.check();
  }

  /** The customer or staff cancels some of what is open, or all that there is. */
  cancel(pick: number): void {
    if (this.over || this.open.length === 0) return;
    const some = part(this.open, pick);
    if (same(some, this.open) && this.gone.length === 0) {
      this.over = true;
      this.open = [];
      this.#say({ type: "aborting" });
      return;
    }
    this.open = minus(this.open, some);
    this.cancelled = plus(this.cancelled, some);
    this.#say({ type: "lines-cancelled", lines: some });
  }

  /** Somebody hands something over. */
  dispatch(pick: number): void {
    const pending = this.known?.shipments.find(({ status }) => status === "pending");
    if (!this.known || !pending) return;
    const decided = dispatch(this.known, { id: pending.id, lines: part(pending.lines, pick), at });
    if (Array.isArray(decided)) this.#take(decided);
    else expect(decided.rejected).toBe("dispatch-in-progress");
  }

  /** Something arrives. */
  deliver(pick: number): void {
    const shipment = this.known?.shipments[pick % (this.known.shipments.length || 1)];
    if (!this.known || !shipment) return;
    const decided = deliver(this.known, { id: shipment.id, at });
    if (Array.isArray(decided)) this.#take(decided);
  }

  /** One message reaches orders, which decides; perhaps it refuses although it could go. */
  toArbiter(pick: number, unwilling: boolean, twice: boolean): void {
    const message = this.toOrders[pick % (this.toOrders.length || 1)];
    if (!message) return;
    if (!twice) this.toOrders.splice(this.toOrders.indexOf(message), 1);
    if (this.#answered.has(message.id)) return;
    this.#answered.add(message.id);
    const { shipmentId, lines } = message;
    const may = !this.over && minus(lines, this.open).length === 0;
    if (!may || unwilling) {
      this.#say({ type: "refused", shipmentId });
      return;
    }
    this.open = minus(this.open, lines);
    this.gone = plus(this.gone, lines);
    this.#say({ type: "shipped", shipmentId, lines });
  }

  /** One message reaches shipping. */
  fromArbiter(pick: number, twice: boolean): void {
    const message = this.toShipping[pick % (this.toShipping.length || 1)];
    if (!message) return;
    if (!twice) this.toShipping.splice(this.toShipping.indexOf(message), 1);
    if (this.#heard.has(message.id)) return;
    this.#heard.add(message.id);
    this.#take(this.#decide(message));
  }

  #decide(message: Message): ShipmentEvent[] {
    switch (message.type) {
      case "confirmed":
        return confirm(this.known, { of, id: "o-1", lines: message.lines, at });
      case "lines-cancelled":
        return cancelLines(this.known, { of, lines: message.lines, at });
      case "refused":
        return refuse(this.known, { id: message.shipmentId, reason: "not-open", at });
      case "shipped":
        return ship(this.known, { of, id: message.shipmentId, lines: message.lines, at });
      case "aborting":
        return abort(this.known, { of, at });
    }
  }

  /** What always holds. */
  check(): void {
    if (!this.known) return;
    const { shipments } = this.known;
    const held = (...statuses: string[]) =>
      shipments.filter(({ status }) => statuses.includes(status)).map(({ lines }) => lines);
    const [pending, ...more] = held("pending");
    expect(more).toEqual([]);
    // Never more waits than is open by what has been heard; and never less.
    expect(pending ?? []).toEqual(open(this.known));
    expect(pending?.length).not.toBe(0);
    expect(held("dispatching").length).toBeLessThanOrEqual(1);
    const all = held("pending", "dispatching", "dispatched", "delivered").flat();
    expect(minus(summed(all), this.known.ordered.length > 0 ? this.known.ordered : this.ordered)).toEqual([]);
    // What orders has let go is on record once it has been said.
    expect(minus(summed(held("dispatched", "delivered").flat()), this.gone)).toEqual([]);
    expect(new Set(shipments.map(({ id }) => id)).size).toBe(shipments.length);
  }

  /** Everything that is under way arrives. */
  settle(): void {
    while (this.toShipping.length + this.toOrders.length > 0) {
      this.toArbiter(0, false, false);
      this.fromArbiter(0, false);
    }
  }
}

/** Some of it: something, and never more than there is. */
function part(whole: Quantity[], pick: number): Quantity[] {
  const some = whole.flatMap(({ sku, quantity }, n) => {
    const taken = (pick >> (n * 3)) % (quantity + 1);
    return taken > 0 ? [{ sku, quantity: taken }] : [];
  });
  return some.length > 0 ? some : whole;
}

const pick = fc.nat(511);
const step = fc.oneof(
  fc.record({ do: fc.constant("dispatch" as const), pick }),
  fc.record({ do: fc.constant("cancel" as const), pick }),
  fc.record({ do: fc.constant("deliver" as const), pick }),
  fc.record({ do: fc.constant("to-orders" as const), pick, unwilling: fc.boolean(), twice: fc.boolean() }),
  fc.record({ do: fc.constant("to-shipping" as const), pick, twice: fc.boolean() }),
);

test("whatever is dispatched, cancelled, refused and heard late or twice, in any order: it adds up", () => {
  const counted = { refused: 0, shipped: 0, over: 0, split: 0 };
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc.record({ sku: fc.constantFrom("A", "B", "C"), quantity: fc.integer({ min: 1, max: 7 }) }),
        {
          selector: ({ sku }) => sku,
          minLength: 1,
        },
      ),
      fc.array(step, { maxLength: 40 }),
      (ordered, steps) => {
        const world = new World(summed(ordered));
        for (const one of steps) {
          if (one.do === "dispatch") world.dispatch(one.pick);
          else if (one.do === "cancel") world.cancel(one.pick);
          else if (one.do === "deliver") world.deliver(one.pick);
          else if (one.do === "to-orders") world.toArbiter(one.pick, one.unwilling, one.twice);
          else world.fromArbiter(one.pick, one.twice);
        }
        world.settle();
        const { known } = world;
        if (!known) throw new Error("the confirmation was lost");
        const held = (...statuses: string[]) =>
          summed(
            known.shipments.filter(({ status }) => statuses.includes(status)).flatMap(({ lines }) => lines),
          );
        // In the end both say the same of everything, and nothing hangs.
        expect(held("pending")).toEqual(world.open);
        expect(held("dispatching")).toEqual([]);
        expect(held("dispatched", "delivered")).toEqual(world.gone);
        if (!world.over) expect(plus(plus(world.open, world.gone), world.cancelled)).toEqual(world.ordered);
        counted.over += world.over ? 1 : 0;
        counted.shipped += world.gone.length > 0 ? 1 : 0;
        counted.split += known.shipments.length > 1 ? 1 : 0;
        counted.refused += known.shipments.some(({ history }) => history.some(({ reason }) => reason))
          ? 1
          : 0;
      },
    ),
    { numRuns: 3_000 },
  );
  // Not a walk around what matters.
  for (const times of Object.values(counted)) expect(times).toBeGreaterThan(50);
});

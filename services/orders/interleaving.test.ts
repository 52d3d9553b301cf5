import { describe, expect, test } from "bun:test";
import type { NewEvent } from "drizzle-outbox";
import fc from "fast-check";
import { cancel } from "./cancel.ts";
import { advance, type Heard } from "./checkout.ts";
import { evolve, type Line, type Order, type OrderEvent, shown } from "./order.ts";
import { published } from "./published.ts";
import { askReturn, receive } from "./returns.ts";
import { kept, open, type Piece, shipped } from "./units.ts";
import { atOnce, owed, refundFor, share } from "./worth.ts";

// Orders between payments and inventory, which answer late, twice and in another order, while people ship, cancel and
// return: whatever happens, money and goods are where they belong in the end.

const at = 1_000;
const gbp = (amount: number) => ({ amount, currency: "GBP" });

/** What payments and inventory make of what they are told, by the contract. */
class World {
  order: Order;
  /** What the others have not read yet, in order; and what they have answered, which comes in any order. */
  readonly toPayments: NewEvent[] = [];
  readonly toInventory: NewEvent[] = [];
  readonly heard: Heard[] = [];
  authorised = 0;
  captured = 0;
  refunded = 0;
  reserved = 0;
  out = 0;
  back = 0;
  over = false;
  /** Nothing more will be captured: payments was told. */
  finished = false;
  #keys = new Set<string>();

  constructor(
    lines: Line[],
    shipping: number,
    /** Payments captures with each shipment, not everything at once. */
    readonly later: boolean,
  ) {
    const total = lines.reduce((sum, line) => sum + share(line, line.quantity), shipping);
    const facts = {
      id: "o",
      reference: null,
      owner: "ada",
      keyDigest: null,
      personal: null,
      country: "GB",
      payment: { method: "test", token: "tok" },
    };
    this.order = evolve(undefined, {
      type: "placed",
      at,
      order: { ...facts, lines, total: gbp(total), shipping: gbp(shipping) },
    });
    this.reserved = sum(lines, (line) => (line.kind === "physical" ? line.quantity : 0));
    this.heard.push({ type: "stock-reserved" });
  }

  /** What was decided happens, and the others are told. */
  decide(decided: OrderEvent[]): void {
    for (const event of decided) {
      this.order = evolve(this.order, event);
      const told = published(this.order, event, undefined);
      for (const { type, data } of told) if (type === "order.lines-cancelled") this.#remains(data);
      this.toPayments.push(...told);
      this.toInventory.push(...told);
    }
    this.check();
  }

  /** What is said to remain is what is neither sent nor cancelled is worth. */
  #remains(data: unknown): void {
    const { lines, shipping } = this.order;
    const sent = lines.some(({ shipped = 0 }) => shipped > 0);
    const waits = sum(lines, (line) => {
      const units = open(line) + (line.leaving ?? 0);
      return share(line, shipped(line) + units) - share(line, shipped(line));
    });
    const some = lines.some((line) => open(line) + (line.leaving ?? 0) > 0);
    const charge = some && !sent ? (shipping?.amount ?? 0) : 0;
    expect(data).toMatchObject({ remaining: gbp(this.later ? waits + charge : 0) });
  }

  hear(index: number, again: boolean): void {
    const place = index % Math.max(1, this.heard.length);
    const heard = this.heard[place];
    if (heard === undefined) return;
    if (!again) this.heard.splice(place, 1);
    this.decide(advance(this.order, heard, at));
  }

  payments(): void {
    const event = this.toPayments.shift();
    if (event === undefined) return;
    const data = event.data as {
      amount: { amount: number };
      shipmentId: string;
      final: boolean;
      returnId: string;
    };
    switch (event.type) {
      case "order.reserved":
        this.#authorise();
        return;
      case "order.shipment-accepted":
        this.#capture(data.shipmentId, data.amount.amount, data.final);
        return;
      case "order.lines-cancelled":
        if ((event.data as { remaining: { amount: number } }).remaining.amount > 0) return;
        this.authorised = 0;
        this.finished = true;
        return;
      case "order.return-received":
        this.#refund(data.returnId, data.amount.amount);
        return;
      case "order.aborting":
        this.over = true;
        this.authorised = 0;
        this.refunded = this.captured;
        this.heard.push({ type: "money-given-back", held: 0 });
    }
  }

  #authorise(): void {
    if (this.over) return;
    const { total } = this.order;
    const now = this.later ? atOnce(this.order) : total.amount;
    this.captured = now;
    this.authorised = total.amount - now;
    if (now > 0) this.heard.push({ type: "payment-captured", amount: now });
    if (this.authorised > 0) this.heard.push({ type: "payment-authorised" });
  }

  #capture(key: string, amount: number, final: boolean): void {
    expect(amount).toBeGreaterThan(0);
    expect(this.finished).toBe(false);
    this.finished = final;
    if (this.authorised === 0) {
      this.heard.push({ type: "capture-failed", key, reason: "authorisation-expired" });
      return;
    }
    expect(amount).toBeLessThanOrEqual(this.authorised);
    this.captured += amount;
    this.authorised = final ? 0 : this.authorised - amount;
    this.heard.push({ type: "payment-captured", key, amount });
  }

  #refund(key: string, amount: number): void {
    expect(this.#keys.has(key)).toBe(false);
    this.#keys.add(key);
    expect(amount).toBeLessThanOrEqual(this.captured - this.refunded);
    this.refunded += amount;
    const held = this.authorised + this.captured - this.refunded;
    if (amount > 0) this.heard.push({ type: "money-given-back", key, held });
  }

  /** The authorisation cannot be renewed. */
  expire(): void {
    if (this.authorised === 0) return;
    this.authorised = 0;
    this.heard.push({ type: "payment-expired" });
  }

  inventory(): void {
    const event = this.toInventory.shift();
    if (event === undefined) return;
    const { lines = [], returnId } = event.data as {
      lines?: (Piece & { restock?: boolean })[];
      returnId: string;
    };
    const units = sum(lines, ({ quantity }) => quantity);
    switch (event.type) {
      case "order.lines-cancelled":
        this.reserved -= units;
        break;
      case "order.shipped":
        this.reserved -= units;
        this.out += units;
        break;
      case "order.return-received":
        this.back += units;
        this.heard.push({ type: "restocked", returnId });
        break;
      case "order.aborting":
        this.reserved = 0;
        this.heard.push({ type: "stock-released" });
    }
    expect(this.reserved).toBeGreaterThanOrEqual(0);
  }

  /** What holds at every moment. */
  check(): void {
    const { lines, shipments = [], returns = [] } = this.order;
    for (const { kind, quantity, shipped = 0, leaving = 0, cancelled = 0, returned = 0 } of lines) {
      const gone = kind === "service" ? quantity : shipped;
      expect(Math.min(shipped, leaving, cancelled, returned)).toBeGreaterThanOrEqual(0);
      expect(shipped + leaving + cancelled).toBeLessThanOrEqual(quantity);
      expect(returned).toBeLessThanOrEqual(gone);
    }
    expect(shipments.filter(({ status }) => status === "dispatching").length).toBeLessThanOrEqual(1);
    const { status } = this.order;
    if (status === "cancelled") {
      expect([this.authorised, this.captured - this.refunded, this.reserved]).toEqual([0, 0, 0]);
    }
    if (status === "returned") {
      expect(lines.every((line) => kept(line) === 0 && open(line) === 0 && !line.leaving)).toBe(true);
      expect(returns.map((one) => one.status)).not.toContain("received");
      expect(this.back).toBe(sum(lines, ({ kind, returned = 0 }) => (kind === "physical" ? returned : 0)));
    }
    if (status === "shipped" || status === "delivered") {
      expect(lines.every((line) => open(line) === 0 && !line.leaving)).toBe(true);
      expect(shipments.length).toBeGreaterThan(0);
      const all = shipments.every((one) => one.status === "delivered");
      expect(all).toBe(status === "delivered");
    }
  }

  /** Everybody answers, in the end. */
  settle(): void {
    while (this.heard.length + this.toPayments.length + this.toInventory.length > 0) {
      this.payments();
      this.inventory();
      this.hear(0, false);
    }
  }
}

const sum = <T>(all: T[], of: (one: T) => number): number => all.reduce((total, one) => total + of(one), 0);

type Act =
  | { do: "hear"; index: number; again: boolean }
  | { do: "payments" | "inventory" | "expire" | "settle" }
  | { do: "dispatch"; id: number; lines: Piece[] }
  | { do: "dispatch-all"; id: number }
  | { do: "arrive"; index: number }
  | { do: "arrive-all" }
  | { do: "cancel"; lines?: Piece[] }
  | { do: "return"; lines: Piece[]; atHand: boolean; writeOff: boolean }
  | { do: "receive"; index: number; lines?: (Piece & { condition: "restock" | "write-off" })[] };

function act(world: World, one: Act): void {
  const { order } = world;
  const asked = (decided: OrderEvent[] | object): void => {
    if (Array.isArray(decided)) world.decide(decided);
  };
  switch (one.do) {
    case "hear":
      world.hear(one.index, one.again);
      return;
    case "dispatch":
    case "dispatch-all": {
      const lines = one.do === "dispatch" ? one.lines : openOf(order);
      world.heard.push({ type: "shipment-dispatching", shipment: { id: `o-${one.id}`, lines } });
      return;
    }
    case "arrive": {
      const shipment = order.shipments?.[one.index % (order.shipments.length || 1)];
      if (shipment && shipment.status !== "dispatching")
        world.heard.push({ type: "shipment-delivered", shipmentId: shipment.id });
      return;
    }
    case "arrive-all":
      for (const { id } of order.shipments ?? [])
        world.heard.push({ type: "shipment-delivered", shipmentId: id });
      return;
    case "cancel":
      asked(cancel(order, { lines: one.lines, at }));
      return;
    case "return":
      asked(askReturn(order, { ...one, at }));
      return;
    case "receive": {
      const returned = order.returns?.[one.index % (order.returns.length || 1)];
      if (returned) asked(receive(order, { returnId: returned.id, lines: one.lines, at }));
      return;
    }
    default:
      world[one.do]();
  }
}

const openOf = ({ lines }: Order): Piece[] =>
  lines.flatMap((line) => (open(line) > 0 ? [{ sku: line.sku, quantity: open(line) }] : []));

const skus = ["A", "B", "S"];
const anyLine = fc
  .record({
    sku: fc.constantFrom(...skus),
    quantity: fc.integer({ min: 1, max: 4 }),
    price: fc.integer({ min: 0, max: 999 }),
    // As promotions and taxes make it.
    more: fc.option(fc.integer({ min: -3, max: 3 })),
  })
  .map(({ sku, quantity, price, more }): Line => {
    const whole = quantity * price;
    return {
      sku,
      name: sku,
      quantity,
      unitPrice: gbp(price),
      kind: sku === "S" ? "service" : "physical",
      ...(more === null ? {} : { total: Math.max(0, whole + more) }),
    };
  });
const anyPieces = fc.array(
  fc.record({ sku: fc.constantFrom(...skus), quantity: fc.integer({ min: 1, max: 3 }) }),
  { minLength: 1, maxLength: 2 },
);
const index = fc.nat(9);
const hear = fc.record({ do: fc.constant("hear" as const), index, again: fc.boolean() });
const work = fc.constantFrom<Act>(
  { do: "payments" },
  { do: "inventory" },
  { do: "settle" },
  { do: "settle" },
);
const anyAct: fc.Arbitrary<Act> = fc.oneof(
  { arbitrary: hear, weight: 4 },
  { arbitrary: work, weight: 4 },
  { arbitrary: fc.record({ do: fc.constant("dispatch" as const), id: index, lines: anyPieces }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("dispatch-all" as const), id: index }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("arrive" as const), index }), weight: 1 },
  { arbitrary: fc.constant<Act>({ do: "arrive-all" }), weight: 2 },
  {
    arbitrary: fc.record({ do: fc.constant("cancel" as const), lines: anyPieces }, { requiredKeys: ["do"] }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      do: fc.constant("return" as const),
      lines: anyPieces,
      atHand: fc.boolean(),
      writeOff: fc.boolean(),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record(
      {
        do: fc.constant("receive" as const),
        index,
        lines: fc.array(
          fc.record({
            sku: fc.constantFrom(...skus),
            quantity: fc.integer({ min: 1, max: 2 }),
            condition: fc.constantFrom("restock" as const, "write-off" as const),
          }),
          { maxLength: 2 },
        ),
      },
      { requiredKeys: ["do", "index"] },
    ),
    weight: 2,
  },
  { arbitrary: fc.constant<Act>({ do: "expire" }), weight: 1 },
);
const story = fc.tuple(
  fc.array(anyLine, { minLength: 1, maxLength: 4 }),
  fc.constantFrom(0, 50),
  fc.array(anyAct, { maxLength: 40, size: "max" }),
  fc.boolean(),
);

function check(later: boolean, seen: Map<string, number>): void {
  fc.assert(
    fc.property(story, ([lines, shipping, acts, paid]) => {
      const physical = lines.some(({ kind }) => kind === "physical");
      const world = new World(lines, physical ? shipping : 0, later);
      // Half of the stories begin with an order that is paid.
      if (paid) world.settle();
      for (const one of acts) act(world, one);
      world.settle();
      const { order } = world;
      seen.set(order.status, (seen.get(order.status) ?? 0) + 1);
      // Nothing hangs.
      expect(["placed", "reserved", "aborting"]).not.toContain(order.status);
      expect(shown(order)).toBe(order.status as ReturnType<typeof shown>);
      expect(order.lines.every((line) => !line.leaving)).toBe(true);
      expect((order.returns ?? []).map(({ status }) => status)).not.toContain("received");
      // Money and goods.
      const held = world.captured - world.refunded;
      if (order.status === "cancelled") {
        expect([held, world.authorised, world.reserved, world.out]).toEqual([0, 0, 0, 0]);
        return;
      }
      const waiting = sum(order.lines, open);
      const charge = order.lines.some((line) => line.kind === "physical" && shipped(line) > 0) ? shipping : 0;
      const keptWorth = sum(
        order.lines,
        (line) => share(line, shipped(line)) - share(line, line.returned ?? 0),
      );
      expect(owed(order)).toBe(sum(order.lines, (line) => share(line, shipped(line))) + charge);
      if (later || waiting === 0) expect(held).toBe(keptWorth + charge);
      else {
        // All was captured at once: what still waits is paid for, too.
        const ahead = sum(
          order.lines,
          (line) => share(line, shipped(line) + open(line)) - share(line, shipped(line)),
        );
        expect(held).toBe(keptWorth + ahead + (physical ? shipping : 0));
      }
      if (waiting === 0) expect(world.authorised).toBe(0);
      expect(world.reserved).toBe(waiting);
      expect(world.out).toBe(
        sum(order.lines, ({ kind, shipped = 0 }) => (kind === "physical" ? shipped : 0)),
      );
    }),
    { numRuns: 4_000 },
  );
}

describe("captured − refunded is what the goods are worth that are kept, and stock adds up", () => {
  test.each([
    ["each shipment is captured when it leaves", true],
    ["everything was captured at once", false],
  ])(
    "when %s",
    (_, later) => {
      const seen = new Map<string, number>();
      check(later, seen);
      // The stories go everywhere.
      for (const status of ["confirmed", "shipped", "delivered", "returned", "cancelled"])
        expect(seen.get(status) ?? 0, status).toBeGreaterThan(20);
    },
    120_000,
  );
});

test("the parts of a line are worth as much as the line, however it is divided", () => {
  fc.assert(
    fc.property(anyLine, fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 5 }), (line, sizes) => {
      let left = line.quantity;
      let order = new World([line], 0, true).order;
      let refunds = 0;
      for (const size of sizes) {
        const quantity = Math.min(size, left);
        const units = [{ line: 0, quantity }];
        refunds += refundFor(order, units);
        const returned = (order.lines[0]?.returned ?? 0) + quantity;
        order = { ...order, lines: order.lines.map((one) => ({ ...one, returned })) };
        left -= quantity;
      }
      expect(refunds).toBe(share(line, line.quantity - left));
      expect(share(line, line.quantity)).toBe(line.total ?? line.quantity * line.unitPrice.amount);
    }),
    { numRuns: 2_000 },
  );
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import fc from "fast-check";
import {
  OrderAborting,
  OrderLinesCancelled,
  OrderPlaced,
  OrderReturnReceived,
  OrderShipped,
  ProductCreated,
  ProductStocked,
  ProductUpdated,
} from "./contracts.ts";
import inventory from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;
let clock: number;

const line = (sku: string, quantity: number, kind: "physical" | "service" = "physical") => ({
  sku,
  quantity,
  kind,
});
const placed = (orderId: string, ...lines: ReturnType<typeof line>[]) =>
  shop.deliver(OrderPlaced, { orderId, lines });
const aborting = (orderId: string) => shop.deliver(OrderAborting, { orderId });
const unmoved = { sold: 0, restocked: 0, writtenOff: 0 };
const pieces = (sku: string, quantity: number) => ({ sku, quantity });
const cancelled = (orderId: string, ...lines: ReturnType<typeof pieces>[]) =>
  shop.deliver(OrderLinesCancelled, { orderId, lines });
const shipped = (orderId: string, shipmentId: string, ...lines: ReturnType<typeof pieces>[]) =>
  shop.deliver(OrderShipped, { orderId, shipmentId, lines });
const back = (
  orderId: string,
  returnId: string,
  ...lines: { sku: string; quantity: number; restock: boolean }[]
) => shop.deliver(OrderReturnReceived, { orderId, returnId, lines });
const stocked = async (sku: string, onHand: number) => {
  expect(await shop.deliver(ProductStocked, { sku, onHand })).toBe("SUCCESS");
};
const level = async (sku: string) => {
  const found = await shop.store.level(sku);
  return found && { onHand: found.onHand, reserved: found.reserved };
};
const told = async () => (await shop.published()).map(({ type, subject, data }) => ({ type, subject, data }));
const jobsLeft = async () => {
  const metrics = await (await shop.request("/metrics")).text();
  return Number(/^souk_jobs_pending.* (\d+)$/m.exec(metrics)?.[1]);
};
const ofOrders = async () =>
  (await told()).filter(({ type }) => type !== "stock.adjusted" && type !== "stock.availability");

/** Looks after every turn of the event loop until there is an answer. */
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error("It did not come");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

beforeEach(async () => {
  clock = Date.now();
  shop = await testService(inventory, { folder: import.meta.dir, now: () => clock });
});
afterEach(() => shop.stop());

describe("products", () => {
  test("a physical product gets a level with nothing on hand, a service none", async () => {
    await shop.deliver(ProductCreated, { sku: "A", kind: "physical" });
    await shop.deliver(ProductCreated, { sku: "POST", kind: "service" });
    expect(await level("A")).toEqual({ onHand: 0, reserved: 0 });
    expect(await level("POST")).toBeUndefined();
    await shop.deliver(ProductUpdated, { sku: "POST", kind: "physical" });
    expect(await level("POST")).toEqual({ onHand: 0, reserved: 0 });
    expect(await told()).toEqual([]);
  });

  test("one that is told of again keeps its stock", async () => {
    await stocked("A", 5);
    await shop.deliver(ProductCreated, { sku: "A", kind: "physical" });
    expect(await level("A")).toEqual({ onHand: 5, reserved: 0 });
  });

  test("an import's count is taken over and told", async () => {
    await shop.deliver(ProductCreated, { sku: "A", kind: "physical" });
    await stocked("A", 12);
    expect(await told()).toEqual([
      {
        type: "stock.adjusted",
        subject: "A",
        data: { sku: "A", onHand: 12, reserved: 0, available: 12, version: 2, ...unmoved },
      },
    ]);
  });

  test("a count below what is reserved goes down to that and says what was counted", async () => {
    await stocked("A", 12);
    await placed("o-1", line("A", 8));
    await stocked("A", 3);
    expect(await level("A")).toEqual({ onHand: 8, reserved: 8 });
    expect((await told()).at(-1)).toEqual({
      type: "stock.adjusted",
      subject: "A",
      data: { sku: "A", onHand: 8, reserved: 8, available: 0, version: 4, counted: 3, ...unmoved },
    });
  });

  test("created and counted in one batch, in whatever order, the count stands", async () => {
    const skus = Array.from({ length: 50 }, (_, i) => `P${i}`);
    await Promise.all([
      shop.deliverAll(
        ProductStocked,
        skus.map((sku) => ({ sku, onHand: 7 })),
      ),
      shop.deliverAll(
        ProductCreated,
        skus.map((sku) => ({ sku, kind: "physical" as const })),
      ),
    ]);
    for (const sku of skus) expect(await level(sku)).toEqual({ onHand: 7, reserved: 0 });
  });
});

describe("an order", () => {
  test("gets all it wants, several lines of one product at once", async () => {
    await stocked("A", 10);
    await stocked("B", 10);
    await placed("o-1", line("B", 2), line("A", 4), line("B", 3), line("POST", 1, "service"));
    expect(await level("A")).toEqual({ onHand: 10, reserved: 4 });
    expect(await level("B")).toEqual({ onHand: 10, reserved: 5 });
    const lines = [
      { sku: "A", quantity: 4 },
      { sku: "B", quantity: 5 },
    ];
    expect(await ofOrders()).toEqual([
      { type: "stock.reserved", subject: "o-1", data: { orderId: "o-1", lines } },
    ]);
  });

  test("or nothing", async () => {
    await stocked("A", 10);
    await stocked("B", 1);
    await placed("o-1", line("A", 4), line("B", 2));
    expect(await level("A")).toEqual({ onHand: 10, reserved: 0 });
    expect(await ofOrders()).toEqual([
      {
        type: "stock.refused",
        subject: "o-1",
        data: { orderId: "o-1", reason: "out-of-stock", skus: ["B"] },
      },
    ]);
  });

  test("of services alone is reserved at once", async () => {
    await placed("o-1", line("POST", 3, "service"));
    expect(await ofOrders()).toEqual([
      { type: "stock.reserved", subject: "o-1", data: { orderId: "o-1", lines: [] } },
    ]);
  });

  test("that is told three times is reserved once", async () => {
    await stocked("A", 10);
    const order = { orderId: "o-1", lines: [line("A", 4)] };
    await Promise.all([
      shop.deliver(OrderPlaced, order, { id: "e-1" }),
      shop.deliver(OrderPlaced, order, { id: "e-1" }),
      shop.deliver(OrderPlaced, order, { id: "e-2" }),
    ]);
    expect(await level("A")).toEqual({ onHand: 10, reserved: 4 });
    expect(await ofOrders()).toHaveLength(1);
  });

  test("of a thousand lines is reserved, and given back", async () => {
    const skus = Array.from({ length: 1_000 }, (_, i) => `S${i}`);
    await shop.deliverAll(
      ProductStocked,
      skus.map((sku) => ({ sku, onHand: 5 })),
    );
    await placed("o-1", ...skus.map((sku) => line(sku, 5)));
    await placed("o-2", ...skus.map((sku) => line(sku, 1)));
    await aborting("o-1");
    await placed("o-3", ...skus.map((sku) => line(sku, 2)));
    expect((await ofOrders()).map(({ type, subject }) => [subject, type])).toEqual([
      ["o-1", "stock.reserved"],
      ["o-2", "stock.refused"],
      ["o-1", "stock.released"],
      ["o-3", "stock.reserved"],
    ]);
    expect(await level("S999")).toEqual({ onHand: 5, reserved: 2 });
  });
});

describe("an order that is taken back", () => {
  test("gives back what it holds, once, however often it is asked", async () => {
    await stocked("A", 10);
    await placed("o-1", line("A", 4));
    await placed("o-2", line("A", 5));
    await Promise.all([aborting("o-1"), aborting("o-1")]);
    await aborting("o-1");
    expect(await level("A")).toEqual({ onHand: 10, reserved: 5 });
    const released = (await ofOrders()).filter(({ type }) => type === "stock.released");
    expect(released.map(({ data }) => data)).toEqual([
      { orderId: "o-1", lines: [{ sku: "A", quantity: 4 }] },
      { orderId: "o-1", lines: [] },
      { orderId: "o-1", lines: [] },
    ]);
  });

  test("before it came never holds anything", async () => {
    await stocked("A", 10);
    await aborting("o-1");
    await placed("o-1", line("A", 4));
    expect(await level("A")).toEqual({ onHand: 10, reserved: 0 });
    expect(await ofOrders()).toEqual([
      { type: "stock.released", subject: "o-1", data: { orderId: "o-1", lines: [] } },
    ]);
  });

  test("while it comes holds nothing in the end", async () => {
    await stocked("A", 1_000);
    const ids = Array.from({ length: 60 }, (_, i) => `o-${i}`);
    await Promise.all(
      ids.flatMap((id, i) =>
        i % 2 ? [placed(id, line("A", 4)), aborting(id)] : [aborting(id), placed(id, line("A", 4))],
      ),
    );
    expect(await level("A")).toEqual({ onHand: 1_000, reserved: 0 });
    const events = await ofOrders();
    for (const id of ids)
      expect(events.filter((event) => event.subject === id).at(-1)?.type).toBe("stock.released");
  });

  test("when it was refused is answered all the same", async () => {
    await stocked("A", 1);
    await placed("o-1", line("A", 4));
    await aborting("o-1");
    expect((await ofOrders()).at(-1)).toMatchObject({ type: "stock.released", data: { lines: [] } });
    expect(await level("A")).toEqual({ onHand: 1, reserved: 0 });
  });
});

describe("an order that is confirmed", () => {
  beforeEach(async () => {
    await stocked("A", 10);
    await stocked("B", 5);
    await placed("o-1", line("A", 4), line("B", 2));
  });
  const moved = async (sku: string) => {
    const { sold, restocked, writtenOff } = (await shop.store.level(sku)) ?? unmoved;
    return { sold, restocked, writtenOff };
  };

  test("leaves in parts, each once, and holds what is still to leave", async () => {
    await shipped("o-1", "o-1-1", pieces("A", 3));
    await shipped("o-1", "o-1-1", pieces("A", 3));
    expect(await level("A")).toEqual({ onHand: 7, reserved: 1 });
    expect(await moved("A")).toEqual({ ...unmoved, sold: 3 });
    await shipped("o-1", "o-1-2", pieces("A", 1), pieces("B", 2));
    expect(await level("A")).toEqual({ onHand: 6, reserved: 0 });
    expect(await level("B")).toEqual({ onHand: 3, reserved: 0 });
    expect(await shop.store.reservation("o-1")).toMatchObject({ status: "reserved", lines: [] });
    expect((await ofOrders()).map(({ type }) => type)).toEqual(["stock.reserved"]);
  });

  test.each(["before", "after"])("gives back what is cancelled of it, %s the rest leaves", async (when) => {
    if (when === "before") await cancelled("o-1", pieces("A", 1), pieces("B", 2));
    await shipped("o-1", "o-1-1", pieces("A", 2));
    if (when === "after") await cancelled("o-1", pieces("A", 1), pieces("B", 2));
    expect(await level("A")).toEqual({ onHand: 8, reserved: 1 });
    expect(await level("B")).toEqual({ onHand: 5, reserved: 0 });
    await aborting("o-1");
    expect((await ofOrders()).at(-1)).toEqual({
      type: "stock.released",
      subject: "o-1",
      data: { orderId: "o-1", lines: [pieces("A", 1)] },
    });
    expect(await level("A")).toEqual({ onHand: 8, reserved: 0 });
  });

  test("gives back all of it once, when it is cancelled in parts and then given up, in whatever order", async () => {
    await aborting("o-1");
    await cancelled("o-1", pieces("A", 1));
    expect(await level("A")).toEqual({ onHand: 10, reserved: 0 });
    expect(await level("B")).toEqual({ onHand: 5, reserved: 0 });
  });

  test("comes back: on the shelf, or written off; whoever tells it again is answered", async () => {
    await shipped("o-1", "o-1-1", pieces("A", 4), pieces("B", 2));
    const lines = [
      { ...pieces("A", 2), restock: true },
      { ...pieces("A", 1), restock: false },
      { ...pieces("B", 1), restock: false },
    ];
    await back("o-1", "r-1", ...lines);
    await back("o-1", "r-1", ...lines);
    expect(await level("A")).toEqual({ onHand: 8, reserved: 0 });
    expect(await level("B")).toEqual({ onHand: 3, reserved: 0 });
    expect(await moved("A")).toEqual({ sold: 4, restocked: 2, writtenOff: 1 });
    expect(await moved("B")).toEqual({ sold: 2, restocked: 0, writtenOff: 1 });
    const answers = (await ofOrders()).filter(({ type }) => type === "stock.restocked");
    expect(answers.map(({ data }) => data)).toEqual([
      { orderId: "o-1", returnId: "r-1", lines: [pieces("A", 2)] },
      { orderId: "o-1", returnId: "r-1", lines: [] },
    ]);
  });

  test("comes back with nothing that has a shelf, and is answered all the same", async () => {
    await back("o-1", "r-1");
    expect((await ofOrders()).at(-1)).toEqual({
      type: "stock.restocked",
      subject: "o-1",
      data: { orderId: "o-1", returnId: "r-1", lines: [] },
    });
  });

  test("comes back after its product is gone, or with one that never had a level", async () => {
    await back("o-1", "r-1", { ...pieces("GONE", 2), restock: true }, { ...pieces("X", 1), restock: false });
    expect(await level("GONE")).toEqual({ onHand: 2, reserved: 0 });
    expect(await level("X")).toEqual({ onHand: 0, reserved: 0 });
    await placed("o-2", line("GONE", 2));
    expect(await level("GONE")).toEqual({ onHand: 2, reserved: 2 });
  });

  test("what is counted later says what has moved by then", async () => {
    await shipped("o-1", "o-1-1", pieces("A", 4));
    await back("o-1", "r-1", { ...pieces("A", 1), restock: true });
    await stocked("A", 20);
    expect((await told()).at(-1)?.data).toMatchObject({ onHand: 20, sold: 4, restocked: 1, writtenOff: 0 });
  });

  test("and whose reservation is not there yet, after a restore, is dealt with when it is", async () => {
    await shipped("o-2", "o-2-1", pieces("A", 1));
    await cancelled("o-2", pieces("A", 1));
    expect(await level("A")).toEqual({ onHand: 10, reserved: 4 });
    const metrics = await (await shop.request("/metrics")).text();
    expect(metrics).toContain('souk_reactions_total{type="order.shipped",result="early"');
    expect(metrics).not.toContain('result="failed"');
    await placed("o-2", line("A", 3));
    clock += 200;
    await until(async () => ((await level("A"))?.reserved === 5 ? true : undefined));
    expect(await level("A")).toEqual({ onHand: 9, reserved: 5 });
  });

  test("leaves with more than it holds: what is on hand never falls below what others hold", async () => {
    await placed("o-2", line("A", 5));
    await cancelled("o-1", pieces("A", 4));
    await shipped("o-1", "o-1-1", pieces("A", 9));
    expect(await level("A")).toEqual({ onHand: 5, reserved: 5 });
    expect(await moved("A")).toEqual({ ...unmoved, sold: 5 });
  });
});

describe("many at once", () => {
  test("100 orders for 10 pieces in one batch: exactly 10 are reserved", async () => {
    await stocked("A", 10);
    const answers = await shop.deliverAll(
      OrderPlaced,
      Array.from({ length: 100 }, (_, i) => ({ orderId: `o-${i}`, lines: [line("A", 1)] })),
    );
    expect(answers).toEqual(Array.from({ length: 100 }, () => "SUCCESS"));
    const events = await ofOrders();
    expect(events.filter(({ type }) => type === "stock.reserved")).toHaveLength(10);
    expect(events.filter(({ type }) => type === "stock.refused")).toHaveLength(90);
    expect(await level("A")).toEqual({ onHand: 10, reserved: 10 });
  });

  test("reservations of one product do not make each other decide again", async () => {
    await stocked("A", 1_000);
    let decisions = 0;
    const { reservation } = shop.store;
    shop.store.reservation = (id) => {
      decisions++;
      return reservation(id);
    };
    await shop.deliverAll(
      OrderPlaced,
      Array.from({ length: 100 }, (_, i) => ({ orderId: `o-${i}`, lines: [line("A", 2)] })),
    );
    expect(decisions).toBe(100);
    expect(await level("A")).toEqual({ onHand: 1_000, reserved: 200 });
  });

  test("whatever comes together, twice, late and in any order, it adds up", async () => {
    const lines = fc.array(
      fc.record({ sku: fc.constantFrom("A", "B", "C"), quantity: fc.integer({ min: 1, max: 4 }) }),
      { minLength: 1, maxLength: 3 },
    );
    const turns = fc.array(fc.nat({ max: 3 }), { minLength: 2, maxLength: 2 });
    const fate = fc.constantFrom(
      "kept",
      "aborted",
      "shipped",
      "shipped in parts",
      "part cancelled",
      "returned",
    );
    const order = fc.record({ lines, fate, turns, placed: fc.nat({ max: 3 }) });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(order, { minLength: 1, maxLength: 12 }), async (orders) => {
        run++;
        const own = (sku: string) => `${sku}${run}`;
        for (const sku of ["A", "B", "C"]) await stocked(own(sku), 12);
        const all = orders.map((order, i) => ({
          ...order,
          orderId: `o-${run}-${i}`,
          lines: order.lines.map(({ sku, quantity }) => line(own(sku), quantity)),
        }));
        // Each order comes twice, and is given up in some turn or other; what is in one turn comes at once.
        const inTurns = async (some: { turn: number | undefined; deliver: () => Promise<unknown> }[]) => {
          for (const now of [0, 1, 2, 3]) {
            const here = some.filter(({ turn }) => turn === now);
            const answers = await Promise.all(here.map(({ deliver }) => deliver()));
            expect(answers.every((answer) => answer === "SUCCESS")).toBe(true);
          }
        };
        await inTurns(
          all.flatMap(({ orderId, lines, fate, turns: [first, second], placed }) => {
            const data = { orderId, lines };
            const place = () => shop.deliver(OrderPlaced, data, { id: `p-${orderId}` });
            const abort = { turn: placed, deliver: () => aborting(orderId) };
            return [
              { turn: first, deliver: place },
              { turn: second, deliver: place },
              ...(fate === "aborted" ? [abort] : []),
            ];
          }),
        );
        // Of those that are reserved, pieces leave, are cancelled and come back: each told twice.
        const claims = await Promise.all(all.map(({ orderId }) => shop.store.reservation(orderId)));
        const one = (line: { sku: string; quantity: number }) => ({ sku: line.sku, quantity: 1 });
        await inTurns(
          all.flatMap(({ orderId, fate, turns }, i) => {
            const held = claims[i]?.status === "reserved" ? claims[i].lines : [];
            if (held.length === 0) return [];
            const twice = (id: string, deliver: (id: string) => Promise<unknown>) =>
              turns.map((turn) => ({ turn, deliver: () => deliver(`${orderId} ${id}`) }));
            const ship = (id: string, lines: typeof held) =>
              twice(id, (event) =>
                shop.deliver(OrderShipped, { orderId, shipmentId: id, lines }, { id: event }),
              );
            const cancel = (lines: typeof held) =>
              twice("cancel", (event) =>
                shop.deliver(OrderLinesCancelled, { orderId, lines }, { id: event }),
              );
            const takeBack = (id: string, lines: typeof held) =>
              twice(id, (event) => {
                const restocked = lines.map((each, n) => ({ ...each, restock: n % 2 === 0 }));
                return shop.deliver(
                  OrderReturnReceived,
                  { orderId, returnId: id, lines: restocked },
                  { id: event },
                );
              });
            const rest = held.map((each) => ({ ...each, quantity: each.quantity - 1 }));
            const left = rest.filter(({ quantity }) => quantity > 0);
            switch (fate) {
              case "shipped":
                return ship("1", held);
              case "shipped in parts":
                return [...ship("1", held.map(one)), ...(left.length > 0 ? ship("2", left) : [])];
              case "part cancelled":
                return [...ship("1", held.map(one)), ...(left.length > 0 ? cancel(left) : [])];
              case "returned":
                return [...ship("1", held), ...takeBack("r", held)];
              default:
                return [];
            }
          }),
        );

        const sums = new Map<
          string,
          { reserved: number; sold: number; restocked: number; writtenOff: number }
        >();
        const add = (
          sku: string,
          name: "reserved" | "sold" | "restocked" | "writtenOff",
          quantity: number,
        ) => {
          const sum = sums.get(sku) ?? { reserved: 0, ...unmoved };
          sums.set(sku, { ...sum, [name]: sum[name] + quantity });
        };
        for (const [i, { fate, orderId }] of all.entries()) {
          const claim = await shop.store.reservation(orderId);
          if (fate === "aborted") expect(claim?.status).toBe("released");
          if (claims[i]?.status !== "reserved") continue;
          for (const [n, { sku, quantity }] of claims[i].lines.entries()) {
            if (fate === "kept") add(sku, "reserved", quantity);
            else add(sku, "sold", fate === "part cancelled" ? 1 : quantity);
            if (fate === "returned") add(sku, n % 2 === 0 ? "restocked" : "writtenOff", quantity);
          }
          if (fate !== "kept") expect(claim?.lines).toEqual([]);
        }
        for (const sku of ["A", "B", "C"].map(own)) {
          const sum = sums.get(sku) ?? { reserved: 0, ...unmoved };
          expect(await shop.store.level(sku)).toMatchObject({
            ...sum,
            onHand: 12 - sum.sold + sum.restocked,
          });
          expect(sum.reserved).toBeLessThanOrEqual(12 - sum.sold + sum.restocked);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("an order that is ahead of its product", () => {
  test("waits, and is reserved when the count comes", async () => {
    await placed("o-1", line("A", 4));
    expect(await ofOrders()).toEqual([]);
    await shop.deliver(ProductCreated, { sku: "A", kind: "physical" });
    await stocked("A", 10);
    clock += 200;
    expect(await until(async () => (await ofOrders()).at(-1))).toMatchObject({ type: "stock.reserved" });
    expect(await level("A")).toEqual({ onHand: 10, reserved: 4 });
  });

  test("is refused when nothing comes", async () => {
    await placed("o-1", line("A", 4));
    clock += 10_000;
    expect(await until(async () => (await ofOrders()).at(-1))).toMatchObject({
      type: "stock.refused",
      data: { skus: ["A"] },
    });
  });

  test("can be taken back meanwhile", async () => {
    await placed("o-1", line("A", 4));
    await aborting("o-1");
    await stocked("A", 10);
    clock += 200;
    await placed("o-2", line("A", 1));
    // Also the look at how few there are now.
    clock += 1_000;
    await until(async () => ((await jobsLeft()) === 0 ? true : undefined));
    expect((await ofOrders()).map(({ type, subject }) => [subject, type])).toEqual([
      ["o-1", "stock.released"],
      ["o-2", "stock.reserved"],
    ]);
  });
});

describe("the others hear of what is scarce", () => {
  const scarce = async () =>
    (await told()).flatMap(({ type, data }) => (type === "stock.availability" ? [data] : []));
  const quiet = () => until(async () => ((await jobsLeft()) === 0 ? true : undefined));

  test("once for all that happened in a while, to the piece, and when there is plenty again", async () => {
    await stocked("A", 12);
    await placed("o-1", line("A", 1));
    await placed("o-2", line("A", 4));
    clock += 500;
    await quiet();
    expect(await scarce()).toMatchObject([{ sku: "A", available: 7, plenty: false }]);
    await aborting("o-1");
    clock += 500;
    await quiet();
    await stocked("A", 40);
    clock += 500;
    await quiet();
    expect((await scarce()).slice(1)).toMatchObject([
      { sku: "A", available: 8, plenty: false },
      { sku: "A", available: 36, plenty: true },
    ]);
    const versions = (await scarce()).map((data) => (data as { version: number }).version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
  });

  test("a new product with nothing on hand is sold out; one with plenty is not worth a word", async () => {
    await shop.deliver(ProductCreated, { sku: "A", kind: "physical" });
    await stocked("B", 5_000);
    await placed("o-1", line("B", 3));
    clock += 500;
    await quiet();
    expect(await scarce()).toMatchObject([{ sku: "A", available: 0, plenty: false }]);
  });
});

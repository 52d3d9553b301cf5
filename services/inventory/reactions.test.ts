import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import fc from "fast-check";
import { OrderAborting, OrderPlaced, ProductCreated, ProductStocked, ProductUpdated } from "./contracts.ts";
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
  const end = performance.now() + 4_000;
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
        data: { sku: "A", onHand: 12, reserved: 0, available: 12, version: 2 },
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
      data: { sku: "A", onHand: 8, reserved: 8, available: 0, version: 4, counted: 3 },
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

  test("whatever comes together, the reservations add up", async () => {
    const lines = fc.array(
      fc.record({ sku: fc.constantFrom("A", "B", "C"), quantity: fc.integer({ min: 1, max: 4 }) }),
      { minLength: 1, maxLength: 3 },
    );
    const turns = fc.array(fc.nat({ max: 3 }), { minLength: 3, maxLength: 3 });
    const order = fc.record({ lines, aborted: fc.boolean(), turns });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(order, { minLength: 1, maxLength: 12 }), async (orders) => {
        run++;
        const own = (sku: string) => `${sku}${run}`;
        for (const sku of ["A", "B", "C"]) await stocked(own(sku), 6);
        // Each order comes twice, some are taken back, each of it in some turn; what is in one turn comes at once.
        const deliveries = orders.flatMap(({ lines: wanted, aborted, turns: [first, second, third] }, i) => {
          const orderId = `o-${run}-${i}`;
          const data = { orderId, lines: wanted.map(({ sku, quantity }) => line(own(sku), quantity)) };
          const place = () => shop.deliver(OrderPlaced, data, { id: `p-${orderId}` });
          return [
            { turn: first, deliver: place },
            { turn: second, deliver: place },
            ...(aborted ? [{ turn: third, deliver: () => aborting(orderId) }] : []),
          ];
        });
        for (const now of [0, 1, 2, 3]) {
          const answers = await Promise.all(
            deliveries.filter(({ turn }) => turn === now).map(({ deliver }) => deliver()),
          );
          expect(answers.every((answer) => answer === "SUCCESS")).toBe(true);
        }

        const held = new Map<string, number>();
        for (const [i, { aborted }] of orders.entries()) {
          const reservation = await shop.store.reservation(`o-${run}-${i}`);
          if (aborted) expect(reservation?.status).toBe("released");
          if (reservation?.status !== "reserved") continue;
          for (const { sku, quantity } of reservation.lines) held.set(sku, (held.get(sku) ?? 0) + quantity);
        }
        for (const sku of ["A", "B", "C"].map(own)) {
          expect(await level(sku)).toEqual({ onHand: 6, reserved: held.get(sku) ?? 0 });
          expect(held.get(sku) ?? 0).toBeLessThanOrEqual(6);
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

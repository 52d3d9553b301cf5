import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import type { CloudEvent } from "hono-dapr";
import {
  PaymentCaptured,
  PaymentRefunded,
  PaymentVoided,
  ProductCreated,
  ShipmentDelivered,
  ShipmentDispatching,
  StockReleased,
  StockReserved,
  StockRestocked,
  UserErased,
} from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

// Cancelling and returning, at every point where a person could ask. Ada's order: three A at 255, two B at 100, one
// service at 350, which is captured at once; the rest with each shipment.

let shop: TestService<Store>;
let id: string;
let seen: number;

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const own = { scopes: ["orders:read", "orders:write"], caller: "ada" };
const staff = { scopes: ["orders:manage"] };

beforeEach(async () => {
  shop = await testService(orders, { folder: import.meta.dir });
  for (const [sku, amount, kind] of [
    ["A", 255, "physical"],
    ["B", 100, "physical"],
    ["CARD", 350, "service"],
  ] as const)
    await shop.deliver(ProductCreated, { sku, name: sku, price: gbp(amount), kind, version: 1 });
  const lines = [
    { sku: "A", quantity: 3 },
    { sku: "B", quantity: 2 },
    { sku: "CARD", quantity: 1 },
  ];
  const placed = await shop.request("/orders", { method: "POST", body: { ...newOrder, lines }, ...own });
  id = ((await placed.json()) as { id: string }).id;
});
afterEach(() => shop.stop());

const newOrder = {
  customer: { email: "ada@example.com", name: "Ada" },
  shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: "tok_ok" },
};

const until = async (what: () => Promise<boolean>) => {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
};

interface Shown {
  status: string;
  reason?: string;
  history: { status: string; reason?: string }[];
  lines: { shipped: number; cancelled: number; returned: number }[];
  shipments: { id: string; status: string; lines: object[] }[];
  returns: { id: string; status: string; reason: string; amount: { amount: number } }[];
  notes?: { note: string }[];
}
const read = async (): Promise<Shown> => (await (await shop.request(`/orders/${id}`, staff)).json()) as Shown;

// ── What others tell ────────────────────────────────────────────────────────────────────────────────────────

type Step = () => Promise<unknown>;
const orderId = () => ({ orderId: id });
const reserved: Step = () => shop.deliver(StockReserved, orderId());
const paid: Step = () => shop.deliver(PaymentCaptured, { ...orderId(), amount: gbp(350) });
const dispatching =
  (n: number, lines: { sku: string; quantity: number }[]): Step =>
  () =>
    shop.deliver(ShipmentDispatching, { ...orderId(), shipmentId: `${id}-${n}`, lines });
const captured =
  (n: number, amount: number): Step =>
  () =>
    shop.deliver(PaymentCaptured, { ...orderId(), key: `${id}-${n}`, amount: gbp(amount) });
const delivered =
  (n: number): Step =>
  () =>
    shop.deliver(ShipmentDelivered, { ...orderId(), shipmentId: `${id}-${n}` });
const released: Step = () => shop.deliver(StockReleased, orderId());
const voided: Step = () => shop.deliver(PaymentVoided, { ...orderId(), held: gbp(0) });
const refunded =
  (n: number): Step =>
  () =>
    shop.deliver(PaymentRefunded, { ...orderId(), held: gbp(1), key: `${id}-r${n}` });
const restocked =
  (n: number): Step =>
  () =>
    shop.deliver(StockRestocked, { ...orderId(), returnId: `${id}-r${n}` });

// ── What people ask ─────────────────────────────────────────────────────────────────────────────────────────

interface Ask {
  path: string;
  body?: object;
  by: typeof own | typeof staff;
}
const pieces = (...all: [string, number][]) => all.map(([sku, quantity]) => ({ sku, quantity }));
const cancel = (...lines: [string, number][]): Ask => ({
  path: "cancel",
  ...(lines.length > 0 ? { body: { lines: pieces(...lines) } } : {}),
  by: own,
});
const comesBack = (...lines: [string, number][]): Ask => ({
  path: "returns",
  body: { lines: pieces(...lines), reason: "too small" },
  by: staff,
});
const sendBack = (...lines: [string, number][]): Ask => ({ ...comesBack(...lines), by: own });
const receive = (n: number, body: object = {}): Ask => ({ path: `returns/${n}/receive`, body, by: staff });

const asking =
  ({ path, body, by }: Ask): (() => Promise<Response>) =>
  () =>
    shop.request(`/orders/${id}/${path.replace(/^returns\/(\d)/, `returns/${id}-r$1`)}`, {
      method: "POST",
      body,
      ...by,
    });

// ── The points ──────────────────────────────────────────────────────────────────────────────────────────────

const confirmed: Step[] = [reserved, paid];
const two = pieces(["A", 2]);
const rest = pieces(["A", 1], ["B", 2]);
const inHandOver = [...confirmed, dispatching(1, two)];
const half = [...inHandOver, captured(1, 510)];
const halfAndInHandOver = [...half, dispatching(2, pieces(["B", 2]))];
const shipped = [...half, dispatching(2, rest), captured(2, 455)];
const arrived = [...shipped, delivered(1), delivered(2)];
const asked = [...arrived, asking(sendBack(["A", 2]))];
const partly = [...arrived, asking(comesBack(["A", 1])), refunded(1), restocked(1)];

interface Row {
  point: string;
  after: Step[];
  ask: Ask;
  /** What is answered: nothing said is 202; or the refusal's code, and the pointers that it names. */
  refused?: [code: string, ...pointers: string[]];
  /** What the others are told. */
  tells?: string[];
  status: string;
  /** What is heard afterwards, and what it comes to. */
  later?: [Step[], status: string];
}

const row = (point: string, after: Step[], ask: Ask, rest: Omit<Row, "point" | "after" | "ask">): Row => ({
  point,
  after,
  ask,
  ...rest,
});
const all: [string, number][] = [
  ["A", 3],
  ["B", 2],
  ["CARD", 1],
];
const physical = all.slice(0, 2);

const cancelling: Row[] = [
  row("before the reservation answers", [], cancel(), {
    tells: ["aborting cancelled"],
    status: "placed",
    later: [[reserved, released], "cancelled"],
  }),
  row("before the reservation answers, a part", [], cancel(["A", 1]), {
    refused: ["not-confirmed-yet"],
    status: "placed",
  }),
  row("before the reservation answers, all by name", [], cancel(...all), {
    tells: ["aborting cancelled"],
    status: "placed",
  }),
  row("while payment is slow", [reserved], cancel(), {
    tells: ["aborting cancelled"],
    status: "reserved",
    later: [[paid, released, voided], "cancelled"],
  }),
  row("while payment is slow, a part", [reserved], cancel(["B", 1]), {
    refused: ["not-confirmed-yet"],
    status: "reserved",
  }),
  row("after it is confirmed", confirmed, cancel(), {
    tells: ["aborting cancelled"],
    status: "confirmed",
    later: [[voided, released], "cancelled"],
  }),
  row("after it is confirmed, all by name", confirmed, cancel(...all), {
    tells: ["aborting cancelled"],
    status: "confirmed",
  }),
  row("after it is confirmed, a part", confirmed, cancel(["A", 1], ["B", 2]), {
    tells: ["lines-cancelled A1 B2, open A2, 510 remains"],
    status: "confirmed",
  }),
  row("after it is confirmed, all but the service", confirmed, cancel(...physical), {
    tells: ["lines-cancelled A3 B2, open , 0 remains"],
    status: "confirmed",
  }),
  row("after it is confirmed, the service alone", confirmed, cancel(["CARD", 1]), {
    refused: ["not-cancellable", "/lines/0/sku"],
    status: "confirmed",
  }),
  row("after it is confirmed, too many", confirmed, cancel(["B", 1], ["A", 4]), {
    refused: ["not-cancellable", "/lines/1/quantity"],
    status: "confirmed",
  }),
  row("while it is handed over", inHandOver, cancel(), {
    tells: ["lines-cancelled A1 B2, open , 510 remains"],
    status: "confirmed",
    later: [[captured(1, 510)], "shipped"],
  }),
  row("while it is handed over, what is", inHandOver, cancel(["A", 2]), {
    refused: ["not-cancellable", "/lines/0/quantity"],
    status: "confirmed",
  }),
  row("while all of it is handed over", [...confirmed, dispatching(1, pieces(...physical))], cancel(), {
    refused: ["not-cancellable"],
    status: "confirmed",
  }),
  row("half shipped", half, cancel(), {
    tells: ["lines-cancelled A1 B2, open , 0 remains"],
    status: "shipped",
  }),
  row("half shipped, a part", half, cancel(["B", 1]), {
    tells: ["lines-cancelled B1, open A1 B1, 355 remains"],
    status: "confirmed",
  }),
  row("half shipped and arrived", [...half, delivered(1)], cancel(), {
    tells: ["lines-cancelled A1 B2, open , 0 remains"],
    status: "delivered",
  }),
  row("half shipped, and handed over", halfAndInHandOver, cancel(), {
    tells: ["lines-cancelled A1, open , 200 remains"],
    status: "confirmed",
    later: [[captured(2, 200)], "shipped"],
  }),
  row("all shipped", shipped, cancel(), { refused: ["not-cancellable"], status: "shipped" }),
  row("delivered", arrived, cancel(), { refused: ["not-cancellable"], status: "delivered" }),
  row("delivered, by name", arrived, cancel(["A", 1]), {
    refused: ["not-cancellable", "/lines/0/sku"],
    status: "delivered",
  }),
  row("partly returned", partly, cancel(), { refused: ["not-cancellable"], status: "delivered" }),
  row("cancelled already", [asking(cancel()), released], cancel(), { tells: [], status: "cancelled" }),
  row("while it is being cancelled", [asking(cancel())], cancel(), { tells: [], status: "placed" }),
];

const returning: Row[] = [
  row("before the reservation answers", [], comesBack(["A", 1]), {
    refused: ["not-returnable"],
    status: "placed",
  }),
  row("while payment is slow", [reserved], comesBack(["CARD", 1]), {
    refused: ["not-returnable"],
    status: "reserved",
  }),
  row("after it is confirmed", confirmed, comesBack(["A", 1]), {
    refused: ["not-returnable", "/lines/0/sku"],
    status: "confirmed",
  }),
  row("after it is confirmed, the service", confirmed, comesBack(["CARD", 1]), {
    tells: ["return-received r1 : 350"],
    status: "confirmed",
    later: [[refunded(1)], "confirmed"],
  }),
  row("while it is handed over", inHandOver, comesBack(["A", 1]), {
    refused: ["not-returnable", "/lines/0/sku"],
    status: "confirmed",
  }),
  row("half shipped", half, comesBack(["A", 2]), {
    tells: ["return-received r1 A2: 510"],
    status: "confirmed",
    later: [
      [refunded(1), restocked(1), asking(cancel()), asking(comesBack(["CARD", 1])), refunded(2)],
      "returned",
    ],
  }),
  row("half shipped, too many", half, comesBack(["CARD", 1], ["A", 3]), {
    refused: ["not-returnable", "/lines/1/quantity"],
    status: "confirmed",
  }),
  row("half shipped, and handed over", halfAndInHandOver, comesBack(["A", 1], ["CARD", 1]), {
    tells: ["return-received r1 A1: 605"],
    status: "confirmed",
  }),
  row("all shipped", shipped, comesBack(["B", 1]), {
    tells: ["return-received r1 B1: 100"],
    status: "shipped",
    later: [[restocked(1), refunded(1), delivered(1), delivered(2)], "delivered"],
  }),
  row("delivered", arrived, comesBack(...all), {
    tells: ["return-received r1 A3 B2: 1315"],
    status: "delivered",
    later: [[refunded(1)], "delivered"],
  }),
  row("delivered, and refunded and restocked", arrived, comesBack(...all), {
    tells: ["return-received r1 A3 B2: 1315"],
    status: "delivered",
    later: [[refunded(1), restocked(1)], "returned"],
  }),
  row(
    "delivered, and to be written off",
    arrived,
    { ...comesBack(["A", 1]), body: { lines: pieces(["A", 1]), reason: "in pieces", writeOff: true } },
    {
      tells: ["return-received r1 A1 written off: 255"],
      status: "delivered",
    },
  ),
  row("partly returned", partly, comesBack(["A", 2]), {
    tells: ["return-received r2 A2: 510"],
    status: "delivered",
  }),
  row("partly returned, too many", partly, comesBack(["A", 3]), {
    refused: ["not-returnable", "/lines/0/quantity"],
    status: "delivered",
  }),
  row("by a customer", arrived, sendBack(["A", 1]), { tells: [], status: "delivered" }),
  row("by a customer, what is on its way back", asked, sendBack(["A", 2]), {
    refused: ["not-returnable", "/lines/0/quantity"],
    status: "delivered",
  }),
  row("received", asked, receive(1), { tells: ["return-received r1 A2: 510"], status: "delivered" }),
  row(
    "received in part, and not all of it whole",
    asked,
    receive(1, {
      lines: [{ sku: "A", quantity: 1, condition: "write-off" }],
    }),
    { tells: ["return-received r1 A1 written off: 255"], status: "delivered" },
  ),
  row(
    "received, one whole and one not",
    asked,
    receive(1, {
      lines: [
        { sku: "A", quantity: 1, condition: "restock" },
        { sku: "A", quantity: 1, condition: "write-off" },
      ],
    }),
    { tells: ["return-received r1 A1 A1 written off: 510"], status: "delivered" },
  ),
  row("received, and nothing was in it", asked, receive(1, { lines: [] }), {
    tells: [],
    status: "delivered",
  }),
  row(
    "received, more than was asked for",
    asked,
    receive(1, {
      lines: [{ sku: "A", quantity: 3, condition: "restock" }],
    }),
    { refused: ["not-returnable", "/lines/0/quantity"], status: "delivered" },
  ),
  row("received twice", [...asked, asking(receive(1))], receive(1), {
    refused: ["already-received"],
    status: "delivered",
  }),
  row("received, and nobody has asked for it", arrived, receive(1), {
    refused: ["not-found"],
    status: "delivered",
  }),
  row("returned", [...arrived, asking(comesBack(...all)), refunded(1), restocked(1)], comesBack(["A", 1]), {
    refused: ["not-returnable", "/lines/0/sku"],
    status: "returned",
  }),
  row("cancelled", [asking(cancel()), released], comesBack(["A", 1]), {
    refused: ["not-returnable"],
    status: "cancelled",
  }),
];

describe.each([
  ["cancelling", cancelling],
  ["returning", returning],
])("%s", (_, rows) => {
  test.each(rows.map((row) => [`${row.point}: ${row.refused?.[0] ?? "done"}`, row] as const))(
    "%s",
    async (_, { after, ask, refused, tells = [], status, later }) => {
      for (const step of after) await step();
      seen = (await shop.published()).length;
      const answer = await asking(ask)();
      const body = (await answer.json()) as { code: string; errors?: { pointer: string }[] };
      if (refused) {
        expect([
          answer.status === 202,
          body.code,
          ...(body.errors ?? []).map(({ pointer }) => pointer),
        ]).toEqual([false, ...refused]);
      } else expect([answer.status, body.code]).toEqual([202, undefined as never]);
      expect((await shop.published()).slice(seen).map(told)).toEqual(tells);
      expect((await read()).status).toBe(status);
      if (later) {
        for (const step of later[0]) await step();
        expect((await read()).status).toBe(later[1]);
      }
    },
  );
});

/** An event in a few words. */
function told({ type, data }: CloudEvent): string {
  const {
    lines = [],
    open = [],
    remaining,
    amount,
    returnId,
    outcome,
  } = data as {
    lines?: { sku: string; quantity: number; restock?: boolean }[];
    open?: { sku: string; quantity: number }[];
    remaining?: { amount: number };
    amount?: { amount: number };
    returnId?: string;
    outcome?: string;
  };
  const words = lines
    .map(({ sku, quantity, restock }) => `${sku}${quantity}${restock === false ? " written off" : ""}`)
    .join(" ");
  const what = type.replace("order.", "");
  if (what === "aborting") return `aborting ${outcome}`;
  if (what === "lines-cancelled")
    return `lines-cancelled ${words}, open ${open.map(({ sku, quantity }) => sku + quantity).join(" ")}, ${remaining?.amount} remains`;
  if (what === "return-received")
    return `return-received ${returnId?.slice(id.length + 1)} ${words}: ${amount?.amount}`;
  return what;
}

describe("what is read afterwards", () => {
  test("shows shipments, what is cancelled and what came back, and what was said about it", async () => {
    for (const step of half) await step();
    await asking({ ...cancel(), body: { lines: pieces(["B", 1]), reason: "one is enough" } })();
    await asking(sendBack(["A", 1]))();
    expect(await read()).toMatchObject({
      status: "confirmed",
      lines: [
        { shipped: 2, cancelled: 0, returned: 0 },
        { shipped: 0, cancelled: 1, returned: 0 },
        { shipped: 1, cancelled: 0, returned: 0 },
      ],
      shipments: [{ id: `${id}-1`, status: "dispatched", lines: two }],
      returns: [{ id: `${id}-r1`, status: "requested", reason: "too small", amount: gbp(255) }],
      notes: [{ note: "one is enough" }],
    });
  });

  test("names the shipment that waits, as long as nobody has divided it", async () => {
    for (const step of confirmed) await step();
    const waiting = [{ id: `${id}-1`, status: "pending", lines: pieces(...physical) }];
    expect((await read()).shipments).toEqual(waiting);
    await dispatching(1, pieces(["A", 9]))();
    expect((await read()).shipments).toEqual([]);
  });

  test("is without what was said once the customer is erased", async () => {
    for (const step of arrived) await step();
    await asking(sendBack(["A", 1]))();
    await shop.deliver(UserErased, { userId: "ada" });
    await until(async () => "erased" in (await read()));
    expect(await read()).toMatchObject({ status: "delivered", returns: [{ reason: "", amount: gbp(255) }] });
    // It goes its way, and nothing is noted any more.
    await asking(receive(1))();
    await asking({ ...comesBack(["B", 1]), by: staff })();
    expect(await read()).toMatchObject({ returns: [{ reason: "" }, { reason: "", status: "received" }] });
  });
});

test("a shipment leaves when its money is there, and an order of which all was captured at once", async () => {
  await reserved();
  await shop.deliver(PaymentCaptured, { ...orderId(), amount: gbp(1315) });
  await dispatching(1, two)();
  await dispatching(2, rest)();
  const types = (await shop.published()).map(({ type }) => type);
  expect(types.slice(-3)).toEqual(["order.confirmed", "order.shipped", "order.shipped"]);
  expect(await read()).toMatchObject({ status: "shipped", history: [{}, {}, {}, { status: "shipped" }] });
});

test("what was captured and is cancelled goes back", async () => {
  await reserved();
  await shop.deliver(PaymentCaptured, { ...orderId(), amount: gbp(1315) });
  await asking(cancel(["A", 1]))();
  const told = (await shop.published()).slice(-2);
  expect(told.map(({ type }) => type)).toEqual(["order.lines-cancelled", "order.return-received"]);
  expect(told[1]?.data).toMatchObject({ lines: [], amount: gbp(255) });
});

test("only staff say what is written off", async () => {
  for (const step of arrived) await step();
  const body = { lines: two, reason: "broken", writeOff: true };
  const answer = await asking({ path: "returns", body, by: own })();
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
    403,
    "insufficient-scope",
  ]);
});

test("one Idempotency-Key is one return", async () => {
  for (const step of arrived) await step();
  const ask = (key: string) =>
    shop.request(`/orders/${id}/returns`, {
      method: "POST",
      body: { lines: pieces(["A", 1]), reason: "too small" },
      headers: { "idempotency-key": key },
      ...own,
    });
  await ask("k-1");
  await ask("k-1");
  expect((await read()).returns).toHaveLength(1);
  await ask("k-2");
  expect((await read()).returns).toHaveLength(2);
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { eventually, gbp, type TestShop, testShop } from "./shop.ts";

// Orders, shipping, inventory and payments together: an order leaves in parts, is cancelled in part, and comes back.

let it: TestShop;

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

interface Seen {
  status: string;
  lines: { sku: string; shipped: number; cancelled: number; returned: number }[];
  shipments: { id: string; status: string; tracking?: string }[];
  returns: { id: string; status: string; amount: { amount: number } }[];
  history: { status: string }[];
}
const read = async (id: string): Promise<Seen> => (await it.api.call<Seen>(`/api/orders/${id}`)).body;
const reaches = (id: string, status: string): Promise<void> =>
  eventually(`${id} is ${status}`, async () => (await read(id)).status === status);
const ask = (path: string, body?: object, headers?: Record<string, string>) =>
  it.api.call<Seen>(path, { method: "POST", body, ...(headers ? { headers, guest: true } : {}) });

/** The shipments of an order as shipping has them. */
const shipments = async (order: string): Promise<{ id: string; status: string }[]> =>
  (await it.api.call<{ items: { id: string; status: string }[] }>(`/api/shipments?order=${order}`)).body
    .items;
async function pending(order: string): Promise<string> {
  let id: string | undefined;
  await eventually("a shipment waits", async () => {
    id = (await shipments(order)).find(({ status }) => status === "pending")?.id;
    return id !== undefined;
  });
  return id ?? "";
}
async function dispatch(order: string, body?: object): Promise<string> {
  const id = await pending(order);
  await ask(`/api/shipments/${id}/dispatch`, body);
  // Shipping hears last that it may go.
  await eventually("it has left", async () =>
    (await shipments(order)).some((one) => one.id === id && one.status === "dispatched"),
  );
  return id;
}

test("leaves in two shipments, and is delivered when both have arrived", async () => {
  const sku = await it.product({ price: gbp(300), onHand: 10 });
  const { id } = await it.settled(await it.place([{ sku, quantity: 5 }]));
  const first = await dispatch(id, { lines: [{ sku, quantity: 2 }], carrier: "post", tracking: "T-1" });
  expect(first).toBe(`${id}-1`);
  expect(await read(id)).toMatchObject({
    status: "confirmed",
    lines: [{ shipped: 2 }],
    shipments: [{ id: first, tracking: "T-1" }],
  });
  await eventually("stock has left", async () => (await it.stock(sku)).onHand === 8);
  expect(await it.stock(sku)).toMatchObject({ onHand: 8, reserved: 3, available: 5 });

  const second = await dispatch(id);
  await reaches(id, "shipped");
  await ask(`/api/shipments/${first}/deliver`);
  await eventually(
    "the first has arrived",
    async () => (await read(id)).shipments[0]?.status === "delivered",
  );
  expect((await read(id)).status).toBe("shipped");
  await ask(`/api/shipments/${second}/deliver`);
  await reaches(id, "delivered");
  await eventually("all has left", async () => (await it.stock(sku)).onHand === 5);
  expect(await it.stock(sku)).toMatchObject({ onHand: 5, reserved: 0, available: 5 });
  expect((await read(id)).history.map(({ status }) => status)).toEqual([
    "placed",
    "reserved",
    "confirmed",
    "shipped",
    "delivered",
  ]);
}, 60_000);

test("what has not left is cancelled, and its stock comes free", async () => {
  const sku = await it.product({ price: gbp(300), onHand: 10 });
  const { id } = await it.settled(await it.place([{ sku, quantity: 5 }]));
  await ask(`/api/orders/${id}/cancel`, { lines: [{ sku, quantity: 1 }], reason: "four will do" });
  await eventually("one is free", async () => (await it.stock(sku)).reserved === 4);
  await dispatch(id, { lines: [{ sku, quantity: 2 }] });
  await ask(`/api/orders/${id}/cancel`);
  await reaches(id, "shipped");
  await eventually("all is free", async () => (await it.stock(sku)).reserved === 0);
  expect(await it.stock(sku)).toMatchObject({ onHand: 8, available: 8 });
  await eventually("nothing is held but what was sent is worth", async () => {
    const { authorised, captured, refunded } = await it.payment(id);
    return captured.amount - refunded.amount === 600 && authorised.amount >= captured.amount;
  });
  await eventually("nothing waits", async () =>
    (await shipments(id)).every(({ status }) => status !== "pending"),
  );
  expect(await it.refusal(`/api/orders/${id}/cancel`, { method: "POST" })).toEqual({
    status: 409,
    code: "not-cancellable",
  });
}, 60_000);

test("what was sent comes back: asked for by its customer, received by staff, restocked or written off", async () => {
  const sku = await it.product({ price: gbp(300), onHand: 10 });
  const { id } = await it.settled(await it.place([{ sku, quantity: 3 }]));
  await dispatch(id);
  await reaches(id, "shipped");
  const customer = { authorization: `Bearer ${await it.token("orders:read orders:write")}` };
  const asked = await ask(
    `/api/orders/${id}/returns`,
    { lines: [{ sku, quantity: 2 }], reason: "too small" },
    customer,
  );
  expect(asked.body.returns).toMatchObject([{ status: "requested", amount: gbp(600) }]);
  const receive = `/api/orders/${id}/returns/${asked.body.returns[0]?.id}/receive`;
  expect(
    await it.refusal(receive, { method: "POST", body: {}, headers: customer, guest: true }),
  ).toMatchObject({ status: 403 });
  const lines = [
    { sku, quantity: 1, condition: "restock" },
    { sku, quantity: 1, condition: "write-off" },
  ];
  await ask(receive, { lines });
  await eventually("one is on the shelf", async () => (await it.stock(sku)).onHand === 8);
  await eventually("it is refunded", async () => (await read(id)).returns[0]?.status === "refunded");
  expect(await it.payment(id)).toMatchObject({ captured: gbp(900), refunded: gbp(600) });
  expect((await read(id)).lines).toMatchObject([{ shipped: 3, returned: 2 }]);
  expect(
    await it.refusal(`/api/orders/${id}/returns`, {
      method: "POST",
      body: { lines: [{ sku, quantity: 2 }], reason: "too small" },
    }),
  ).toEqual({ status: 409, code: "not-returnable" });

  await ask(`/api/orders/${id}/returns`, { lines: [{ sku, quantity: 1 }], reason: "too small" });
  await reaches(id, "returned");
  // It shows when it is true.
  expect(await it.payment(id)).toMatchObject({ captured: gbp(900), refunded: gbp(900) });
  expect(await it.stock(sku)).toMatchObject({ onHand: 9, reserved: 0, available: 9 });
  expect((await it.ledger()).balanced).toBe(true);
}, 60_000);

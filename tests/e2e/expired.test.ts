import { afterAll, beforeAll, expect, test } from "bun:test";
import { eventually, gbp, type TestShop, testShop } from "./shop.ts";

// Authorisations that run out before what they are for is sent.

let it: TestShop;

beforeAll(async () => {
  it = await testShop({ AUTHORISATION_LIFETIME_MS: "1500" });
}, 600_000);
afterAll(() => it?.stop(), 60_000);

interface Seen {
  status: string;
  reason?: string;
  shipments: { id: string; status: string }[];
}
const read = async (id: string): Promise<Seen> => (await it.api.call<Seen>(`/api/orders/${id}`)).body;
const lines = (sku: string, quantity: number) => [{ sku, quantity }];
const buy = async (sku: string, token: string): Promise<string> =>
  (await it.settled(await it.place(lines(sku, 3), { payment: { method: "test", token } }))).id;

/** Asks for a shipment to be handed over, as soon as shipping has one that waits. */
async function dispatch(order: string, body?: object): Promise<void> {
  await eventually("it is handed over", async () => {
    const { body: found } = await it.api.call<{ items: { id: string }[] }>(
      `/api/shipments?order=${order}&status=pending`,
    );
    const [waiting] = found.items;
    if (waiting === undefined) return false;
    const answer = await it.refusal(`/api/shipments/${waiting.id}/dispatch`, { method: "POST", body });
    return answer.status === 202;
  });
}

/** Waits until what was authorised for an order has run out. */
const runsOut = (order: string): Promise<void> =>
  eventually("it has run out", async () => {
    const { body } = await it.api.call<{ authorisedUntil?: string }>(`/api/payments/${order}`);
    return Date.now() > Date.parse(body.authorisedUntil ?? "");
  });

test("what cannot be paid for any more is not sent: the order is cancelled, and says why", async () => {
  const sku = await it.product({ price: gbp(300), onHand: 3 });
  const id = await buy(sku, "tok_expires");
  await runsOut(id);
  await dispatch(id);
  await eventually("it is cancelled", async () => (await read(id)).status === "cancelled");
  expect(await read(id)).toMatchObject({ reason: "authorisation-expired" });
  expect(await it.payment(id)).toMatchObject({ captured: gbp(0), refunded: gbp(0) });
  expect(await it.stock(sku)).toMatchObject({ onHand: 3, reserved: 0, available: 3 });
  expect((await it.ledger()).balanced).toBe(true);
}, 60_000);

test("what was sent before is kept", async () => {
  const sku = await it.product({ price: gbp(300), onHand: 3 });
  const id = await buy(sku, "tok_expires");
  await dispatch(id, { lines: lines(sku, 1) });
  await eventually("one has left", async () => (await read(id)).shipments[0]?.status === "dispatched");
  await runsOut(id);
  await dispatch(id);
  await eventually("the rest is cancelled", async () => (await read(id)).status === "shipped");
  expect(await it.payment(id)).toMatchObject({ captured: gbp(300), refunded: gbp(0) });
  await eventually("its stock is free", async () => (await it.stock(sku)).reserved === 0);
  expect(await it.stock(sku)).toMatchObject({ onHand: 2, available: 2 });
}, 60_000);

test("one that can be renewed is, and the order is sent", async () => {
  const sku = await it.product({ price: gbp(300), onHand: 3 });
  const id = await buy(sku, "tok_ok");
  await runsOut(id);
  await dispatch(id);
  await eventually("it has left", async () => (await read(id)).status === "shipped");
  expect(await it.payment(id)).toMatchObject({ captured: gbp(900) });
}, 60_000);

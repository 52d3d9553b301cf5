import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { eventually, gbp, type TestShop, testShop } from "./shop.ts";

setDefaultTimeout(120_000);

let it: TestShop;

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

interface ShipmentSeen {
  id: string;
  orderId: string;
  status: string;
  lines: { sku: string; quantity: number }[];
  tracking?: string;
  reports: { type: string; detail?: string }[];
}

const secretOf = (app: string, name: string): string =>
  (JSON.parse(readFileSync(join(it.shop.home.secrets, `${app}.json`), "utf8")) as Record<string, string>)[
    name
  ] ?? "";

const see = async (id: string): Promise<ShipmentSeen> =>
  (await it.api.call<ShipmentSeen>(`/api/shipments/${id}`)).body;
const becomes = (id: string, status: string): Promise<void> =>
  eventually(
    `${id} is ${status}`,
    async () => (await see(id).catch(() => undefined))?.status === status,
    30_000,
  );
const post = async (path: string, body?: object): Promise<ShipmentSeen> =>
  (await it.api.call<ShipmentSeen>(`/api/shipments/${path}`, { method: "POST", body })).body;
const orderIs = (id: string, status: string): Promise<void> =>
  eventually(
    `${id} is ${status}`,
    async () => (await it.api.call<{ status: string }>(`/api/orders/${id}`)).body.status === status,
    30_000,
  );

/** Five of something are ordered and paid for. */
async function ordered(
  options: { guest?: boolean } = {},
): Promise<{ sku: string; order: string; id: string }> {
  const sku = await it.product({ price: gbp(300), onHand: 10 });
  const { id: order } = await it.place([{ sku, quantity: 5 }], {}, options);
  await orderIs(order, "confirmed");
  const id = `${order}-1`;
  await becomes(id, "pending");
  return { sku, order, id };
}

describe("rates", () => {
  const path = "/api/shipping/rates/GB/standard";
  const body = (amount: number) => ({
    name: "Standard",
    prices: [{ upToGrams: 2_000, price: gbp(amount) }],
  });
  const offered = async (query = "?country=GB&weight=500") => {
    const { items } = (
      await it.api.call<{ items: { price: { amount: number } }[] }>(`/api/shipping/rates${query}`, {
        guest: true,
      })
    ).body;
    return items.map(({ price }) => price.amount);
  };

  test("are staff's to change, and everybody's to read at once", async () => {
    expect(await offered()).toEqual([]);
    const made = await it.api.call(path, { method: "PUT", body: body(395) });
    expect(made.status).toBe(201);
    expect(await offered()).toEqual([395]);
    const headers = { "if-match": made.headers.get("etag") ?? "" };
    const changed = await it.api.call(path, { method: "PUT", body: body(495), headers });
    // The edge has forgotten what it was told before.
    expect(await offered()).toEqual([495]);
    expect(await it.refusal(path, { method: "PUT", body: body(1), headers })).toEqual({
      status: 412,
      code: "precondition-failed",
    });
    const elsewhere = { name: "Abroad", prices: [{ upToGrams: null, price: gbp(1_995) }] };
    await it.api.call("/api/shipping/rates/*/standard", { method: "PUT", body: elsewhere });
    expect(await offered("?country=FR&weight=9000")).toEqual([1_995]);
    expect(await offered("?country=GB&weight=9000")).toEqual([]);
    await it.api.call(path, { method: "DELETE", headers: { "if-match": changed.headers.get("etag") ?? "" } });
    expect(await offered()).toEqual([1_995]);
    expect((await it.refusal(path, { guest: true })).status).toBe(401);
  });
});

describe("a confirmed order", () => {
  test("goes in parts, each when orders says so, and arrives", async () => {
    const { sku, order, id } = await ordered();
    expect((await see(id)).lines).toEqual([{ sku, quantity: 5 }]);
    const two = [{ sku, quantity: 2 }];
    expect(await post(`${id}/dispatch`, { lines: two })).toMatchObject({ status: "dispatching", lines: two });
    await becomes(id, "dispatched");
    const rest = `${order}-2`;
    expect(await see(rest)).toMatchObject({ status: "pending", lines: [{ sku, quantity: 3 }] });
    expect((await post(`${id}/deliver`)).status).toBe("delivered");
    await post(`${rest}/dispatch`);
    await orderIs(order, "shipped");
    await becomes(rest, "dispatched");
    await post(`${rest}/deliver`);
    await orderIs(order, "delivered");
    const { items } = (await it.api.call<{ items: ShipmentSeen[] }>(`/api/shipments?order=${order}`)).body;
    expect(items.map(({ id: one, status }) => [one, status])).toEqual([
      [rest, "delivered"],
      [id, "delivered"],
    ]);
    expect(await it.refusal(`/api/shipments/${id}/dispatch`, { method: "POST" })).toEqual({
      status: 409,
      code: "not-pending",
    });
  });

  test("holds in its shipment what is not cancelled, and nothing when it is taken back", async () => {
    const { sku, order, id } = await ordered();
    const cancel = (body?: object) => it.api.call(`/api/orders/${order}/cancel`, { method: "POST", body });
    await cancel({ lines: [{ sku, quantity: 2 }] });
    await eventually("three are left", async () => (await see(id)).lines[0]?.quantity === 3);
    await cancel();
    await becomes(id, "cancelled");
    expect(await it.refusal(`/api/shipments/${id}/dispatch`, { method: "POST" })).toEqual({
      status: 409,
      code: "not-pending",
    });
  });

  test("is seen by its customer and by staff, and a guest's by staff alone", async () => {
    const own = await ordered();
    const guests = await ordered({ guest: true });
    const headers = { authorization: `Bearer ${await it.token("orders:read")}` };
    const as = { guest: true, headers };
    const { body } = await it.api.call<ShipmentSeen>(`/api/shipments/${own.id}`, as);
    expect(body).toMatchObject({ id: own.id, status: "pending" });
    expect(await it.refusal(`/api/shipments/${guests.id}`, as)).toEqual({ status: 404, code: "not-found" });
    const { items } = (await it.api.call<{ items: ShipmentSeen[] }>("/api/shipments?limit=100", as)).body;
    expect(items.map(({ orderId }) => orderId)).toContain(own.order);
    expect(items.map(({ orderId }) => orderId)).not.toContain(guests.order);
    expect((await see(guests.id)).status).toBe("pending");
    expect((await it.refusal(`/api/shipments/${own.id}`, { guest: true })).status).toBe(401);
    const dispatch = { method: "POST", ...as };
    expect((await it.refusal(`/api/shipments/${own.id}/dispatch`, dispatch)).status).toBe(403);
  });
});

test("its carrier is heard, once and signed", async () => {
  const { order, id } = await ordered();
  const tracking = `T-${order}`;
  await post(`${id}/dispatch`, { carrier: "test", tracking });
  await becomes(id, "dispatched");
  const { test: secret = "" } = JSON.parse(secretOf("shipping", "carrier-webhooks")) as Record<
    string,
    string
  >;
  const tell = async (
    type: string,
    detail: string,
    by = secret,
    message: string = crypto.randomUUID(),
  ): Promise<number> => {
    const at = new Date();
    const body = JSON.stringify({ type, timestamp: at.toISOString(), data: { tracking, detail } });
    const answer = await fetch(`${it.shop.url}/api/shipping/webhooks/test`, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
        "webhook-signature": new Webhook(by).sign(message, at, body),
      },
    });
    return answer.status;
  };
  expect(await tell("delivered", "forged", `whsec_${btoa("a guess")}`)).toBe(400);
  expect(await tell("exception", "Nobody at home", secret, "m-1")).toBe(200);
  expect(await tell("exception", "Nobody at home", secret, "m-1")).toBe(200);
  expect(await tell("delivered", "Left with a neighbour")).toBe(200);
  await orderIs(order, "delivered");
  const { status, reports } = await see(id);
  expect(status).toBe("delivered");
  expect(reports.map(({ type, detail }) => [type, detail])).toEqual([
    ["exception", "Nobody at home"],
    ["delivered", "Left with a neighbour"],
  ]);
});

describe("while a service is down", () => {
  test("shipping: orders are confirmed, and their shipments are there when it is back", async () => {
    const sku = await it.product({ price: gbp(300), onHand: 10 });
    await it.shop.halt("shipping");
    const { id } = await it.settled(await it.place([{ sku, quantity: 5 }]));
    await it.shop.start("shipping");
    await it.shop.ready();
    await becomes(`${id}-1`, "pending");
  });

  test("orders: a dispatch waits, alone, and goes when it is back", async () => {
    const { sku, order, id } = await ordered();
    await it.shop.halt("orders");
    expect((await post(`${id}/dispatch`, { lines: [{ sku, quantity: 1 }] })).status).toBe("dispatching");
    const next = `/api/shipments/${order}-2/dispatch`;
    expect(await it.refusal(next, { method: "POST" })).toEqual({ status: 409, code: "dispatch-in-progress" });
    await it.shop.start("orders");
    await it.shop.ready();
    await becomes(id, "dispatched");
    await it.api.call(next, { method: "POST" });
    await orderIs(order, "shipped");
  });

  test("a kill -9 of shipping while something is handed over loses nothing", async () => {
    const { order, id } = await ordered();
    await post(`${id}/dispatch`);
    await it.shop.kill("shipping");
    await it.shop.ready();
    await becomes(id, "dispatched");
    await orderIs(order, "shipped");
  });
});

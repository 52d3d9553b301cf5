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
  reports: { type: string; detail?: string }[];
}

const secretOf = (app: string, name: string): string =>
  (JSON.parse(readFileSync(join(it.shop.home.secrets, `${app}.json`), "utf8")) as Record<string, string>)[
    name
  ] ?? "";

describe("rates", () => {
  const path = "/api/shipping/rates/GB/standard";
  const body = (amount: number) => ({ name: "Standard", prices: [{ upToGrams: 2_000, price: gbp(amount) }] });
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

test("nobody but orders says what is to be sent", async () => {
  const { daprHttpPort } = it.shop.run.services.catalog ?? { daprHttpPort: 0 };
  const answer = await fetch(`http://127.0.0.1:${daprHttpPort}/v1.0/publish/pubsub/orders`, {
    method: "POST",
    headers: { "content-type": "application/json", "dapr-api-token": secretOf("catalog", "dapr-api-token") },
    body: "{}",
  });
  expect(answer.status).toBe(403);
});

describe("a shipment", () => {
  /** What orders says, by its own sidecar. */
  async function orders(type: string, data: object): Promise<void> {
    const { daprHttpPort } = it.shop.run.services.orders ?? { daprHttpPort: 0 };
    const event = { specversion: "1.0", id: crypto.randomUUID(), source: "orders", type, data };
    const topic = type === "order.confirmed" ? "orders-confirmed" : "orders";
    const answer = await fetch(`http://127.0.0.1:${daprHttpPort}/v1.0/publish/pubsub/${topic}`, {
      method: "POST",
      headers: {
        "content-type": "application/cloudevents+json",
        "dapr-api-token": secretOf("orders", "dapr-api-token"),
      },
      body: JSON.stringify(event),
    });
    expect(answer.status).toBe(204);
  }
  const see = async (id: string) => (await it.api.call<ShipmentSeen>(`/api/shipments/${id}`)).body;
  const becomes = (id: string, status: string) =>
    eventually(`${id} is ${status}`, async () => {
      const seen = await see(id).catch(() => undefined);
      return seen?.status === status;
    });
  const post = (path: string, body?: object) =>
    it.api.call<ShipmentSeen>(`/api/shipments/${path}`, { method: "POST", ...(body ? { body } : {}) });
  const two = [{ sku: "A", quantity: 2 }];
  const five = [{ sku: "A", quantity: 5 }];

  async function confirmed(customerId?: string): Promise<{ orderId: string; id: string }> {
    const orderId = crypto.randomUUID();
    const id = `${orderId}-1`;
    await orders("order.confirmed", {
      orderId,
      ...(customerId ? { customerId } : {}),
      shipment: { id, lines: five, weight: 500 },
    });
    await becomes(id, "pending");
    return { orderId, id };
  }

  test("goes in parts, when orders says so, and arrives", async () => {
    const { orderId, id } = await confirmed();
    expect((await post(`${id}/dispatch`, { lines: two })).body.status).toBe("dispatching");
    expect(await it.refusal(`/api/shipments/${orderId}-2/dispatch`, { method: "POST" })).toEqual({
      status: 409,
      code: "dispatch-in-progress",
    });
    await orders("order.shipped", { orderId, shipmentId: id, lines: two });
    await becomes(id, "dispatched");
    await post(`${orderId}-2/dispatch`);
    await orders("order.shipment-refused", { orderId, shipmentId: `${orderId}-2`, reason: "not-open" });
    await becomes(`${orderId}-2`, "pending");
    expect((await post(`${id}/deliver`)).body.status).toBe("delivered");
    const { items } = (await it.api.call<{ items: ShipmentSeen[] }>(`/api/shipments?order=${orderId}`)).body;
    expect(items.map(({ id, status }) => [id, status])).toEqual([
      [`${orderId}-2`, "pending"],
      [id, "delivered"],
    ]);
  });

  test("is followed by what its carrier tells, once and signed", async () => {
    const { orderId, id } = await confirmed();
    const tracking = `T-${orderId}`;
    await post(`${id}/dispatch`, { carrier: "test", tracking });
    await orders("order.shipped", { orderId, shipmentId: id, lines: five });
    await becomes(id, "dispatched");
    const { test: secret = "" } = JSON.parse(secretOf("shipping", "carrier-webhooks")) as Record<
      string,
      string
    >;
    const tell = async (type: string, detail: string, by = secret, message: string = crypto.randomUUID()) => {
      const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data: { tracking, detail } });
      const at = new Date();
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
    const { status, reports } = await see(id);
    expect(status).toBe("delivered");
    expect(reports.map(({ type, detail }) => [type, detail])).toEqual([
      ["exception", "Nobody at home"],
      ["delivered", "Left with a neighbour"],
    ]);
  });

  test("outlives a kill -9 of shipping while it is being handed over", async () => {
    const { orderId, id } = await confirmed();
    await post(`${id}/dispatch`);
    await it.shop.kill("shipping");
    await orders("order.shipped", { orderId, shipmentId: id, lines: five });
    await it.shop.ready();
    await becomes(id, "dispatched");
  });
});

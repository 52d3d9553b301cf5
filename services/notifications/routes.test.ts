import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { EventType } from "hono-dapr";
import { Webhook as Verifier } from "standardwebhooks";
import type { DeliveryView, WebhookView } from "./contracts.ts";
import {
  OrderConfirmed,
  OrderDelivered,
  OrderLinesCancelled,
  OrderReturned,
  OrderReturnReceived,
  OrderShipped,
  PaymentCaptured,
  PaymentCaptureFailed,
  PaymentExpired,
  PaymentRefunded,
} from "./contracts.ts";
import { rig, until } from "./rig.fixture.ts";

interface Received {
  headers: Record<string, string>;
  body: string;
}

let on: Awaited<ReturnType<typeof rig>>;
let receiver: Bun.Server<undefined>;
let got: Received[];
let status: number;
beforeEach(async () => {
  got = [];
  status = 204;
  receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      got.push({ headers: Object.fromEntries(request.headers), body: await request.text() });
      return new Response(null, { status });
    },
  });
  on = await rig({ WEBHOOK_RETRY_MS: "1000,10000" });
});
afterEach(async () => {
  await on.stop();
  await receiver.stop(true);
});

const scopes = ["orders:manage"];
const url = () => `http://127.0.0.1:${receiver.port}/hooks`;
const ask = (path: string, method = "GET", body?: unknown, over: object = {}) =>
  on.app.request(path, { method, body, scopes, caller: "shop", ...over });
const registered = async (over: object = {}): Promise<WebhookView & { secret: string }> => {
  const response = await ask("/webhooks", "POST", { url: url(), events: ["order.confirmed"], ...over });
  expect(response.status).toBe(201);
  return (await response.json()) as WebhookView & { secret: string };
};
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const order = { orderId: "o-1", reference: null, total: gbp(1_530), country: "GB", lines: [] };
const happen = (id = "event-1") => on.app.deliver(OrderConfirmed, order, { id });
const deliveries = async (id: string, query = ""): Promise<DeliveryView[]> =>
  ((await (await ask(`/webhooks/${id}/deliveries${query}`)).json()) as { items: DeliveryView[] }).items;
const settled = (id: string, count = 1) =>
  until(
    () => deliveries(id),
    (all) => all.length > 0 && all.every(({ attempts }) => attempts.length >= count),
  );
const verified = (secret: string, { body, headers }: Received) => {
  // The receiver's clock is the real one, the service's stands still.
  const at = new Date(Number(headers["webhook-timestamp"]) * 1_000);
  const [, ...signatures] = ["", ...(headers["webhook-signature"] ?? "").split(" ")];
  return signatures.includes(new Verifier(secret).sign(headers["webhook-id"] ?? "", at, body));
};

describe("registering", () => {
  test("shows the secret once, and never again", async () => {
    const webhook = await registered({ events: ["order.confirmed", "order.confirmed", "order.cancelled"] });
    expect(webhook.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(webhook).toMatchObject({
      events: ["order.confirmed", "order.cancelled"],
      status: "enabled",
      secrets: 1,
    });
    const { secret: _, ...rest } = webhook;
    const read = await ask(`/webhooks/${webhook.id}`);
    expect(await read.json()).toEqual(rest);
    expect(read.headers.get("etag")).toBe('"1"');
    expect(await (await ask("/webhooks")).json()).toEqual({ items: [rest], nextCursor: null });
  });

  test("is once for one Idempotency-Key", async () => {
    const headers = { "idempotency-key": "k" };
    const body = { url: url(), events: ["order.confirmed"] };
    const first = await (await ask("/webhooks", "POST", body, { headers })).json();
    expect(await (await ask("/webhooks", "POST", body, { headers })).json()).toEqual(first);
    expect(((await (await ask("/webhooks")).json()) as { items: unknown[] }).items).toHaveLength(1);
  });

  test.each([
    [{ url: "https://10.0.0.1/", events: ["order.confirmed"] }, 422, "webhook-url-refused"],
    [{ url: "ftp://example.com/", events: ["order.confirmed"] }, 422, "webhook-url-refused"],
    [{ url: "no url", events: ["order.confirmed"] }, 400, "invalid-body"],
    [{ url: "https://example.com/\u0000", events: ["order.confirmed"] }, 400, "invalid-body"],
    [{ url: "https://example.com/", events: [] }, 400, "invalid-body"],
    [{ url: "https://example.com/", events: ["order.invented"] }, 400, "invalid-body"],
    [{ url: "https://example.com/", events: ["order.confirmed"], x: 1 }, 400, "invalid-body"],
    [{ url: "https://example.com/", events: ["payment.captured"] }, 403, "events-not-allowed"],
  ])("refuses %j", async (body, status, code) => {
    const response = await ask("/webhooks", "POST", body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ code });
  });

  test("needs a scope, and fifty are enough", async () => {
    const body = { url: url(), events: ["order.confirmed"] };
    expect((await ask("/webhooks", "POST", body, { scopes: ["catalog:write"] })).status).toBe(403);
    expect((await on.app.request("/webhooks", { method: "POST", body })).status).toBe(401);
    for (let n = 0; n < 50; n++) await registered();
    const response = await ask("/webhooks", "POST", body);
    expect(await response.json()).toMatchObject({ code: "too-many-webhooks" });
  });

  test("outside of development this machine is no address", async () => {
    const strict = await rig({ WEBHOOK_LOOPBACK: "" });
    const body = { url: url(), events: ["order.confirmed"] };
    const response = await strict.app.request("/webhooks", { method: "POST", body, scopes });
    expect(await response.json()).toMatchObject({ code: "webhook-url-refused" });
    await strict.stop();
  });
});

describe("what is somebody else's", () => {
  test("is not found", async () => {
    const { id } = await registered();
    await happen();
    const [delivery] = await settled(id);
    const eve = { caller: "eve" };
    for (const [path, method, body] of [
      [`/webhooks/${id}`, "GET"],
      [`/webhooks/${id}`, "PATCH", { status: "disabled" }],
      [`/webhooks/${id}`, "DELETE"],
      [`/webhooks/${id}/secret`, "POST"],
      [`/webhooks/${id}/deliveries`, "GET"],
      [`/webhooks/${id}/deliveries/${delivery?.id}/redeliver`, "POST"],
    ] as const) {
      expect((await ask(path, method, body, eve)).status, `${method} ${path}`).toBe(404);
    }
    expect(await (await ask("/webhooks", "GET", undefined, eve)).json()).toEqual({
      items: [],
      nextCursor: null,
    });
    const hers = (await (
      await ask("/webhooks", "POST", { url: url(), events: ["order.confirmed"] }, eve)
    ).json()) as WebhookView;
    const path = `/webhooks/${hers.id}/deliveries/${delivery?.id}/redeliver`;
    expect((await ask(path, "POST", undefined, eve)).status).toBe(404);
  });
});

describe("an event", () => {
  test("goes to who asked for it: signed, without anything personal", async () => {
    const { id, secret } = await registered();
    await happen();
    const [delivery] = await settled(id);
    expect(delivery).toMatchObject({
      event: { id: "event-1", type: "order.confirmed" },
      status: "delivered",
      attempts: [{ status: 204 }],
      nextAttemptAt: null,
    });
    expect(got).toHaveLength(1);
    const [received] = got as [Received];
    expect(received.headers["webhook-id"]).toBe("event-1");
    expect(verified(secret, received)).toBe(true);
    expect(verified(secret, { ...received, body: received.body.replace("1530", "1") })).toBe(false);
    expect(JSON.parse(received.body)).toEqual({
      type: "order.confirmed",
      timestamp: expect.any(String),
      data: order,
    });
  });

  const pieces = [{ sku: "85123A", quantity: 2 }];
  const shipmentId = "o-1-1";
  test.each([
    [
      OrderLinesCancelled.type,
      OrderLinesCancelled,
      { orderId: "o-1", lines: pieces, open: [], remaining: gbp(0), reason: "authorisation-expired" },
    ],
    [
      OrderShipped.type,
      OrderShipped,
      {
        orderId: "o-1",
        reference: null,
        shipmentId,
        lines: [{ sku: "85123A", quantity: 2, name: "Holder" }],
        carrier: "Royal Mail",
        tracking: "RM123456785GB",
        complete: true,
      },
    ],
    [OrderDelivered.type, OrderDelivered, { orderId: "o-1", reference: null, shipmentId, complete: true }],
    [
      OrderReturnReceived.type,
      OrderReturnReceived,
      {
        orderId: "o-1",
        returnId: "o-1-r1",
        lines: [{ sku: "85123A", quantity: 2, restock: true }],
        amount: gbp(510),
      },
    ],
    [OrderReturned.type, OrderReturned, { orderId: "o-1", reference: "536365" }],
    [
      PaymentCaptured.type,
      PaymentCaptured,
      { orderId: "o-1", amount: gbp(510), held: gbp(510), key: shipmentId },
    ],
    [
      PaymentCaptureFailed.type,
      PaymentCaptureFailed,
      { orderId: "o-1", key: shipmentId, reason: "authorisation-expired" },
    ],
    [PaymentExpired.type, PaymentExpired, { orderId: "o-1", amount: gbp(510), held: gbp(0) }],
    [PaymentRefunded.type, PaymentRefunded, { orderId: "o-1", amount: gbp(0), held: gbp(0), key: "o-1-r1" }],
  ])("of its way after it is paid is told: %s", async (name, type, data) => {
    const all = ["orders:manage", "payments:manage"];
    const webhook = await ask("/webhooks", "POST", { url: url(), events: [name] }, { scopes: all });
    const { id, secret } = (await webhook.json()) as WebhookView & { secret: string };
    // Whose it is is nobody else's business.
    await on.app.deliver(type as EventType<unknown>, { ...data, customerId: "u_1" }, { id: "event-1" });
    await settled(id);
    const [received] = got as [Received];
    expect(verified(secret, received)).toBe(true);
    expect(JSON.parse(received.body)).toEqual({ type: name, timestamp: expect.any(String), data });
  });

  test("that comes twice is one delivery, and one that nobody asked for is none", async () => {
    const { id } = await registered();
    await happen();
    await happen();
    await on.app.deliver(PaymentCaptured, { orderId: "o-1", amount: gbp(1), held: gbp(1) });
    await happen("event-2");
    await settled(id);
    expect((await deliveries(id)).map(({ event }) => event.id).sort()).toEqual(["event-1", "event-2"]);
    expect(got).toHaveLength(2);
  });

  test("is tried again by the schedule, with the same id and bytes, until it is taken", async () => {
    const { id, secret } = await registered();
    status = 503;
    await happen();
    const [first] = await settled(id);
    expect(first).toMatchObject({ status: "pending", attempts: [{ status: 503 }] });
    expect(Date.parse(first?.nextAttemptAt ?? "")).toBeGreaterThanOrEqual(on.now() + 1_000);
    status = 200;
    on.pass(1_100);
    const [second] = await settled(id, 2);
    expect(second).toMatchObject({ status: "delivered", attempts: [{ status: 503 }, { status: 200 }] });
    expect(got.map(({ headers }) => headers["webhook-id"])).toEqual(["event-1", "event-1"]);
    expect(got[0]?.body).toBe(got[1]?.body);
    // Signed anew: the time is part of it.
    expect(got.every((one) => verified(secret, one))).toBe(true);
    expect(got[0]?.headers["webhook-timestamp"]).not.toBe(got[1]?.headers["webhook-timestamp"]);
  });

  test("that nobody takes has failed in the end, and may be sent again", async () => {
    const { id } = await registered();
    status = 500;
    await happen();
    for (let n = 1; n <= 3; n++) {
      await settled(id, n);
      on.pass(12_000);
    }
    const [failed] = await deliveries(id, "?status=failed");
    expect(failed).toMatchObject({ status: "failed", nextAttemptAt: null });
    status = 204;
    const again = await ask(`/webhooks/${id}/deliveries/${failed?.id}/redeliver`, "POST");
    expect(again.status).toBe(202);
    expect(again.headers.get("location")).toBe(`/api/webhooks/${id}/deliveries`);
    expect(await settled(id, 4)).toMatchObject([{ status: "delivered" }]);
    expect(new Set(got.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set(["event-1"]));
  });
});

describe("a webhook", () => {
  test("that answers 410 is disabled, with the reason; enabled again, it has a new chance", async () => {
    const { id } = await registered();
    status = 410;
    await happen();
    await settled(id);
    const disabled = (await (await ask(`/webhooks/${id}`)).json()) as WebhookView;
    expect(disabled).toMatchObject({ status: "disabled", reason: expect.stringContaining("410") });
    await happen("event-2");
    const [delivery] = await deliveries(id);
    expect(await deliveries(id)).toHaveLength(1);
    const refused = await ask(`/webhooks/${id}/deliveries/${delivery?.id}/redeliver`, "POST");
    expect(await refused.json()).toMatchObject({ code: "webhook-disabled" });

    status = 200;
    const enabled = await ask(`/webhooks/${id}`, "PATCH", { status: "enabled" });
    expect(await enabled.json()).toMatchObject({ status: "enabled", reason: null });
    await happen("event-3");
    await until(
      () => deliveries(id, "?status=delivered"),
      (all) => all.length === 1,
    );
  });

  test("whose secret is made anew signs with both for a day", async () => {
    const { id, secret: before } = await registered();
    const rotated = await ask(`/webhooks/${id}/secret`, "POST");
    expect(rotated.status).toBe(201);
    expect(rotated.headers.get("location")).toBe(`/api/webhooks/${id}`);
    const { secret, secrets } = (await rotated.json()) as { secret: string; secrets: number };
    expect([secrets, secret === before]).toEqual([2, false]);
    await happen("event-1");
    await settled(id);
    expect([verified(secret, got[0] as Received), verified(before, got[0] as Received)]).toEqual([
      true,
      true,
    ]);
    on.pass(24 * 60 * 60_000);
    await happen("event-2");
    await settled(id);
    expect([verified(secret, got[1] as Received), verified(before, got[1] as Received)]).toEqual([
      true,
      false,
    ]);
  });

  test("may hear other events, elsewhere, or nothing any more", async () => {
    const { id } = await registered();
    const changed = await ask(`/webhooks/${id}`, "PATCH", {
      events: ["order.cancelled"],
      url: `${url()}/new`,
    });
    expect(await changed.json()).toMatchObject({ events: ["order.cancelled"], url: `${url()}/new` });
    expect(changed.headers.get("etag")).toBe('"2"');
    expect((await ask(`/webhooks/${id}`, "PATCH", { url: "https://10.0.0.1/" })).status).toBe(422);
    expect((await ask(`/webhooks/${id}`, "PATCH", { events: ["payment.voided"] })).status).toBe(403);
    await happen();
    expect(await deliveries(id)).toEqual([]);
    expect((await ask(`/webhooks/${id}`, "DELETE")).status).toBe(204);
    expect((await ask(`/webhooks/${id}`)).status).toBe(404);
  });

  test("that is deleted is told nothing more, not even what was waiting", async () => {
    const { id } = await registered();
    status = 503;
    await happen();
    await settled(id);
    await ask(`/webhooks/${id}`, "DELETE");
    const other = await registered();
    status = 200;
    on.pass(60_000);
    await happen("event-2");
    await settled(other.id);
    expect(got.map(({ headers }) => headers["webhook-id"])).toEqual(["event-1", "event-2"]);
  });

  test("goes on signing when the keys of fields change, and the old one is gone", async () => {
    const key = (of: number) => Buffer.alloc(32, of).toString("base64url");
    let ring = JSON.stringify({ current: "k1", keys: { k1: key(1) } });
    await on.stop();
    on = await rig({ FIELD_KEYS_REFRESH_MS: "20" }, { fieldKeys: () => ring });
    const { id, secret } = await registered();
    ring = JSON.stringify({ current: "k2", keys: { k1: key(1), k2: key(2) } });
    await until(
      () => on.app.store.webhook(id),
      (webhook) => webhook?.secrets[0]?.sealed.startsWith("k2.") === true,
    );
    ring = JSON.stringify({ current: "k2", keys: { k2: key(2) } });
    await happen();
    await settled(id);
    expect(verified(secret, got[0] as Received)).toBe(true);
  });

  test("its secret does not lie in the open", async () => {
    const { id, secret } = await registered();
    const webhook = await on.app.store.webhook(id);
    expect(JSON.stringify(webhook)).not.toContain(secret.slice("whsec_".length));
  });
});

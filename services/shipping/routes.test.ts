import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import type { CloudEvent } from "hono-dapr";
import { Webhook } from "standardwebhooks";
import {
  OrderAborting,
  OrderConfirmed,
  OrderLinesCancelled,
  OrderShipmentRefused,
  OrderShipped,
} from "./contracts.ts";
import shipping from "./service.ts";
import type { Store } from "./store.ts";

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const older = `whsec_${Buffer.alloc(32, 2).toString("base64")}`;

let app: TestService<Store>;
let now: number;
let carriers: string | undefined;

beforeEach(async () => {
  now = Date.UTC(2026, 0, 5, 9);
  carriers = JSON.stringify({ "royal-mail": `${older} ${secret}`, other: older });
  app = await testService(shipping, {
    folder: import.meta.dir,
    now: () => now,
    others: ({ url }) =>
      new URL(url).pathname === "/v1.0/secrets/secrets/carrier-webhooks" && carriers !== undefined
        ? Response.json({ "carrier-webhooks": carriers })
        : undefined,
  });
});
afterEach(() => app.stop());

interface Seen {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many kinds, each test knows which
  body: any;
}
async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers = {},
  scopes = ["orders:manage"],
): Promise<Seen> {
  const answer = await app.request(path, { method, body, headers, scopes });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text && JSON.parse(text) };
}
const get = (path: string) => ask("GET", path);
const six = [{ sku: "A", quantity: 6 }];
/** An order is confirmed. @returns its shipment's id */
async function confirmed(orderId = "o", customerId?: string, lines = six): Promise<string> {
  const shipment = { id: `${orderId}-1`, lines, weight: 600, method: "standard" };
  expect(
    await app.deliver(OrderConfirmed, { orderId, ...(customerId ? { customerId } : {}), shipment }),
  ).toBe("SUCCESS");
  now += 1_000;
  return shipment.id;
}
const shipped = (orderId: string, shipmentId: string, lines = six) =>
  app.deliver(OrderShipped, { orderId, shipmentId, lines });
const told = async (): Promise<[string, unknown][]> =>
  (await app.published()).map(({ type, data }: CloudEvent) => [type, data]);

describe("a confirmed order", () => {
  test("has one shipment that waits, and nobody is told of it", async () => {
    const id = await confirmed("o", "u_1");
    const { status, body, headers } = await get(`/shipments/${id}`);
    expect(status).toBe(200);
    expect(body).toEqual({
      id,
      orderId: "o",
      status: "pending",
      lines: six,
      method: "standard",
      weight: 600,
      history: [{ at: "2026-01-05T09:00:00.000Z", status: "pending" }],
      reports: [],
    });
    expect(headers.get("etag")).toBe('"1"');
    expect(
      (
        await app.request(`/shipments/${id}`, {
          scopes: ["orders:manage"],
          headers: { "if-none-match": '"1"' },
        })
      ).status,
    ).toBe(304);
    expect(await told()).toEqual([]);
  });

  test("without anything to ship has none", async () => {
    await app.deliver(OrderConfirmed, { orderId: "o" });
    expect((await get("/shipments")).body.items).toEqual([]);
  });

  test("that is taken back sends nothing", async () => {
    await confirmed();
    await app.deliver(OrderAborting, { orderId: "o" });
    expect((await get("/shipments/o-1")).body.status).toBe("cancelled");
  });

  test("keeps its shipment: an event that gives it to another order is a dead letter at once", async () => {
    const id = await confirmed("o");
    const events = {
      "e-1": () => app.deliver(OrderShipped, { orderId: "p", shipmentId: id, lines: six }, { id: "e-1" }),
      "e-2": () => app.deliver(OrderConfirmed, { orderId: "p", shipment: { id, lines: six } }, { id: "e-2" }),
    };
    for (const [event, deliver] of Object.entries(events)) {
      expect(await deliver()).toBe("SUCCESS");
      const { body } = await ask("GET", `/dead-letters/${event}`, undefined, {}, ["ops"]);
      expect(body).toMatchObject({ status: "dead", reason: `The shipment ${id} is of another order, o` });
    }
    expect((await get("/shipments?order=p")).body.items).toEqual([]);
    expect((await get(`/shipments/${id}`)).body).toMatchObject({ orderId: "o", status: "pending" });
    // What else comes for that order is not held up by it.
    await confirmed("p");
    expect((await get("/shipments/p-1")).body).toMatchObject({ orderId: "p", lines: six });
  });

  test("is not of more pieces than can be counted, nor of less than one", async () => {
    for (const quantity of [Number.MAX_SAFE_INTEGER, 100_000_001, 0, -1]) {
      const lines = [{ sku: "A", quantity }];
      const id = `e${quantity}`;
      await app.deliver(OrderConfirmed, { orderId: "o", shipment: { id: "o-1", lines } }, { id });
      const { body } = await ask("GET", `/dead-letters/${id}`, undefined, {}, ["ops"]);
      expect(body.reason).toStartWith("The data does not fit: shipment.lines.0.quantity");
    }
  });

  test("loses what is cancelled of it", async () => {
    await confirmed();
    await app.deliver(OrderLinesCancelled, { orderId: "o", lines: [{ sku: "A", quantity: 2 }] });
    const { body, headers } = await get("/shipments/o-1");
    expect(body).toMatchObject({ status: "pending", lines: [{ sku: "A", quantity: 4 }] });
    expect(body).not.toHaveProperty("weight");
    expect(headers.get("etag")).toBe('"2"');
  });
});

describe("a dispatch", () => {
  test("asks orders, and is done when orders says so", async () => {
    const id = await confirmed();
    const by = { carrier: "royal-mail", tracking: "AB1" };
    const asked = await ask("POST", `/shipments/${id}/dispatch`, by);
    expect(asked.status).toBe(202);
    expect(asked.body).toMatchObject({ status: "dispatching", ...by });
    expect(asked.headers.get("location")).toBe(`/api/shipments/${id}`);
    expect(asked.headers.get("etag")).toBe((await get(`/shipments/${id}`)).headers.get("etag"));
    expect(await told()).toEqual([
      ["shipment.dispatching", { orderId: "o", shipmentId: id, lines: six, ...by }],
    ]);
    await shipped("o", id);
    expect((await get(`/shipments/${id}`)).body).toMatchObject({ status: "dispatched", ...by });
  });

  test("in parts, one after the other", async () => {
    const id = await confirmed();
    const two = [{ sku: "A", quantity: 2 }];
    expect((await ask("POST", `/shipments/${id}/dispatch`, { lines: two })).body.lines).toEqual(two);
    const second = await ask("POST", "/shipments/o-2/dispatch", {});
    expect([second.status, second.body.code, second.headers.get("retry-after")]).toEqual([
      409,
      "dispatch-in-progress",
      "1",
    ]);
    await shipped("o", id, two);
    expect((await ask("POST", "/shipments/o-2/dispatch")).body).toMatchObject({
      status: "dispatching",
      lines: [{ sku: "A", quantity: 4 }],
    });
    const { body } = await get("/shipments?order=o");
    expect(body.items.map(({ id, status }: { id: string; status: string }) => [id, status])).toEqual([
      ["o-2", "dispatching"],
      ["o-1", "dispatched"],
    ]);
  });

  test("that orders refuses waits again", async () => {
    const id = await confirmed();
    await ask("POST", `/shipments/${id}/dispatch`);
    await app.deliver(OrderShipmentRefused, { orderId: "o", shipmentId: id, reason: "payment-declined" });
    expect((await get(`/shipments/${id}`)).body).toMatchObject({
      status: "pending",
      refused: "payment-declined",
      lines: six,
    });
    expect((await ask("POST", `/shipments/${id}/dispatch`)).status).toBe(202);
  });

  test("with one key twice is one", async () => {
    const id = await confirmed();
    const dispatch = () => ask("POST", `/shipments/${id}/dispatch`, {}, { "idempotency-key": "k" });
    const [first, second] = [await dispatch(), await dispatch()];
    expect(second.body).toEqual(first.body);
    expect((await told()).length).toBe(1);
  });

  test("twenty at once are one", async () => {
    const id = await confirmed();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask("POST", `/shipments/${id}/dispatch`)),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 202).map(({ body }) => body.code))).toEqual(
      new Set(["not-pending"]),
    );
    expect((await told()).length).toBe(1);
  });

  test.each([
    [{ lines: [] }, 400, "invalid-body", "/lines"],
    [{ lines: [{ sku: "A", quantity: 0 }] }, 400, "invalid-body", "/lines/0/quantity"],
    [{ lines: [{ sku: "A", quantity: 7 }] }, 422, "not-in-shipment", "/lines/0/quantity"],
    [{ lines: [{ sku: "B", quantity: 1 }] }, 422, "not-in-shipment", "/lines/0/sku"],
    [{ colour: "red" }, 400, "invalid-body", "/colour"],
  ])("%j is refused", async (body, status, code, pointer) => {
    const answer = await ask("POST", `/shipments/${await confirmed()}/dispatch`, body);
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([status, code, pointer]);
  });

  test("of what is not there is not found", async () => {
    expect((await ask("POST", "/shipments/none/dispatch", {})).status).toBe(404);
    expect((await ask("POST", "/shipments/none/deliver")).status).toBe(404);
  });
});

describe("what has arrived", () => {
  test("must have been dispatched, and arrives once", async () => {
    const id = await confirmed();
    const early = await ask("POST", `/shipments/${id}/deliver`);
    expect([early.status, early.body.code]).toEqual([409, "not-dispatched"]);
    await ask("POST", `/shipments/${id}/dispatch`);
    await shipped("o", id);
    const first = await ask("POST", `/shipments/${id}/deliver`);
    expect([first.status, first.body.status]).toEqual([202, "delivered"]);
    const second = await ask("POST", `/shipments/${id}/deliver`);
    expect([second.status, second.headers.get("etag")]).toEqual([202, first.headers.get("etag")]);
    expect((await told()).filter(([type]) => type === "shipment.delivered")).toEqual([
      ["shipment.delivered", { orderId: "o", shipmentId: id }],
    ]);
  });
});

describe("who sees what", () => {
  const as = (caller: string, path: string) =>
    app.request(path, { scopes: ["orders:read"], caller, user: true }).then(async (answer) => ({
      status: answer.status,
      // biome-ignore lint/suspicious/noExplicitAny: as above
      body: (await answer.json()) as any,
    }));

  test("a customer their own, staff all, and nobody else any", async () => {
    await confirmed("mine", "u_1");
    await confirmed("theirs", "u_2");
    await confirmed("guests");
    expect((await as("u_1", "/shipments/mine-1")).status).toBe(200);
    for (const id of ["theirs-1", "guests-1", "none"]) {
      const { status, body } = await as("u_1", `/shipments/${id}`);
      expect([status, body.detail]).toEqual([404, "A shipment of yours with this id does not exist"]);
    }
    const ids = ({ body }: { body: { items: { id: string }[] } }) => body.items.map(({ id }) => id);
    expect(ids(await as("u_1", "/shipments"))).toEqual(["mine-1"]);
    expect(ids(await as("u_1", "/shipments?order=theirs"))).toEqual([]);
    expect(ids(await get("/shipments"))).toEqual(["guests-1", "theirs-1", "mine-1"]);
    expect((await app.request("/shipments")).status).toBe(401);
    expect((await app.request("/shipments/guests-1")).status).toBe(401);
    const customers = { scopes: ["orders:read", "orders:write"], caller: "u_1", user: true, method: "POST" };
    expect((await app.request("/shipments/mine-1/dispatch", customers)).status).toBe(403);
    expect((await app.request("/shipments/mine-1/deliver", customers)).status).toBe(403);
  });

  test("lists go on where they ended, and keep to a status", async () => {
    for (let n = 0; n < 5; n++) await confirmed(`o${n}`);
    await ask("POST", "/shipments/o3-1/dispatch");
    const first = await get("/shipments?limit=2&status=pending");
    expect(first.body.items.map(({ id }: { id: string }) => id)).toEqual(["o4-1", "o2-1"]);
    const second = await get(`/shipments?limit=2&status=pending&cursor=${first.body.nextCursor}`);
    expect(second.body.items.map(({ id }: { id: string }) => id)).toEqual(["o1-1", "o0-1"]);
    expect(second.body.nextCursor).toBeNull();
    expect((await get("/shipments?status=lost")).body.code).toBe("invalid-query");
    expect((await get("/shipments?cursor=bm9uc2Vuc2U")).body.code).toBe("invalid-query");
  });
});

describe("rates", () => {
  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  const standard = {
    name: "Standard, 3 to 5 days",
    prices: [
      { upToGrams: 2_000, price: gbp(395) },
      { upToGrams: null, price: gbp(995) },
    ],
  };
  const path = "/shipping/rates/GB/standard";

  test("staff sets, changes and removes them, and everybody is told of each price", async () => {
    const made = await ask("PUT", path, standard);
    expect([made.status, made.headers.get("etag")]).toEqual([201, '"1"']);
    expect(made.headers.get("location")).toBe(`/api${path}`);
    expect(made.body).toEqual({ country: "GB", method: "standard", ...standard });
    expect((await get(path)).body).toEqual(made.body);
    expect((await ask("PUT", path, standard)).body.code).toBe("precondition-required");
    expect((await ask("PUT", path, standard, { "if-match": '"7"' })).status).toBe(412);
    const light = { ...standard, prices: standard.prices.slice(0, 1) };
    const changed = await ask("PUT", path, light, { "if-match": '"1"' });
    expect([changed.status, changed.headers.get("etag")]).toEqual([200, '"2"']);
    expect((await ask("DELETE", path)).status).toBe(428);
    expect((await ask("DELETE", path, undefined, { "if-match": '"2"' })).status).toBe(204);
    expect((await ask("DELETE", path, undefined, { "if-match": "*" })).status).toBe(404);
    expect((await get(path)).status).toBe(404);
    for (const tag of ['"2"', '"3"', "*"])
      expect((await ask("PUT", path, light, { "if-match": tag })).status).toBe(404);
    expect((await ask("PUT", path, light)).headers.get("etag")).toBe('"4"');
    const key = { country: "GB", method: "standard", currency: "GBP" };
    const { name } = standard;
    expect(await told()).toEqual([
      ["rate.set", { ...key, name, upToGrams: 2_000, amount: 395, version: 1 }],
      ["rate.set", { ...key, name, upToGrams: null, amount: 995, version: 1 }],
      ["rate.removed", { ...key, upToGrams: null, version: 2 }],
      ["rate.set", { ...key, name, upToGrams: 2_000, amount: 395, version: 2 }],
      ["rate.removed", { ...key, upToGrams: 2_000, version: 3 }],
      ["rate.set", { ...key, name, upToGrams: 2_000, amount: 395, version: 4 }],
    ]);
  });

  test("the same once more changes nothing", async () => {
    await ask("PUT", path, standard);
    const again = await ask("PUT", path, standard, { "if-match": '"1"' });
    expect([again.status, again.headers.get("etag")]).toEqual([200, '"1"']);
    expect(await told()).toHaveLength(2);
  });

  test("two who set one at once do not lose either's word", async () => {
    const answers = await Promise.all(
      [1, 2, 3].map((n) => ask("PUT", path, { ...standard, name: `Rate ${n}` })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 428, 428]);
  });

  test("are offered to everybody by country, weight and currency", async () => {
    await ask("PUT", path, standard);
    await ask("PUT", "/shipping/rates/*/standard", {
      name: "Abroad",
      prices: [{ upToGrams: null, price: gbp(1_995) }],
    });
    const offered = async (query: string) => {
      const answer = await app.request(`/shipping/rates${query}`);
      expect(answer.headers.get("cache-control")).toBe("public, max-age=0, s-maxage=10");
      const { items } = (await answer.json()) as { items: { country: string; price: { amount: number } }[] };
      return items.map(({ country, price }) => [country, price.amount]);
    };
    expect(await offered("?country=GB&weight=2000")).toEqual([["GB", 395]]);
    expect(await offered("?country=GB&weight=2001")).toEqual([["GB", 995]]);
    expect(await offered("?country=FR&weight=1&currency=GBP")).toEqual([["*", 1_995]]);
    expect(await offered("?country=FR&currency=EUR")).toEqual([]);
    expect(await offered("")).toEqual([
      ["*", 1_995],
      ["GB", 395],
      ["GB", 995],
    ]);
    const first = (await (await app.request("/shipping/rates?limit=2")).json()) as {
      items: [];
      nextCursor: string;
    };
    expect(first.items).toHaveLength(2);
    expect(await offered(`?limit=2&cursor=${first.nextCursor}`)).toEqual([["GB", 995]]);
  });

  test.each([
    ["PUT", "/shipping/rates/gb/standard", standard, 404, "not-found"],
    ["PUT", "/shipping/rates/GB/Stand%20ard", standard, 404, "not-found"],
    ["PUT", path, { ...standard, prices: [] }, 400, "invalid-body"],
    ["PUT", path, { ...standard, prices: [standard.prices[0], standard.prices[0]] }, 422, "ambiguous-price"],
    ["GET", "/shipping/rates?weight=-1", undefined, 400, "invalid-query"],
    ["GET", "/shipping/rates?country=Britain", undefined, 400, "invalid-query"],
  ])("%s %s %j is refused", async (method, where, body, status, code) => {
    const answer = await ask(method, where, body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  test("are staff's to change", async () => {
    expect((await ask("PUT", path, standard, {}, ["orders:read", "catalog:write"])).status).toBe(403);
    expect((await app.request(path)).status).toBe(401);
  });
});

describe("a carrier's webhook", () => {
  interface Message {
    id?: string;
    at?: number;
    by?: string;
    carrier?: string;
    raw?: string;
    headers?: Record<string, string>;
  }
  async function send(
    body: unknown,
    {
      id = crypto.randomUUID(),
      at = now,
      by = secret,
      carrier = "royal-mail",
      raw,
      headers = {},
    }: Message = {},
  ) {
    const text = JSON.stringify(body);
    const answer = await app.request(`/shipping/webhooks/${carrier}`, {
      method: "POST",
      body: raw ?? text,
      headers: {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(at / 1_000)),
        "webhook-signature": new Webhook(by).sign(id, new Date(at), text),
        ...headers,
      },
    });
    const { code } = (await answer.json()) as { code?: string };
    return code === undefined ? answer.status : `${answer.status} ${code}`;
  }
  const delivered = { type: "delivered", data: { tracking: "AB1" } };
  async function travelling(orderId = "o", tracking = "AB1", carrier = "royal-mail"): Promise<string> {
    const id = await confirmed(orderId);
    await ask("POST", `/shipments/${id}/dispatch`, { carrier, tracking });
    await shipped(orderId, id);
    return id;
  }
  const statusOf = async (id: string) => (await get(`/shipments/${id}`)).body.status;
  const deliveries = async () => (await told()).filter(([type]) => type === "shipment.delivered").length;

  test("delivers, once however often it comes", async () => {
    const id = await travelling();
    expect(await send(delivered, { id: "m-1" })).toBe(200);
    expect(await statusOf(id)).toBe("delivered");
    now += 60_000;
    expect(await send(delivered, { id: "m-1" })).toBe(200);
    expect(await send(delivered, { id: "m-2" })).toBe(200);
    expect(await deliveries()).toBe(1);
    expect((await get(`/shipments/${id}`)).body.reports).toHaveLength(1);
  });

  test("at the same moment twenty times delivers once", async () => {
    await travelling();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(delivered, { id: "m-1" })));
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(await deliveries()).toBe(1);
  });

  test("notes what happens on the way", async () => {
    const id = await travelling();
    expect(await send({ type: "in-transit", data: { tracking: "AB1", detail: "Left Dover" } })).toBe(200);
    now += 1_000;
    expect(
      await send({ type: "exception", data: { tracking: "AB1", detail: "x".repeat(600) }, more: 1 }),
    ).toBe(200);
    const { body } = await get(`/shipments/${id}`);
    expect(body.status).toBe("dispatched");
    expect(body.reports).toMatchObject([
      { type: "in-transit", detail: "Left Dover" },
      { type: "exception", detail: "x".repeat(500) },
    ]);
  });

  test("is kept as plain text, whatever is in it", async () => {
    const id = await travelling();
    const detail = `a\u0000b\ud800c\n${"😀".repeat(600)}`;
    expect(await send({ type: "exception", data: { tracking: "AB1", detail } })).toBe(200);
    const [report] = (await get(`/shipments/${id}`)).body.reports;
    expect(report.detail).toBe(`a b\ufffdc ${"😀".repeat(494)}`);
    expect(await send({ type: "exception", data: { tracking: "AB\u0000", detail } })).toBe(
      "400 invalid-body",
    );
  });

  test("that is ahead of orders counts when orders has answered", async () => {
    const id = await confirmed();
    await ask("POST", `/shipments/${id}/dispatch`, { carrier: "royal-mail", tracking: "AB1" });
    expect(await send(delivered)).toBe(200);
    expect(await statusOf(id)).toBe("dispatching");
    await shipped("o", id);
    expect(await statusOf(id)).toBe("delivered");
    expect(await deliveries()).toBe(1);
  });

  test("about one parcel with two orders in it delivers both", async () => {
    const ids = [await travelling("a"), await travelling("b"), await travelling("c", "AB2")];
    expect(await send(delivered)).toBe(200);
    expect(await Promise.all(ids.map(statusOf))).toEqual(["delivered", "delivered", "dispatched"]);
  });

  test("about one parcel with two shipments of one order in it delivers both", async () => {
    const by = { carrier: "royal-mail", tracking: "AB1" };
    await confirmed();
    const parts = [[{ sku: "A", quantity: 2 }], [{ sku: "A", quantity: 4 }]];
    for (const [n, lines] of parts.entries()) {
      await ask("POST", `/shipments/o-${n + 1}/dispatch`, { lines, ...by });
      await shipped("o", `o-${n + 1}`, lines);
    }
    expect(await send(delivered)).toBe(200);
    expect(await Promise.all(["o-1", "o-2"].map(statusOf))).toEqual(["delivered", "delivered"]);
  });

  test("is told from another carrier's that has the same id", async () => {
    const ids = [await travelling("a"), await travelling("b", "AB2", "other")];
    expect(await send(delivered, { id: "m-1" })).toBe(200);
    const others = { type: "delivered", data: { tracking: "AB2" } };
    expect(await send(others, { id: "m-1", carrier: "other", by: older })).toBe(200);
    expect(await Promise.all(ids.map(statusOf))).toEqual(["delivered", "delivered"]);
  });

  test("about a parcel that is not known, or is another carrier's, is to be sent again", async () => {
    const id = await travelling("o", "AB1", "other");
    expect(await send(delivered, { id: "m-1" })).toBe("404 not-found");
    expect(await statusOf(id)).toBe("dispatched");
    await travelling("p", "AB1");
    expect(await send(delivered, { id: "m-1" })).toBe(200);
    expect(await statusOf("p-1")).toBe("delivered");
    expect(await statusOf(id)).toBe("dispatched");
  });

  test("that says something else is taken and left alone", async () => {
    const id = await travelling();
    for (const body of [
      { type: "picked-up", data: { tracking: "AB1" } },
      { type: "delivered" },
      { type: "toString", data: { tracking: "AB1" } },
    ])
      expect(await send(body)).toBe(200);
    expect((await get(`/shipments/${id}`)).body).toMatchObject({ status: "dispatched", reports: [] });
  });

  test.each<[string, Message]>([
    ["another's secret", { by: `whsec_${Buffer.alloc(32, 9).toString("base64")}` }],
    ["the secret of another carrier", { carrier: "other" }],
    ["another body than the signed one", { raw: JSON.stringify({ ...delivered, more: 1 }) }],
    ["a time that is not signed", { headers: { "webhook-timestamp": "1767603602" } }],
    ["an id that is not signed", { headers: { "webhook-id": "m-9" } }],
    ["no signature", { headers: { "webhook-signature": "" } }],
    ["half a signature", { headers: { "webhook-signature": "v1," } }],
    ["no time", { headers: { "webhook-timestamp": "soon" } }],
    ["no id", { headers: { "webhook-id": "" } }],
  ])("with %s is not heard", async (_, message) => {
    const id = await travelling();
    expect(await send(delivered, message)).toBe("400 invalid-signature");
    expect(await statusOf(id)).toBe("dispatched");
  });

  test("holds for five minutes either way", async () => {
    await travelling();
    for (const off of [-301_000, 302_000])
      expect(await send(delivered, { at: now + off })).toBe("400 invalid-signature");
    for (const off of [-299_000, 299_000]) expect(await send(delivered, { at: now + off })).toBe(200);
  });

  test("holds with the secret before, while both are there", async () => {
    const id = await travelling();
    expect(await send(delivered, { by: older })).toBe(200);
    expect(await statusOf(id)).toBe("delivered");
  });

  test("that is no JSON, or says nothing, is refused when its signature holds", async () => {
    expect(await send([])).toBe("400 invalid-body");
    expect(await send({ data: {} })).toBe("400 invalid-body");
    const raw = "{";
    const signature = new Webhook(secret).sign("m", new Date(now), raw);
    expect(await send({}, { id: "m", raw, headers: { "webhook-signature": signature } })).toBe(
      "400 invalid-body",
    );
  });

  test("of a carrier that nobody knows is not found", async () => {
    for (const carrier of ["none", "__proto__", "toString"])
      expect(await send(delivered, { carrier })).toBe("404 not-found");
  });

  test("cannot be checked without the secret", async () => {
    carriers = undefined;
    expect(await send(delivered)).toBe("503 not-configured");
    carriers = "nonsense";
    expect(await send(delivered)).toBe("503 not-configured");
    carriers = JSON.stringify({ "royal-mail": secret });
    expect(await send(delivered)).toBe("404 not-found");
  });
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestService, testService } from "chassis/testing";
import * as v from "valibot";
import { LedgerView, OrderAborting, OrderReserved, PaymentView } from "./contracts.ts";
import { testProvider } from "./providers/test.ts";
import payments from "./service.ts";
import type { Store } from "./store.ts";

let app: TestService<Store>;
let data: string;

const manage = ["payments:manage"];
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const total = gbp(1530);

const reserve = (orderId: string, token = "tok_ok", over = {}) =>
  app.deliver(OrderReserved, { orderId, total, payment: { method: "test", token }, ...over });
const abort = (orderId: string) => app.deliver(OrderAborting, { orderId });

const read = async (orderId: string): Promise<PaymentView> =>
  v.parse(PaymentView, await (await app.request(`/payments/${orderId}`, { scopes: manage })).json());
const ledger = async (): Promise<LedgerView> =>
  v.parse(LedgerView, await (await app.request("/payments/ledger", { scopes: manage })).json());
const refund = (orderId: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  app.request(`/payments/${orderId}/refunds`, { method: "POST", body, scopes: manage, headers });
const said = async (orderId: string) =>
  (await app.published())
    .filter(({ subject }) => subject === orderId)
    .map(({ type, data }) => ({ type, data }));

/** Waits until the provider's answer is committed. */
async function reaches(orderId: string, ...statuses: PaymentView["status"][]): Promise<PaymentView> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const payment = await read(orderId);
    if (statuses.includes(payment.status)) return payment;
    if (performance.now() > deadline) throw new Error(`${orderId} is ${payment.status}, not ${statuses}`);
    await new Promise(setImmediate);
  }
}
async function captured(orderId: string): Promise<void> {
  await reserve(orderId);
  await reaches(orderId, "captured");
}
/** Makes the provider refuse to capture: somebody else has taken some of the money. @returns puts that right */
function uncapturable(orderId: string): () => void {
  const path = join(data, "test-provider.db");
  testProvider(path).close();
  const change = (query: string): void => {
    const book = new DatabaseSync(path);
    book.exec("pragma busy_timeout = 2000");
    book.prepare(query).run(orderId);
    book.close();
  };
  change("insert into operations values (?, 'elsewhere', 'capture', 1, 'GBP', 'captured', 1, 0)");
  return () => change("delete from operations where payment = ? and key = 'elsewhere'");
}

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), "payments-routes-"));
  const env = { PROVIDER_TIMEOUT_MS: "300", SOUK_DATA: data };
  app = await testService(payments, { folder: import.meta.dir, env });
});
afterEach(async () => {
  await app.stop();
  rmSync(data, { recursive: true, force: true });
});

describe("an order", () => {
  test("is authorised, captured as soon as that is approved, and booked", async () => {
    await captured("o-1");
    expect(await read("o-1")).toMatchObject({
      orderId: "o-1",
      status: "captured",
      authorised: total,
      captured: total,
      refunded: gbp(0),
      history: [
        { status: "authorising" },
        { status: "authorised", amount: total },
        { status: "capturing" },
        { status: "captured", amount: total },
      ],
    });
    expect(await said("o-1")).toEqual([
      { type: "payment.captured", data: { orderId: "o-1", amount: total, held: total } },
    ]);
    expect(await ledger()).toEqual({
      balanced: true,
      accounts: [
        { account: "provider-clearing", currency: "GBP", debit: 1530, credit: 0 },
        { account: "sales-revenue", currency: "GBP", debit: 0, credit: 1530 },
      ],
    });
  });

  test("that costs nothing is no business of a provider", async () => {
    await reserve("o-1", "tok_ok", { total: gbp(0) });
    expect((await app.request("/payments/o-1", { scopes: manage })).status).toBe(404);
    expect(await app.published()).toEqual([]);
  });

  test.each(["tok_declined", "tok_of_nobody"])("with %s is declined", async (token) => {
    await reserve("o-1", token);
    expect(await reaches("o-1", "declined")).toMatchObject({
      reason: "payment-declined",
      authorised: gbp(0),
    });
    expect(await said("o-1")).toEqual([
      { type: "payment.declined", data: { orderId: "o-1", reason: "payment-declined" } },
    ]);
  });

  test("of another method than there is, is declined", async () => {
    await reserve("o-1", "tok_ok", { payment: { method: "shells", token: "tok_ok" } });
    expect(await reaches("o-1", "declined")).toMatchObject({ reason: "payment-declined" });
  });

  test("is approved by a provider that fails twice", async () => {
    await reserve("o-1", "tok_flaky");
    await reaches("o-1", "captured");
  });

  test("is not paid before the provider has captured", async () => {
    const recover = uncapturable("o-1");
    await reserve("o-1");
    expect(await reaches("o-1", "capturing")).toMatchObject({
      authorised: total,
      captured: gbp(0),
      history: [{ status: "authorising" }, { status: "authorised", amount: total }, { status: "capturing" }],
    });
    expect(await said("o-1")).toEqual([]);
    expect((await ledger()).accounts).toEqual([]);
    recover();
    await reaches("o-1", "captured");
    expect((await said("o-1")).map(({ type }) => type)).toEqual(["payment.captured"]);
  });

  test("whose provider never answers is declined, and holds up nobody", async () => {
    const stuck = Array.from({ length: 100 }, (_, i) => `stuck-${i}`);
    await Promise.all(stuck.map((orderId) => reserve(orderId, "tok_timeout")));
    await captured("o-1");
    expect((await read("stuck-0")).status).toBe("authorising");
    for (const orderId of stuck) await reaches(orderId, "declined");
    expect(await said("stuck-99")).toEqual([
      { type: "payment.declined", data: { orderId: "stuck-99", reason: "timed-out" } },
    ]);
  });
});

describe("an order that is given up", () => {
  test("while the provider is asked to authorise is voided then, and never captured", async () => {
    await reserve("o-1", "tok_flaky");
    await abort("o-1");
    expect(await reaches("o-1", "voided")).toMatchObject({
      authorised: gbp(0),
      captured: gbp(0),
      history: [
        { status: "authorising" },
        { status: "authorised", amount: total },
        { status: "voiding" },
        { status: "voided", amount: total },
      ],
    });
    expect(await said("o-1")).toEqual([
      { type: "payment.voided", data: { orderId: "o-1", amount: total, held: gbp(0) } },
    ]);
    await reserve("o-1");
    expect((await read("o-1")).status).toBe("voided");
    expect(await ledger()).toEqual({ balanced: true, accounts: [] });
  });

  test("while the provider is asked to capture is captured first, then refunded", async () => {
    const recover = uncapturable("o-1");
    await reserve("o-1");
    await reaches("o-1", "capturing");
    await abort("o-1");
    expect((await read("o-1")).status).toBe("capturing");
    expect(await said("o-1")).toEqual([]);
    recover();
    expect(await reaches("o-1", "refunded")).toMatchObject({ captured: total, refunded: total });
    expect(await said("o-1")).toEqual([
      { type: "payment.captured", data: { orderId: "o-1", amount: total, held: total } },
      { type: "payment.refunded", data: { orderId: "o-1", amount: total, held: gbp(0) } },
    ]);
    expect((await ledger()).accounts[0]).toMatchObject({ debit: 1530, credit: 1530 });
  });

  test("after it was captured is refunded, and the books are even", async () => {
    await captured("o-1");
    await abort("o-1");
    expect(await reaches("o-1", "refunded")).toMatchObject({ captured: total, refunded: total });
    expect((await said("o-1")).at(-1)).toEqual({
      type: "payment.refunded",
      data: { orderId: "o-1", amount: total, held: gbp(0) },
    });
    expect((await ledger()).accounts).toMatchObject([
      { debit: 1530, credit: 1530 },
      { debit: 1530, credit: 1530 },
    ]);
  });

  test("while the provider does not answer ends too", async () => {
    await reserve("o-1", "tok_timeout");
    await abort("o-1");
    await reaches("o-1", "declined");
    expect(await said("o-1")).toEqual([
      { type: "payment.declined", data: { orderId: "o-1", reason: "timed-out" } },
      { type: "payment.voided", data: { orderId: "o-1", amount: gbp(0), held: gbp(0) } },
    ]);
  });

  test("before it was ever seen is never authorised", async () => {
    await abort("o-1");
    await reserve("o-1");
    const nothing = { amount: 0, currency: "XXX" };
    expect(await read("o-1")).toMatchObject({ status: "voided", authorised: nothing });
    expect(await said("o-1")).toEqual([
      { type: "payment.voided", data: { orderId: "o-1", amount: nothing, held: nothing } },
    ]);
  });

  test("in the same batch as it was reserved holds nothing in the end", async () => {
    const orders = Array.from({ length: 20 }, (_, i) => `o-${i}`);
    await Promise.all(orders.flatMap((orderId) => [reserve(orderId), abort(orderId)]));
    // Whether the abort overtook the approval, or not.
    for (const orderId of orders) await reaches(orderId, "voided", "refunded");
    for (const orderId of orders)
      expect((await said(orderId)).at(-1)).toMatchObject({ data: { held: { amount: 0 } } });
  });
});

describe("a refund", () => {
  beforeEach(() => captured("o-1"));

  test("is of all that is left when no amount is named", async () => {
    const response = await refund("o-1", { reason: "broken" });
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe("/api/payments/o-1");
    expect(await response.json()).toMatchObject({ status: "refunding", refunded: gbp(0) });
    const payment = await reaches("o-1", "refunded");
    expect(payment.refunded).toEqual(total);
    expect(payment.history.slice(-2)).toMatchObject([
      { status: "refunding", amount: total, reason: "broken" },
      { status: "refunded", amount: total },
    ]);
    expect((await refund("o-1")).status).toBe(409);
  });

  test("in parts is never of more than there is", async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => refund("o-1", { amount: gbp(500) })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 202, 202, 422, 422]);
    expect(await reaches("o-1", "captured")).toMatchObject({ refunded: gbp(1500) });
    expect((await said("o-1")).slice(-1)).toEqual([
      { type: "payment.refunded", data: { orderId: "o-1", amount: gbp(500), held: gbp(30) } },
    ]);
    expect((await ledger()).balanced).toBe(true);
  });

  test("and an abort give back everything, once", async () => {
    await refund("o-1", { amount: gbp(500) });
    await abort("o-1");
    expect(await reaches("o-1", "refunded")).toMatchObject({ refunded: total });
    expect((await ledger()).accounts[0]).toMatchObject({ debit: 1530, credit: 1530 });
  });

  test("happens once for one Idempotency-Key", async () => {
    const headers = { "idempotency-key": "k-1" };
    const body = { amount: gbp(100) };
    const [a, b] = await Promise.all([refund("o-1", body, headers), refund("o-1", body, headers)]);
    expect(await a.json()).toEqual(await b.json());
    expect(await reaches("o-1", "captured")).toMatchObject({ refunded: gbp(100) });
    expect((await refund("o-1", { amount: gbp(200) }, headers)).status).toBe(409);
  });

  test.each([
    [{ amount: gbp(0) }, 400, "/amount/amount"],
    [{ amount: { amount: 1.5, currency: "GBP" } }, 400, "/amount/amount"],
    [{ amount: { amount: 100, currency: "pounds" } }, 400, "/amount/currency"],
    [{ reason: "" }, 400, "/reason"],
    [{ surprise: 1 }, 400, "/surprise"],
    [{ amount: gbp(1531) }, 422, "/amount/amount"],
    [{ amount: { amount: 100, currency: "EUR" } }, 422, "/amount/currency"],
  ])("of %j is refused with %i at %s", async (body, status, pointer) => {
    const response = await refund("o-1", body);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({ status, errors: [{ pointer }] });
  });

  test("of what was never captured is refused", async () => {
    uncapturable("o-2");
    await reserve("o-2");
    await reaches("o-2", "capturing");
    expect(await (await refund("o-2")).json()).toMatchObject({ status: 409, code: "nothing-captured" });
    expect((await refund("o-3")).status).toBe(404);
  });
});

describe("who may ask", () => {
  const asked = [
    ["GET", "/payments/o-1", [["payments:manage"], ["orders:manage"]]],
    ["GET", "/payments/ledger", [["payments:manage"]]],
    ["POST", "/payments/o-1/refunds", [["payments:manage"]]],
  ] as const;

  test.each(asked)("%s %s", async (method, path, allowed) => {
    const status = async (scopes?: string[]) =>
      (
        await app.request(path, {
          method,
          ...(method === "POST" ? { body: {} } : {}),
          ...(scopes ? { scopes } : {}),
        })
      ).status;
    expect(await status()).toBe(401);
    expect(await status(["orders:write", "catalog:write"])).toBe(403);
    for (const scopes of allowed) expect([200, 404]).toContain(await status([...scopes]));
  });

  test("who placed an order reads what became of its money, and nobody else does", async () => {
    await reserve("o-1", "tok_ok", { customerId: "u_ada" });
    await reaches("o-1", "captured");
    await reserve("o-2");
    await reaches("o-2", "captured");
    const read = async (caller: string, path: string, scopes = ["orders:read"]) => {
      const response = await app.request(path, { user: true, caller, scopes });
      return { status: response.status, body: await response.text() };
    };
    expect(await read("u_ada", "/payments/o-1")).toMatchObject({ status: 200 });
    const unknown = await read("u_eve", "/payments/o-9");
    const same = (text: string) => text.replaceAll(/o-\d|"traceId":"[^"]*"/g, "");
    for (const path of ["/payments/o-1", "/payments/o-2"]) {
      const refused = await read("u_eve", path);
      expect(refused.status).toBe(404);
      expect(same(refused.body)).toEqual(same(unknown.body));
    }
    expect(await read("u_ada", "/payments/o-2")).toMatchObject({ status: 404 });
    expect(await read("u_ada", "/payments/o-1", ["orders:write"])).toMatchObject({ status: 403 });
  });

  test("the ledger is not for those who manage orders only", async () => {
    expect((await app.request("/payments/ledger", { scopes: ["orders:manage"] })).status).toBe(403);
  });
});

test("an unchanged payment is not sent twice", async () => {
  await captured("o-1");
  const first = await app.request("/payments/o-1", { scopes: manage });
  const headers = { "if-none-match": first.headers.get("etag") ?? "" };
  expect((await app.request("/payments/o-1", { scopes: manage, headers })).status).toBe(304);
});

test("an event that is delivered again changes nothing", async () => {
  const event = { orderId: "o-1", total, payment: { method: "test", token: "tok_ok" } };
  for (let time = 0; time < 3; time++) await app.deliver(OrderReserved, event, { id: "e-1" });
  await reaches("o-1", "captured");
  for (let time = 0; time < 3; time++) await app.deliver(OrderReserved, event, { id: `e-again-${time}` });
  expect((await said("o-1")).map(({ type }) => type)).toEqual(["payment.captured"]);
});

test("what is said after the last call carries the trace of the order", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const order = { orderId: "o-1", total, payment: { method: "test", token: "tok_ok" } };
  const event = { ...OrderReserved.of(order, { source: "orders", traceparent }), topic: "orders" };
  await app.request("/_events/orders", { method: "POST", body: event });
  await reaches("o-1", "captured");
  expect(await app.published()).toMatchObject([{ type: "payment.captured", traceparent }]);
});

test("there are no books yet", async () => {
  expect(await ledger()).toEqual({ balanced: true, accounts: [] });
});

test.each(["test", "stripe"])("no webhook of %s is known", async (provider) => {
  const response = await app.request(`/payments/webhooks/${provider}`, { method: "POST", body: {} });
  expect(response.status).toBe(404);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
});

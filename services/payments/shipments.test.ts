import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDeepStrictEqual } from "node:util";
import { type TestService, testService } from "chassis/testing";
import { sql } from "drizzle-orm";
import { type Db, openPostgres, openSqlite } from "drizzle-outbox";
import * as v from "valibot";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import {
  LedgerView,
  OrderAborting,
  OrderLinesCancelled,
  OrderReserved,
  OrderReturnReceived,
  OrderShipmentAccepted,
  PaymentView,
  ReconciliationList,
  type ReconciliationView,
} from "./contracts.ts";
import { type Operation, testProvider } from "./providers/test.ts";
import payments from "./service.ts";
import type { Store } from "./store.ts";

// The whole service: an order is authorised, shipped in parts, cancelled, returned; its authorisation runs out; and the
// books are compared with the provider's.

setDefaultTimeout(60_000);

const manage = ["payments:manage"];
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const total = gbp(1_530);
const day = 24 * 60 * 60_000;

const databases: Record<string, (folder: string) => Promise<Db>> = {
  SQLite: (folder) => openSqlite(join(folder, "payments.db")),
  PostgreSQL: async () => openPostgres(await (await server()).database()),
};

let app: TestService<Store>;
let db: Db;
let data: string;
/** By how much the clock is ahead. */
let ahead = 0;

const reserve = (orderId: string, { token = "tok_ok", captureNow = gbp(0) } = {}) =>
  app.deliver(OrderReserved, { orderId, total, captureNow, payment: { method: "test", token } });
const ship = (orderId: string, shipmentId: string, amount: number, final = false) =>
  app.deliver(OrderShipmentAccepted, { orderId, shipmentId, amount: gbp(amount), final });
const giveBack = (orderId: string, returnId: string, amount: number) =>
  app.deliver(OrderReturnReceived, { orderId, returnId, amount: gbp(amount) });
const cancelLines = (orderId: string, remaining: number) =>
  app.deliver(OrderLinesCancelled, { orderId, remaining: gbp(remaining) });
const ask = (path: string, method = "GET", headers: Record<string, string> = {}) =>
  app.request(path, { method, scopes: manage, headers });
const read = async (orderId: string): Promise<PaymentView> =>
  v.parse(PaymentView, await (await ask(`/payments/${orderId}`)).json());
const ledger = async (): Promise<LedgerView> =>
  v.parse(LedgerView, await (await ask("/payments/ledger")).json());
const said = async (orderId: string) =>
  (await app.published())
    .filter(({ subject }) => subject === orderId)
    .map(({ type, data: body }) => [type, body] as const);
const lastSaid = async (orderId: string) => (await said(orderId)).at(-1);

async function eventually<T>(look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > end) throw new Error(`not in time: ${JSON.stringify(seen)}`);
    await new Promise(setImmediate);
  }
}
const until = (orderId: string, over: Partial<PaymentView>) =>
  eventually(
    () => read(orderId),
    (payment) => isDeepStrictEqual({ ...payment, ...over }, payment),
  );
/** Waits until no job is left. */
const quiet = () =>
  eventually(
    () => db.query(sql`select kind, key from outbox_jobs`),
    (jobs) => jobs.length === 0,
  );
/** The provider's book, of one order. */
function book(orderId: string): Operation[] {
  const provider = testProvider(join(data, "test-provider.db"));
  const lines = provider.book().filter(({ payment }) => payment === orderId);
  provider.close();
  return lines;
}
const lines = (orderId: string) =>
  book(orderId).map(({ key, amount, outcome }) => `${key.slice(orderId.length + 1)} ${amount} ${outcome}`);
/** Somebody has the provider's own pages open. */
function atProvider(query: string, ...values: (string | number)[]): void {
  const pages = new DatabaseSync(join(data, "test-provider.db"));
  pages.exec("pragma busy_timeout = 2000");
  pages.prepare(query).run(...values);
  pages.close();
}

describe.each(Object.keys(databases))("on %s", (name) => {
  beforeEach(async () => {
    ahead = 0;
    data = mkdtempSync(join(tmpdir(), "payments-shipments-"));
    db = await (databases[name] as (folder: string) => Promise<Db>)(data);
    const env = { SOUK_DATA: data, PROVIDER_TIMEOUT_MS: "2000" };
    app = await testService(payments, { folder: import.meta.dir, env, db, now: () => Date.now() + ahead });
  });
  afterEach(async () => {
    await app.stop();
    await db.close();
    rmSync(data, { recursive: true, force: true });
  });

  test("an order is only authorised, with one call", async () => {
    await reserve("o-1");
    const payment = await until("o-1", { status: "authorised" });
    expect(payment).toMatchObject({
      authorised: total,
      captured: gbp(0),
      history: [{ status: "authorising" }, { status: "authorised", amount: total }],
    });
    const lasts = Date.parse(payment.authorisedUntil ?? "") - Date.now();
    expect(Math.abs(lasts - 7 * day)).toBeLessThan(60_000);
    expect(await said("o-1")).toEqual([
      ["payment.authorised", { orderId: "o-1", amount: total, held: total }],
    ]);
    await quiet();
    expect(lines("o-1")).toEqual(["authorise 1530 approved"]);
    expect((await ledger()).accounts).toEqual([]);
  });

  test("part of it is captured at once: both is said, the capture first", async () => {
    await reserve("o-1", { captureNow: gbp(300) });
    await until("o-1", { status: "authorised", captured: gbp(300) });
    expect(await said("o-1")).toEqual([
      ["payment.captured", { orderId: "o-1", amount: gbp(300), held: total }],
      ["payment.authorised", { orderId: "o-1", amount: total, held: total }],
    ]);
    await quiet();
    expect(lines("o-1")).toEqual(["authorise 1530 approved", "capture 300 captured"]);
  });

  test("all of it at once is as it always was", async () => {
    await reserve("o-1", { captureNow: total });
    await until("o-1", { status: "captured", captured: total });
    expect((await said("o-1")).map(([type]) => type)).toEqual(["payment.captured"]);
  });

  test("each shipment takes its part once, and the last lets go of the rest", async () => {
    await reserve("o-1");
    await until("o-1", { status: "authorised" });
    await Promise.all([ship("o-1", "o-1-1", 500), ship("o-1", "o-1-1", 500), ship("o-1", "o-1-2", 400)]);
    await until("o-1", { captured: gbp(900), status: "authorised" });
    for (let time = 0; time < 3; time++) await ship("o-1", "o-1-1", 500);
    await ship("o-1", "o-1-3", 100, true);
    const payment = await until("o-1", { status: "captured", authorised: gbp(1_000), captured: gbp(1_000) });
    expect(payment.authorisedUntil).toBeUndefined();
    expect(payment.history.at(-1)).toMatchObject({ status: "captured", key: "o-1-3", amount: gbp(100) });
    expect(new Set((await said("o-1")).slice(1, 3).map(([, body]) => (body as { key: string }).key))).toEqual(
      new Set(["o-1-1", "o-1-2"]),
    );
    expect(await lastSaid("o-1")).toEqual([
      "payment.captured",
      { orderId: "o-1", amount: gbp(100), held: gbp(1_000), key: "o-1-3" },
    ]);
    expect(lines("o-1").sort()).toEqual([
      "authorise 1530 approved",
      "capture:o-1-1 500 captured",
      "capture:o-1-2 400 captured",
      "capture:o-1-3 100 captured",
      "capture:o-1-3:rest 530 voided",
    ]);
    expect(await ledger()).toMatchObject({ balanced: true, accounts: [{ debit: 1_000 }, { credit: 1_000 }] });
    await ship("o-1", "o-1-4", 1);
    expect(await lastSaid("o-1")).toEqual([
      "payment.capture-failed",
      { orderId: "o-1", key: "o-1-4", reason: "authorisation-expired" },
    ]);
  });

  test("a shipment for more than is held is refused", async () => {
    await reserve("o-1");
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 1_531);
    expect(await lastSaid("o-1")).toEqual([
      "payment.capture-failed",
      { orderId: "o-1", key: "o-1-1", reason: "payment-declined" },
    ]);
    await ship("o-1", "o-1-2", 1_530);
    await until("o-1", { status: "captured" });
  });

  test("when no line is left to be sent the rest is given back", async () => {
    await reserve("o-1");
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    await cancelLines("o-1", 200);
    await until("o-1", { status: "authorised", captured: gbp(500) });
    for (let time = 0; time < 2; time++) await cancelLines("o-1", 0);
    await until("o-1", { status: "captured", authorised: gbp(500) });
    expect(await lastSaid("o-1")).toEqual([
      "payment.voided",
      { orderId: "o-1", amount: gbp(1_030), held: gbp(500) },
    ]);
    expect(lines("o-1").at(-1)).toBe("void 1030 voided");
  });

  test("an order that is given up gets all of it back, what was captured too", async () => {
    await reserve("o-1");
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { captured: gbp(500), status: "authorised" });
    await app.deliver(OrderAborting, { orderId: "o-1" });
    await until("o-1", { status: "refunded", authorised: gbp(500), refunded: gbp(500) });
    expect((await said("o-1")).slice(-2)).toEqual([
      ["payment.voided", { orderId: "o-1", amount: gbp(1_030), held: gbp(500) }],
      ["payment.refunded", { orderId: "o-1", amount: gbp(500), held: gbp(0) }],
    ]);
    expect(await ledger()).toMatchObject({ balanced: true, accounts: [{ debit: 500, credit: 500 }, {}] });
  });

  test("returns are given back once each, and never more than there is", async () => {
    await reserve("o-1");
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { captured: gbp(500), status: "authorised" });
    await Promise.all([giveBack("o-1", "r-1", 300), giveBack("o-1", "r-1", 300)]);
    await until("o-1", { refunded: gbp(300), status: "authorised" });
    await giveBack("o-1", "r-2", 300);
    await until("o-1", { refunded: gbp(500), status: "authorised" });
    await giveBack("o-1", "r-3", 300);
    expect((await said("o-1")).slice(-3)).toEqual([
      ["payment.refunded", { orderId: "o-1", amount: gbp(300), held: gbp(1_230), key: "r-1" }],
      ["payment.refunded", { orderId: "o-1", amount: gbp(200), held: gbp(1_030), key: "r-2" }],
      ["payment.refunded", { orderId: "o-1", amount: gbp(0), held: gbp(1_030), key: "r-3" }],
    ]);
    expect(
      lines("o-1")
        .filter((line) => line.includes("refunded"))
        .sort(),
    ).toEqual(["return:r-1 300 refunded", "return:r-2 200 refunded"]);
    expect((await ledger()).balanced).toBe(true);
  });

  test("what runs out within a day is renewed, and nothing else", async () => {
    await reserve("o-1");
    const before = await until("o-1", { status: "authorised" });
    ahead = 5 * day;
    await reserve("o-2");
    await until("o-2", { status: "authorised" });
    await app.tick("renew");
    await quiet();
    expect(lines("o-1")).toHaveLength(1);
    ahead = 6 * day + 60_000;
    await app.tick("renew");
    // Another sidecar ticks as well.
    await app.tick("renew");
    const after = await eventually(
      () => read("o-1"),
      ({ status, history }) => status === "authorised" && history.length === 4,
    );
    expect(after.history.slice(-2)).toMatchObject([
      { status: "renewing" },
      { status: "authorised", amount: total, reason: "renewed" },
    ]);
    expect(Date.parse(after.authorisedUntil ?? "")).toBeGreaterThan(
      Date.parse(before.authorisedUntil ?? "") + 5 * day,
    );
    await quiet();
    expect(lines("o-1")).toEqual(["authorise 1530 approved", "renew:1 1530 renewed"]);
    expect(lines("o-2")).toHaveLength(1);
    expect((await said("o-1")).map(([type]) => type)).toEqual(["payment.authorised"]);
  });

  test("what runs out unnoticed is renewed for the capture", async () => {
    await reserve("o-1");
    await until("o-1", { status: "authorised" });
    ahead = 8 * day;
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { status: "authorised", captured: gbp(500) });
    expect(lines("o-1").sort()).toEqual([
      "authorise 1530 approved",
      "capture:o-1-1 500 captured",
      "renew:1 1530 renewed",
    ]);
  });

  test("what cannot be renewed is gone: who waits for it hears so", async () => {
    await reserve("o-1", { token: "tok_expires" });
    await until("o-1", { status: "authorised" });
    await ship("o-1", "o-1-1", 500);
    await until("o-1", { status: "authorised", captured: gbp(500) });
    ahead = 6 * day + 60_000;
    await app.tick("renew");
    await until("o-1", { status: "captured", authorised: gbp(500) });
    expect(await lastSaid("o-1")).toEqual([
      "payment.expired",
      { orderId: "o-1", amount: gbp(1_030), held: gbp(500) },
    ]);
    await reserve("o-2", { token: "tok_expires" });
    await until("o-2", { status: "authorised" });
    ahead = 14 * day;
    await ship("o-2", "o-2-1", 500);
    await until("o-2", { status: "expired", authorised: gbp(0) });
    expect((await said("o-2")).slice(-2)).toEqual([
      ["payment.capture-failed", { orderId: "o-2", key: "o-2-1", reason: "authorisation-expired" }],
      ["payment.expired", { orderId: "o-2", amount: total, held: gbp(0) }],
    ]);
    expect(lines("o-2").sort()).toEqual([
      "authorise 1530 approved",
      "renew:1 1530 declined",
      "void 1530 voided",
    ]);
    expect((await ledger()).balanced).toBe(true);
  });

  test("the ledger adds up exactly what is more than a number can count", async () => {
    const most = gbp(Number.MAX_SAFE_INTEGER);
    // More than there are shards, so that one alone is beyond it.
    const orders = Array.from({ length: 9 }, (_, n) => `o-${n}`);
    for (const orderId of orders)
      await app.deliver(OrderReserved, {
        orderId,
        total: most,
        payment: { method: "test", token: "tok_ok" },
      });
    for (const orderId of orders) await until(orderId, { status: "captured" });
    const sum = 9n * BigInt(most.amount);
    expect(await (await ask("/payments/ledger")).text()).toBe(
      `{"balanced":true,"accounts":[${[
        `{"account":"provider-clearing","currency":"GBP","debit":${sum},"credit":0}`,
        `{"account":"sales-revenue","currency":"GBP","debit":0,"credit":${sum}}`,
      ]}]}`,
    );
  });

  describe("a reconciliation", () => {
    const runs = async (query = "") =>
      v.parse(ReconciliationList, await (await ask(`/payments/reconciliations${query}`)).json());
    const done = async (at = 0): Promise<ReconciliationView> => {
      const list = await eventually(
        () => runs(),
        ({ items }) => items[0]?.status === "done" && Date.parse(items[0].startedAt) >= at,
      );
      return list.items[0] as ReconciliationView;
    };

    test("finds nothing where the books agree, and compares what was touched since the last", async () => {
      for (const orderId of ["o-1", "o-2", "o-3"]) {
        await reserve(orderId);
        await until(orderId, { status: "authorised" });
      }
      await ship("o-1", "o-1-1", 500);
      await until("o-1", { status: "authorised", captured: gbp(500) });
      await ship("o-2", "o-2-1", 500, true);
      await until("o-2", { status: "captured" });
      await reserve("o-4", { token: "tok_declined" });
      await until("o-4", { status: "declined" });
      await app.deliver(OrderAborting, { orderId: "o-5" });
      await quiet();
      ahead = day / 2;
      await app.tick("reconcile");
      expect(await done()).toMatchObject({ compared: 4, different: 0, differences: [] });
      ahead = day;
      await ship("o-3", "o-3-1", 500);
      await until("o-3", { status: "authorised", captured: gbp(500) });
      await quiet();
      await app.tick("reconcile");
      expect(await done(Date.now() + (3 * day) / 4)).toMatchObject({ compared: 1, different: 0 });
      expect((await runs()).items).toHaveLength(2);
      const first = await runs("?limit=1");
      const second = await runs(`?limit=1&cursor=${first.nextCursor}`);
      expect([...first.items, ...second.items]).toEqual((await runs()).items);
      expect(second.nextCursor).toBeNull();
    });

    test("takes over what the provider knows better, and reports what it cannot", async () => {
      for (const orderId of ["o-1", "o-2", "o-3"]) {
        await reserve(orderId);
        await until(orderId, { status: "authorised" });
      }
      await ship("o-1", "o-1-1", 500);
      await until("o-1", { status: "authorised", captured: gbp(500) });
      await ship("o-3", "o-3-1", 500);
      await until("o-3", { status: "authorised", captured: gbp(500) });
      await quiet();
      const insert = "insert into operations values (?, ?, ?, ?, 'GBP', ?, 1, ?)";
      // Given back on the provider's own pages, let go of, not captured after all, and nobody's.
      atProvider(insert, "o-1", "o-1:refund:9", "refund", 200, "refunded", Date.now());
      atProvider(insert, "o-2", "by-hand", "void", 1_530, "voided", Date.now());
      atProvider("delete from operations where key = ?", "o-3:capture:o-3-1");
      atProvider(insert, "o-9", "o-9:authorise", "authorise", 70, "approved", Date.now());
      const started = await ask("/payments/reconciliations", "POST");
      expect(started.status).toBe(202);
      expect(await started.json()).toMatchObject({ status: "running", compared: 0 });
      const run = await done();
      const found = run.differences.map(
        ({ orderId, what, ours, theirs, settled }) => `${orderId} ${what} ${ours} ${theirs} ${settled}`,
      );
      expect(found.sort()).toEqual([
        "o-1 refunded 0 200 true",
        "o-2 held 1530 0 true",
        "o-3 captured 500 0 false",
        "o-3 held 1030 1530 false",
        "o-9 held 0 70 false",
      ]);
      expect(run).toMatchObject({ compared: 4, different: 5 });
      await until("o-1", { refunded: gbp(200) });
      await until("o-2", { status: "expired" });
      expect(await lastSaid("o-2")).toEqual([
        "payment.expired",
        { orderId: "o-2", amount: total, held: gbp(0) },
      ]);
      expect((await ledger()).balanced).toBe(true);
      await quiet();
      const metrics = await (await app.request("/metrics")).text();
      expect(metrics).toMatch(/souk_reconciled_total\{[^}]*result="open"[^}]*\} [1-9]/);
    });

    test("leaves alone what is under way, and goes on page by page", async () => {
      const orders = Array.from({ length: 30 }, (_, index) => `o-${index}`);
      await Promise.all(orders.map((orderId) => reserve(orderId)));
      await Promise.all(orders.map((orderId) => until(orderId, { status: "authorised" })));
      await reserve("stuck", { token: "tok_timeout" });
      await app.tick("reconcile");
      expect(await done()).toMatchObject({ compared: 30, different: 0 });
    });

    test("is begun once at a time, and once for one Idempotency-Key", async () => {
      const answers = await Promise.all(
        [1, 2].map(() => ask("/payments/reconciliations", "POST", { "idempotency-key": "k-1" })),
      );
      const [a, b] = await Promise.all(answers.map((one) => one.json()));
      expect(a).toEqual(b);
      await done();
      expect((await runs()).items).toHaveLength(1);
    });

    test("is for those who manage payments", async () => {
      for (const method of ["GET", "POST"]) {
        const status = async (scopes?: string[]) =>
          (await app.request("/payments/reconciliations", { method, ...(scopes ? { scopes } : {}) })).status;
        expect(await status()).toBe(401);
        expect(await status(["orders:manage"])).toBe(403);
      }
      expect((await ask("/payments/reconciliations?limit=0")).status).toBe(400);
    });
  });
});

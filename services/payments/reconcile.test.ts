import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { testService } from "chassis/testing";
import { sql } from "drizzle-orm";
import { openSqlite, restored } from "drizzle-outbox";
import * as v from "valibot";
import { LedgerView, OrderAborting, OrderReserved, PaymentView } from "./contracts.ts";
import { testProvider } from "./providers/test.ts";
import payments from "./service.ts";

const scopes = ["payments:manage"];
const total = { amount: 1_530, currency: "GBP" };

/** The service on a database file, beside the one provider, which is nobody's to roll back. */
async function openShop(data: string, file: string) {
  const db = await openSqlite(join(data, file));
  const env = { SOUK_DATA: data, RECONCILE_AFTER_MS: "50" };
  const app = await testService(payments, { folder: import.meta.dir, env, db });
  const read = async (orderId: string) => {
    const response = await app.request(`/payments/${orderId}`, { scopes });
    return response.ok ? v.parse(PaymentView, await response.json()) : undefined;
  };
  return {
    db,
    app,
    read,
    reserve: (orderId: string) =>
      app.deliver(OrderReserved, { orderId, total, payment: { method: "test", token: "tok_ok" } }),
    async until(orderId: string, over: Partial<PaymentView>) {
      const end = performance.now() + 30_000;
      for (;;) {
        const payment = await read(orderId);
        if (payment && matches(payment, over)) return;
        if (performance.now() > end) throw new Error(`${orderId} is ${JSON.stringify(payment)}`);
        await new Promise(setImmediate);
      }
    },
    async close() {
      await app.stop();
      await db.close();
    },
  };
}

const matches = (payment: PaymentView, over: Partial<PaymentView>): boolean =>
  isDeepStrictEqual({ ...payment, ...over }, payment);

test("after a restore the provider is asked what it has done, and the books follow", async () => {
  const data = mkdtempSync(join(tmpdir(), "payments-restored-"));
  try {
    const first = await openShop(data, "first.db");
    for (const orderId of ["refunded-since", "untouched", "given-up-since"]) {
      await first.reserve(orderId);
      await first.until(orderId, { status: "captured" });
    }
    const takenAt = Date.now();
    await first.db.query(sql`vacuum into ${join(data, "backup.db")}`);

    // What the backup knows nothing of.
    const refund = (body: unknown) =>
      first.app.request("/payments/refunded-since/refunds", { method: "POST", body, scopes });
    await refund({ amount: { ...total, amount: 300 } });
    await first.until("refunded-since", { status: "captured", refunded: { ...total, amount: 300 } });
    await first.app.deliver(OrderAborting, { orderId: "given-up-since" });
    await first.until("given-up-since", { status: "refunded" });
    for (const orderId of ["lost", "lost-and-refunded", "asks-again"]) {
      await first.reserve(orderId);
      await first.until(orderId, { status: "captured" });
    }
    await first.app.deliver(OrderAborting, { orderId: "lost-and-refunded" });
    await first.until("lost-and-refunded", { status: "refunded" });
    await first.close();

    const copy = await openSqlite(join(data, "backup.db"));
    const jobs = [{ kind: "restored", key: "", at: Date.now(), data: { data: { takenAt } } }];
    await restored(copy, { takenAt, jobs });
    await copy.close();
    const second = await openShop(data, "backup.db");
    // An order that was on its way asks as it did before, and is not charged again.
    await second.reserve("asks-again");
    await second.until("asks-again", { status: "captured", refunded: { ...total, amount: 0 } });
    await second.until("refunded-since", { status: "captured", refunded: { ...total, amount: 300 } });
    await second.until("given-up-since", { status: "refunded", refunded: total });
    // Nobody asks for these any more: their money goes back.
    await second.until("lost", { status: "refunded", captured: total, refunded: total });
    await second.until("lost-and-refunded", { status: "refunded", captured: total, refunded: total });
    await second.until("untouched", { status: "captured", refunded: { ...total, amount: 0 } });

    // An order that asks too late must not hear that it is paid.
    const said = (await second.app.published()).filter(({ type }) => type === "payment.captured");
    expect(said.map(({ subject }) => subject)).toContain("asks-again");
    expect(said.filter(({ subject }) => subject?.startsWith("lost"))).toEqual([]);

    const provider = testProvider(join(data, "test-provider.db"));
    const sum = (outcome: string) =>
      provider.book().reduce((all, line) => (line.outcome === outcome ? all + line.amount : all), 0);
    const response = await second.app.request("/payments/ledger", { scopes });
    const ledger = v.parse(LedgerView, await response.json());
    expect(sum("captured")).toBe(6 * 1_530);
    expect(sum("refunded")).toBe(300 + 3 * 1_530);
    expect(ledger.balanced).toBe(true);
    expect(ledger.accounts.find(({ account }) => account === "provider-clearing")).toMatchObject({
      debit: sum("captured"),
      credit: sum("refunded"),
    });
    provider.close();
    await second.close();
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}, 30_000);

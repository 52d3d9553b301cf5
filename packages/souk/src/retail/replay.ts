import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { type Api, Refused } from "../api-client.ts";
import { type OrderSeen, OrdersWatch } from "../orders-watch.ts";
import { Progress } from "../progress.ts";
import { type Plan, type PlannedOrder, plan, type Skipped } from "./plan.ts";
import { readRetail } from "./read.ts";

/** One order of the file, and what became of it. */
export interface Replayed {
  planned: PlannedOrder;
  /** Absent when the shop refused it. */
  order?: OrderSeen;
  refused?: string;
  /** It had been placed by an earlier run of the same file. */
  again: boolean;
}

/** Stock and money of the shop at one moment. */
export interface Books {
  reserved: Map<string, number>;
  /** Net credit (credit − debit) minus net debit of each account, by account. */
  accounts: Map<string, { debit: number; credit: number }>;
  balanced: boolean;
}

export interface ReplayResult {
  file: string;
  replayed: Replayed[];
  skipped: Skipped[];
  before: Books;
  after: Books;
  captured: Map<string, number>;
  seconds: number;
}

export interface ReplayOptions {
  concurrency: number;
  /** An order that is not settled by then counts as a difference. */
  patienceMs: number;
}

/** Places the orders of a retail file as its customers did, and waits until each is confirmed or refused. */
export async function replayRetail(
  api: Api,
  file: string,
  { concurrency, patienceMs }: ReplayOptions,
): Promise<ReplayResult> {
  const digest = createHash("sha256")
    .update(await readFile(file))
    .digest("base64url")
    .slice(0, 16);
  const planned: Plan = plan(await readRetail(file));
  const before = await stocked(api, planned);
  const watch = new OrdersWatch(api);
  const progress = new Progress("replay", planned.orders.length, "orders");
  const replayed: Replayed[] = [];
  const queue = planned.orders.map((order, index) => ({
    order,
    key: `${digest}-${order.reference}-${index}`,
  }));
  const started = performance.now();
  await Promise.all(
    Array.from({ length: Math.min(concurrency, queue.length) }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        replayed.push(await placed(api, watch, next.order, next.key, patienceMs));
        progress.step();
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  progress.end();
  const captured = await capturedOf(api, replayed, concurrency);
  return { file, replayed, skipped: planned.skipped, before, after: await books(api), captured, seconds };
}

/**
 * The books, once every product of the plan has its stock: an import is through everywhere within a second.
 * @throws {Error} when products are missing, saying what to do
 */
async function stocked(api: Api, { products }: Plan): Promise<Books> {
  const until = performance.now() + 5_000;
  for (;;) {
    const now = await books(api);
    const missing = products.filter(({ sku, kind }) => kind === "physical" && !now.reserved.has(sku));
    if (missing.length === 0) return now;
    if (performance.now() > until) {
      throw new Error(
        `${missing.length} of the file's products are not in the shop (${missing[0]?.sku}…): first run  npx souk import retail <file>`,
      );
    }
    await pause(200);
  }
}

/** Places an order; one that an earlier run placed in vain is placed anew. */
async function placed(
  api: Api,
  watch: OrdersWatch,
  order: PlannedOrder,
  key: string,
  patienceMs: number,
): Promise<Replayed> {
  for (let time = 1; ; time++) {
    const replayed = await placedOnce(api, watch, order, `${key}-${time}`, patienceMs);
    if (!replayed.again || replayed.order?.status !== "rejected") return replayed;
  }
}

async function placedOnce(
  api: Api,
  watch: OrdersWatch,
  order: PlannedOrder,
  key: string,
  patienceMs: number,
): Promise<Replayed> {
  const request = {
    method: "POST",
    headers: { "idempotency-key": key },
    body: {
      reference: order.reference,
      customer: order.customer,
      shippingAddress: {
        name: order.customer.name,
        line1: "not in the data",
        city: "not in the data",
        country: order.countryCode,
      },
      payment: { method: "test", token: "tok_ok" },
      lines: order.lines,
    },
  };
  const started = performance.now();
  const until = started + patienceMs;
  for (;;) {
    try {
      const { body, headers } = await api.call<OrderSeen>("/api/orders", request);
      const again = headers.get("idempotent-replayed") === "true";
      const seen = await Promise.race([watch.settled(body.id), pause(patienceMs, body, { ref: false })]);
      return { planned: order, order: seen, again };
    } catch (error) {
      const later = error instanceof Refused && (error.status === 503 || error.status === 429);
      const unreachable = !(error instanceof Refused);
      // A product that was imported a moment ago may not have reached orders yet.
      const fresh =
        error instanceof Refused && error.code === "unknown-product" && performance.now() < started + 3_000;
      if ((!later && !unreachable && !fresh) || performance.now() > until) {
        return {
          planned: order,
          refused: error instanceof Error ? error.message : String(error),
          again: false,
        };
      }
      // The key makes it safe to ask again.
      await pause((later ? (error.retryAfter ?? 1) : 0.2) * 1000);
    }
  }
}

async function capturedOf(api: Api, replayed: Replayed[], concurrency: number): Promise<Map<string, number>> {
  const captured = new Map<string, number>();
  const paid = replayed.flatMap(({ order }) =>
    order?.status === "confirmed" && order.total.amount > 0 ? [order] : [],
  );
  const progress = new Progress("check ", paid.length, "payments");
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (let order = paid.shift(); order !== undefined; order = paid.shift()) {
        const { body } = await api.call<{ captured: { amount: number } }>(`/api/payments/${order.id}`);
        captured.set(order.id, body.captured.amount);
        progress.step();
      }
    }),
  );
  progress.end();
  return captured;
}

async function books(api: Api): Promise<Books> {
  const reserved = new Map<string, number>();
  for await (const stock of api.all<{ sku: string; reserved: number }>("/api/stock")) {
    reserved.set(stock.sku, stock.reserved);
  }
  const { body } = await api.call<{
    balanced: boolean;
    accounts: { account: string; currency: string; debit: number; credit: number }[];
  }>("/api/payments/ledger");
  const accounts = new Map(
    body.accounts.map(({ account, currency, debit, credit }) => [
      `${account} ${currency}`,
      { debit, credit },
    ]),
  );
  return { reserved, accounts, balanced: body.balanced };
}

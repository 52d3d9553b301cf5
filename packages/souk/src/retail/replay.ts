import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Api } from "../api-client.ts";
import { each } from "../each.ts";
import { OrdersWatch } from "../orders-watch.ts";
import { Progress } from "../progress.ts";
import { type Books, books, stocked } from "./books.ts";
import { broughtBack } from "./bringing-back.ts";
import { type Footprint, footprint, nothing, readOrder } from "./footprint.ts";
import { handedOver } from "./handing-over.ts";
import { look } from "./insist.ts";
import { newest, type Placed, placed } from "./placing.ts";
import { type PlannedOrder, type PlannedReturn, plan, type Skipped, type Unmatched } from "./plan.ts";
import { readRetail } from "./read.ts";
import { differences } from "./report.ts";

/** One order of the file, and what became of it. */
export interface Replayed extends Placed {
  planned: PlannedOrder;
  /** What of it comes back by the file. */
  returns: PlannedReturn[];
  /** What the shop said to its shipments and returns, other than yes. */
  trouble: string[];
  /** Returns that an earlier run had made. */
  returnedBefore: number;
  /** What it had moved when this run came upon it, and in the end. */
  before: Footprint;
  after: Footprint;
}

export interface ReplayResult {
  replayed: Replayed[];
  unmatched: Unmatched[];
  skipped: Skipped[];
  before: Books;
  after: Books;
  /** Seconds of placing, of handing over, of taking back. */
  seconds: { placing: number; shipping: number; returning: number };
}

export interface ReplayOptions {
  concurrency: number;
  /** What an order has not come to by then counts as a difference. */
  patienceMs: number;
}

/**
 * Does what is in a retail file: places its orders as its customers did, dispatches and delivers them, and takes back
 * what its C-invoices bring back.
 */
export async function replayRetail(
  api: Api,
  file: string,
  { concurrency, patienceMs }: ReplayOptions,
): Promise<ReplayResult> {
  const digest = createHash("sha256")
    .update(await readFile(file))
    .digest("base64url")
    .slice(0, 16);
  const planned = plan(await readRetail(file));
  const returns = Map.groupBy(planned.returns, ({ order }) => order);
  const before = await stocked(api, planned.products);
  const since = await newest(api);
  const watch = new OrdersWatch(api);
  const replayed: Replayed[] = [];
  const step = async <T>(label: string, unit: string, items: T[], act: (item: T) => Promise<void>) => {
    const progress = new Progress(label, items.length, unit);
    const started = performance.now();
    await each(items, concurrency, async (item) => {
      await act(item);
      progress.step();
    });
    progress.end();
    return (performance.now() - started) / 1000;
  };

  const placing = await step("replay", "orders", [...planned.orders.entries()], async ([index, order]) => {
    const key = `${digest}-${order.reference}-${index}`;
    const one = await placed(api, watch, order, key, { patienceMs, since });
    const moved = one.again && one.order ? await footprint(api, await readOrder(api, one.order.id)) : nothing;
    const of = { planned: order, returns: returns.get(order) ?? [] };
    replayed.push({ ...one, ...of, trouble: [], returnedBefore: 0, before: moved, after: nothing });
  });
  const paid = replayed.filter(({ order }) => order && taken.has(order.status));
  const shipping = await step("ship  ", "orders", paid, (one) =>
    trying(one, "shipping", () => handedOver(api, one.order?.id ?? "", performance.now() + patienceMs)),
  );
  const back = paid.filter((one) => one.returns.length > 0);
  // The returns of an order one after the other: what is left of it must be sure.
  const returning = await step("return", "orders", back, async (one) => {
    for (const [index, planned] of one.returns.entries()) {
      const nth = one.returns
        .slice(0, index)
        .filter(({ reference }) => reference === planned.reference).length;
      const reason = nth > 0 ? `${planned.reference} (${nth + 1})` : planned.reference;
      await trying(one, `return ${reason}`, async () => {
        const until = performance.now() + patienceMs;
        if (await broughtBack(api, one.order?.id ?? "", planned, reason, until)) one.returnedBefore++;
      });
    }
  });
  await step("check ", "orders", paid, async (one) => {
    const order = await readOrder(api, one.order?.id ?? "");
    one.order = order;
    one.after = await footprint(api, order);
  });
  const { unmatched, skipped } = planned;
  const seconds = { placing, shipping, returning };
  const result = async (): Promise<ReplayResult> => ({
    ...{ replayed, unmatched, skipped, before, seconds },
    after: await books(api),
  });
  // Stock moves a moment after the order says so.
  return look(
    result,
    (seen) => differences(seen).length === 0,
    performance.now() + Math.min(5_000, patienceMs),
  );
}

const taken = new Set(["confirmed", "shipped", "delivered", "returned"]);

async function trying(one: Replayed, what: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    one.trouble.push(`${what}: ${error instanceof Error ? error.message : error}`);
  }
}

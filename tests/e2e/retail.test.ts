import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { importRetail } from "../../packages/souk/src/retail/import.ts";
import { replayRetail } from "../../packages/souk/src/retail/replay.ts";
import { differences } from "../../packages/souk/src/retail/report.ts";
import { type TestShop, testShop } from "./shop.ts";

const file = join(import.meta.dir, "../data/online-retail-first-150-invoices.csv");
let it: TestShop;

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

test("the first orders of a real shop are taken, and balance to the penny and to the unit", async () => {
  const imported = await importRetail(it.api, file);
  expect(imported.rejected).toEqual([]);
  const result = await replayRetail(it.api, file, { concurrency: 8, patienceMs: 60_000 });
  expect(differences(result)).toEqual([]);
  expect(result.replayed.every((one) => one.order?.status === "confirmed")).toBe(true);
  expect(result.replayed.length).toBeGreaterThan(100);

  // The same file again places nothing twice.
  const again = await replayRetail(it.api, file, { concurrency: 8, patienceMs: 60_000 });
  expect(again.replayed.every((one) => one.again)).toBe(true);
  expect(differences(again)).toEqual([]);
}, 300_000);

test("a shop that is wrong by one penny or one piece is found out", async () => {
  const result = await replayRetail(it.api, file, { concurrency: 8, patienceMs: 60_000 });
  const [first] = result.replayed;
  if (!first?.order) throw new Error("nothing was replayed");
  const cheaper = {
    ...first,
    order: { ...first.order, total: { ...first.order.total, amount: first.order.total.amount - 1 } },
  };
  expect(differences({ ...result, replayed: [cheaper, ...result.replayed.slice(1)] })).not.toEqual([]);
  const [sku = "", reserved = 0] = result.after.reserved.entries().next().value ?? [];
  const moved = { ...result.after, reserved: new Map(result.after.reserved).set(sku, reserved + 1) };
  expect(differences({ ...result, after: moved })).not.toEqual([]);
}, 120_000);

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importRetail } from "../../packages/souk/src/retail/import.ts";
import { type ReplayResult, replayRetail } from "../../packages/souk/src/retail/replay.ts";
import { differences, summary } from "../../packages/souk/src/retail/report.ts";
import { eventually, type TestShop, testShop } from "./shop.ts";

const sample = join(import.meta.dir, "../data/online-retail-first-150-invoices.csv");
const options = { concurrency: 8, patienceMs: 60_000 };
let it: TestShop;
let folder: string;
/** What came of the sample. */
let played: ReplayResult;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "retail-"));
  it = await testShop();
}, 600_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await it?.stop();
}, 60_000);

/** A file in the published format, of lines `invoice,sku,quantity,price,customer`. */
function fileOf(name: string, lines: string[]): string {
  const file = join(folder, name);
  const rows = lines.map((line) => {
    const [invoice, sku, quantity, price, customer = ""] = line.split(",");
    return `${invoice},${sku},THING,${quantity},1/12/2010 8:26,${price},${customer},${customer ? "France" : "EIRE"}`;
  });
  writeFileSync(
    file,
    ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country", ...rows].join("\n"),
  );
  return file;
}

const statuses = ({ replayed }: ReplayResult) =>
  Object.fromEntries(replayed.map(({ planned, order }) => [planned.reference, order?.status]));
const pieces = async (sku: string) => {
  const { onHand, reserved } = await it.stock(sku);
  return { onHand, reserved };
};

test("the first orders of a real shop are sold, delivered and brought back, and balance to the penny and to the unit", async () => {
  const imported = await importRetail(it.api, sample);
  expect(imported.rejected).toEqual([]);
  const result = await replayRetail(it.api, sample, options);
  expect(differences(result)).toEqual([]);
  expect(result.replayed.length).toBeGreaterThan(100);
  expect(result.replayed.filter(({ returns }) => returns.length > 0)).toHaveLength(1);
  expect(result.unmatched).toHaveLength(25);
  const told = summary(result);
  expect(told).toContain("line 143: C536379, 1 × D: a discount: nothing came back");
  expect(told).toContain("The shop agrees with the file");

  // The same file again does nothing twice.
  const again = await replayRetail(it.api, sample, options);
  expect(again.replayed.every((one) => one.again)).toBe(true);
  expect(differences(again)).toEqual([]);
  expect(summary(again)).toContain("they were not placed twice");
  expect(summary(again)).toContain("they were not made twice");
  played = again;
}, 300_000);

test("a shop that is wrong by one penny or one piece is found out", () => {
  const result = played;
  const returned = result.replayed.findIndex(({ returns }) => returns.length > 0);
  const wrong = (over: (one: ReplayResult["replayed"][number]) => object) =>
    result.replayed.with(returned, { ...at(result, returned), ...over(at(result, returned)) });
  const less = wrong(({ order }) => ({
    order: order && { ...order, total: { ...order.total, amount: order.total.amount - 1 } },
  }));
  expect(differences({ ...result, replayed: less })).not.toEqual([]);
  for (const what of ["captured", "refunded"] as const) {
    const off = wrong(({ after }) => ({ after: { ...after, [what]: after[what] + 1 } }));
    expect(differences({ ...result, replayed: off })).toHaveLength(1);
  }
  for (const what of ["shipped", "returned"] as const) {
    const off = wrong(({ after }) => {
      const moved = new Map([...after.pieces].map(([sku, one]) => [sku, { ...one, [what]: one[what] + 1 }]));
      return { after: { ...after, pieces: moved } };
    });
    expect(differences({ ...result, replayed: off })).not.toEqual([]);
  }
  const [sku = "", level] = result.after.stock.entries().next().value ?? [];
  for (const what of ["onHand", "reserved"] as const) {
    const stock = new Map(result.after.stock).set(sku, { onHand: 0, reserved: 0, ...level, [what]: -7 });
    expect(differences({ ...result, after: { ...result.after, stock } })).toHaveLength(1);
  }
  const accounts = new Map(
    [...result.after.accounts].map(([name, { debit, credit }]) => [name, { debit, credit: credit + 1 }]),
  );
  expect(differences({ ...result, after: { ...result.after, accounts } })).toHaveLength(1);
  expect(differences({ ...result, after: { ...result.after, balanced: false } })).toHaveLength(1);
});

test("a messy file: what comes back of several orders, of services, for nothing, of all, too early, of nobody's", async () => {
  const file = fileOf("messy.csv", [
    "CM0,MESSY-A,-1,2.55,1",
    "M1,MESSY-A,6,2.55,1",
    "M1,POST,1,18.00,1",
    "M2,MESSY-A,4,2.55,1",
    "M2,MESSY-B,2,0,1",
    "M3,MESSY-C,3,0.335,2",
    "M4,MESSY-B,5,0,2",
    "M5,POST,2,9.50,2",
    "M6,MESSY-A,2,2.55",
    "M7,MESSY-A,7,2.55,1",
    "M7,MESSY-A,7,2.10,1",
    // Of M7 and M2, the newest first, as none holds 9; then 2 of M2; then no other than M1 holds 5.
    "CM8,MESSY-A,-9,2.55,1",
    "CM8,POST,-1,18.00,1",
    "CM9,MESSY-A,-2,2.55,1",
    "CM9,MESSY-B,-1,0,1",
    "CM10,MESSY-A,-5,2.55,1",
    "CM11,MESSY-C,-1,0.335,2",
    "CM12,MESSY-C,-2,0.335,2",
    "CM13,MESSY-B,-5,0,2",
    "CM14,POST,-1,9.50,2",
    "CM15,D,-1,5,1",
    "CM16,MESSY-A,-2,2.55",
    "CM17,MESSY-A,-3,2.10,2",
    "CM18,MESSY-A,-8,2.10,1",
    "M19,MESSY-A,1,-2.55,1",
  ]);
  expect((await importRetail(it.api, file)).rejected).toEqual([]);
  const result = await replayRetail(it.api, file, options);
  expect(differences(result)).toEqual([]);
  expect(result.replayed.flatMap(({ returns }) => returns).length).toBe(10);
  expect(result.unmatched.map(({ invoice, quantity, reason }) => [invoice, quantity, reason])).toEqual([
    ["CM0", 1, "it came back before it was bought"],
    ["CM15", 1, "a discount: nothing came back"],
    ["CM16", 2, "the file does not say who brought it back"],
    ["CM17", 3, "this customer bought none"],
    ["CM18", 1, "more came back than was bought"],
  ]);
  expect(statuses(result)).toMatchObject({
    M1: "delivered",
    M3: "returned",
    M4: "returned",
    M5: "confirmed",
  });
  expect(await pieces("MESSY-A")).toEqual({ onHand: 9 + 2 + 5 + 7, reserved: 0 });
  expect(await pieces("MESSY-C")).toEqual({ onHand: 3, reserved: 0 });
  const refunded = (reference: string) =>
    result.replayed.find(({ planned }) => planned.reference === reference)?.after.refunded;
  expect(refunded("M3")).toBe(100);
  expect(refunded("M5")).toBe(950);
  expect(refunded("M4")).toBe(0);
}, 120_000);

test("a replay that is killed is taken up where it was: nothing is placed, shipped or returned twice", async () => {
  const lines = Array.from({ length: 24 }, (_, n) => [
    `K${n},KILL-${n % 7},${(n % 3) + 1},1.25,9`,
    `CK${n},KILL-${n % 7},-1,1.25,9`,
  ]);
  const file = fileOf("killed.csv", lines.flat());
  await importRetail(it.api, file);
  const cli = join(import.meta.dir, "../../packages/souk/src/cli.ts");
  const run = () =>
    Bun.spawn(
      [process.execPath, cli, "replay", "retail", file, "--home", it.shop.home.dir, "--concurrency", "1"],
      {
        stdout: "pipe",
        stderr: "ignore",
      },
    );
  const count = async (query: string) => {
    let found = 0;
    for await (const { reference } of it.api.all<{ reference: string }>(`/api/orders?${query}`))
      if (/^K\d/.test(reference)) found++;
    return found;
  };
  for (const [status, enough] of [
    ["confirmed", 5],
    ["delivered", 5],
  ] as const) {
    const killed = run();
    await eventually(
      `${enough} are ${status}`,
      async () => (await count(`status=${status}`)) >= enough,
      60_000,
    );
    killed.kill("SIGKILL");
    await killed.exited;
  }
  const last = run();
  const told = await new Response(last.stdout).text();
  expect(told).toContain("The shop agrees with the file");
  expect(await last.exited).toBe(0);
  expect(await count("")).toBe(24);
}, 240_000);

const at = ({ replayed }: ReplayResult, index: number) => {
  const one = replayed[index];
  if (!one) throw new Error("nothing was replayed");
  return one;
};

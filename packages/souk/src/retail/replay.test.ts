import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Api, patient, Refused } from "../api-client.ts";
import { plan } from "./plan.ts";
import { readRetail } from "./read.ts";
import { replayRetail } from "./replay.ts";
import { differences, summary } from "./report.ts";
import { shopOf } from "./shop.fixture.ts";

const options = { concurrency: 4, patienceMs: 20_000 };
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "retail-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

async function file(...lines: string[]) {
  const path = join(folder, `${crypto.randomUUID()}.csv`);
  writeFileSync(path, [header, ...lines].join("\n"));
  return { path, products: plan(await readRetail(path)).products };
}

const messy = [
  "1,A,CUP,6,1/12/2010,2.55,1,France",
  "1,POST,POSTAGE,1,1/12/2010,18,1,France",
  "2,A,CUP,4,1/12/2010,2.55,1,France",
  "2,B,FREE,2,1/12/2010,0,1,France",
  "3,C,PIN,3,1/12/2010,0.335,2,EIRE",
  "4,B,FREE,5,1/12/2010,0,2,EIRE",
  "5,POST,POSTAGE,2,1/12/2010,9.5,2,EIRE",
  "6,A,CUP,2,1/12/2010,2.55,,EIRE",
  "C7,A,CUP,-8,1/12/2010,2.55,1,France",
  "C7,POST,POSTAGE,-1,1/12/2010,18,1,France",
  "C8,C,PIN,-1,1/12/2010,0.335,2,EIRE",
  "C9,C,PIN,-2,1/12/2010,0.335,2,EIRE",
  "C10,B,FREE,-5,1/12/2010,0,2,EIRE",
  "C11,POST,POSTAGE,-1,1/12/2010,9.5,2,EIRE",
  "C12,D,DISCOUNT,-1,1/12/2010,5,1,France",
];

test("what is in the file is done, and done once, however often it is replayed", async () => {
  const { path, products } = await file(...messy);
  const api = shopOf(products);
  const first = await replayRetail(api, path, options);
  expect(differences(first)).toEqual([]);
  const told = summary(first);
  expect(told).toContain("placed     6 of 6 orders\n");
  expect(told).toContain("returned   6 returns by 5 C-invoices of 5 orders, £48.90");
  expect(told).toContain("line 16: C12, 1 × D: a discount: nothing came back");
  expect(told).toMatch(/France +2 +£43\.50 +£43\.50 +£38\.40 +£38\.40 +4 +4\n/);
  expect(told).toMatch(/all +6 /);
  const again = await replayRetail(api, path, options);
  expect(differences(again)).toEqual([]);
  expect(again.after).toEqual(first.after);
  expect(summary(again)).toContain("(6 of them by an earlier run: they were not placed twice)");
  expect(summary(again)).toContain("(6 of them by an earlier run: they were not made twice)");
});

test("whichever answer is lost, and whenever the shop is busy, nothing is done twice", async () => {
  const { path, products } = await file(...messy);
  let most = 0;
  const run = async (lost: number) => {
    let calls = 0;
    const api = shopOf(products, (when) => {
      if (when === "before") calls++;
      if (when === "after" && calls === lost) throw new TypeError("the answer was lost");
      if (when === "before" && calls === lost + 5) throw new TypeError("the connection was refused");
      if (when === "before" && calls === lost + 9) throw new Refused(503, "unavailable", "later", 0.001);
    });
    expect(differences(await replayRetail(patient(api), path, options))).toEqual([]);
    most = Math.max(most, calls);
  };
  await Promise.all(Array.from({ length: 70 }, (_, lost) => run(lost)));
  expect(most).toBeGreaterThan(70);
}, 60_000);

test("what the shop does not do, or does otherwise, is a difference", async () => {
  const { path, products } = await file(...messy);
  const api = shopOf(products);
  const without = (path: RegExp, answer: () => never): Api => {
    const call: Api["call"] = (asked, how) =>
      how?.method === "POST" && path.test(asked) ? answer() : api.call(asked, how);
    return { ...api, call };
  };
  const refuses = without(/returns$/, () => {
    throw new Refused(409, "not-returnable", "no returns today", undefined);
  });
  const found = differences(await replayRetail(refuses, path, { concurrency: 4, patienceMs: 50 }));
  expect(found).toContain("order 4 (o-4): return C10: no returns today");
  expect(found).toContain("of order 1 (o-1) £0.00 was refunded, in the file £28.20");
  expect(found).toContain("stock of C: 3 fewer on hand, 0 gone by the file");
  // It is taken up where it stopped.
  expect(differences(await replayRetail(api, path, options))).toEqual([]);
});

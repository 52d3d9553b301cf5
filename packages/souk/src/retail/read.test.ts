import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plan } from "./plan.ts";
import { readRetail } from "./read.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "retail-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function read(content: string | Uint8Array) {
  const file = join(folder, `${crypto.randomUUID()}.csv`);
  await Bun.write(file, content);
  return readRetail(file);
}

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n";

test("quotes, commas and line ends inside a field, blank lines and a byte order mark are read", async () => {
  const rows = await read(
    `\ufeff${header}536365,85123A,"HEART, ""WHITE""\r\nLARGE",6,1/12/2010 8:26,2.55,17850.0,United Kingdom\r\n\r\n536366,22633,WARMER,1,1/12/2010,1.85,,EIRE`,
  );
  expect(rows.map(({ description }) => description)).toEqual(['HEART, "WHITE" LARGE', "WARMER"]);
  expect(rows.map(({ customer }) => customer)).toEqual(["17850", ""]);
  expect(plan(rows).orders.map(({ countryCode }) => countryCode)).toEqual(["GB", "IE"]);
});

test("the later edition's column names, semicolons and decimal commas are read", async () => {
  const rows = await read(
    "Invoice;StockCode;Description;Quantity;InvoiceDate;Price;Customer ID;Country\n489434;85048;LIGHTS;12;2009-12-01 07:45:00;6,95;13085;Germany\n",
  );
  expect(plan(rows).orders[0]).toMatchObject({ reference: "489434", total: 8340, countryCode: "DE" });
});

test("Windows-1252 is read where the file is not UTF-8", async () => {
  const bytes = Buffer.from(`${header}1,A,CAF\xc9 \xa35,1,1/12/2010,1.00,,France\n`, "latin1");
  expect((await read(bytes))[0]?.description).toBe("CAFÉ £5");
});

test("a stray quote, a short line and a long one cost no other line", async () => {
  const rows = await read(
    `${header}1,A,12" RULER,1,1/12/2010,1.00,,France\n2,B\n3,C,CUP,2,1/12/2010,2.00,,France,extra\n`,
  );
  const { orders, skipped } = plan(rows);
  expect(orders.map(({ reference, total }) => [reference, total])).toEqual([
    ["1", 100],
    ["3", 400],
  ]);
  expect(skipped).toMatchObject([{ invoice: "2", reason: 'the quantity is not a whole number: ""' }]);
});

test("an invoice whose lines lie apart is one order, and every line keeps its number", async () => {
  const rows = await read(
    `${header}1,A,CUP,1,1/12/2010,0.835,,France\n2,A,CUP,1,1/12/2010,1.00,,France\n1,B,POT,3,1/12/2010,0.125,,France\n`,
  );
  const { orders } = plan(rows);
  expect(orders.map(({ reference, total }) => [reference, total])).toEqual([
    ["1", 84 + 38],
    ["2", 100],
  ]);
  expect(rows.map(({ line }) => line)).toEqual([2, 3, 4]);
});

test("a file that lacks a column says which", async () => {
  await expect(read("InvoiceNo,StockCode\n1,A\n")).rejects.toThrow("has no column description");
});

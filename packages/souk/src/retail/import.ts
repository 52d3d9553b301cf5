import type { Api } from "../api-client.ts";
import { Progress } from "../progress.ts";
import { type PlannedProduct, plan } from "./plan.ts";
import { readRetail } from "./read.ts";

export interface Imported {
  accepted: number;
  rejected: { line: number; sku: string; detail: string }[];
}

/** Imports the products of a retail file, each with the stock that the file's sales need beside what is reserved already. */
export async function importRetail(api: Api, file: string): Promise<Imported> {
  const { products } = plan(await readRetail(file));
  const reserved = new Map<string, number>();
  for await (const stock of api.all<{ sku: string; reserved: number }>("/api/stock"))
    reserved.set(stock.sku, stock.reserved);
  return importProducts(
    api,
    products.map((product) =>
      product.onHand === undefined
        ? product
        : { ...product, onHand: product.onHand + (reserved.get(product.sku) ?? 0) },
    ),
  );
}

const chunk = 500;

async function importProducts(api: Api, products: PlannedProduct[]): Promise<Imported> {
  const progress = new Progress("import", products.length, "products");
  const result: Imported = { accepted: 0, rejected: [] };
  for (let start = 0; start < products.length; start += chunk) {
    const some = products.slice(start, start + chunk);
    const { body } = await api.call<{ accepted: number; rejected: { line: number; detail: string }[] }>(
      "/api/products/import",
      {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: some.map((product) => JSON.stringify(product)).join("\n"),
      },
    );
    result.accepted += body.accepted;
    for (const { line, detail } of body.rejected) {
      result.rejected.push({ line: start + line, sku: some[line - 1]?.sku ?? "", detail });
    }
    progress.step(some.length);
  }
  progress.end();
  return result;
}

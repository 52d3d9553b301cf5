import { setTimeout as pause } from "node:timers/promises";
import type { Api } from "../api-client.ts";
import type { PlannedProduct } from "./plan.ts";

/** Stock and money of the shop at one moment. */
export interface Books {
  stock: Map<string, Level>;
  /** What stands on each account, by account and currency. */
  accounts: Map<string, { debit: number; credit: number }>;
  balanced: boolean;
}

interface Level {
  onHand: number;
  reserved: number;
}

export async function books(api: Api): Promise<Books> {
  const stock = new Map<string, Level>();
  for await (const { sku, onHand, reserved } of api.all<Level & { sku: string }>("/api/stock"))
    stock.set(sku, { onHand, reserved });
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
  return { stock, accounts, balanced: body.balanced };
}

/**
 * The books, once every product has its stock (an import is through everywhere within a second) and nothing that was
 * begun before moves any more.
 * @throws {Error} when products are missing, saying what to do
 */
export async function stocked(api: Api, products: PlannedProduct[]): Promise<Books> {
  const until = performance.now() + 5_000;
  for (let before: string | undefined; ; ) {
    const now = await books(api);
    const missing = products.filter(({ sku, kind }) => kind === "physical" && !now.stock.has(sku));
    const late = performance.now() > until;
    const written = JSON.stringify([[...now.stock], [...now.accounts]]);
    if (missing.length === 0 && (written === before || late)) return now;
    if (late)
      throw new Error(
        `${missing.length} of the file's products are not in the shop (${missing[0]?.sku}…): first run  npx souk import retail <file>`,
      );
    before = written;
    await pause(200);
  }
}

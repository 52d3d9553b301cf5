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

/** Ms in which something must have moved where products are missing. */
const standstill = 5_000;

/**
 * The books, once every product has its stock (an import is through everywhere within a second, a busy shop may need
 * longer) and nothing that was begun before moves any more.
 * @throws {Error} when products are missing, saying what to do
 */
export async function stocked(api: Api, products: PlannedProduct[]): Promise<Books> {
  const started = performance.now();
  let [before, moved] = ["", started];
  for (;;) {
    const now = await books(api);
    const written = JSON.stringify([[...now.stock], [...now.accounts]]);
    const same = written === before;
    if (!same) [before, moved] = [written, performance.now()];
    const missing = products.filter(({ sku, kind }) => kind === "physical" && !now.stock.has(sku));
    // Others may trade on without end.
    if (missing.length === 0 && (same || performance.now() > started + standstill)) return now;
    if (missing.length > 0 && performance.now() > moved + standstill)
      throw new Error(
        `${missing.length} of the file's products are not in the shop (${missing[0]?.sku}…): first run  npx souk import retail <file>`,
      );
    await pause(200);
  }
}

import { holdsNothing, ledger } from "./holdings.ts";
import type { App } from "./plan.ts";
import { processOf, type Shop } from "./shop.ts";

/** Checks what must hold at every moment, whenever something was committed. */
export class Watch {
  readonly #shop: Shop;
  readonly #commits = new Map<App, number>();
  /** Orders that have ended, as they ended. */
  readonly #ended = new Map<string, string>();

  constructor(shop: Shop) {
    this.#shop = shop;
  }

  look(): void {
    if (this.#changed("inventory")) this.#stock();
    if (this.#changed("payments")) ledger(this.#shop);
    if (this.#changed("orders")) this.#orders();
  }

  #changed(app: App): boolean {
    const { commits } = processOf(this.#shop, app).disk;
    if (this.#commits.get(app) === commits) return false;
    this.#commits.set(app, commits);
    return true;
  }

  #stock(): void {
    const [wrong] = processOf(this.#shop, "inventory").disk.rows(
      "select * from stock where reserved < 0 or reserved > on_hand limit 1",
    );
    if (wrong) this.#shop.world.violate(`stock is oversold: ${JSON.stringify(wrong)}`);
  }

  #orders(): void {
    const rows = processOf(this.#shop, "orders").disk.rows<{ id: string; status: string }>(
      "select id, status from orders where status in ('rejected', 'cancelled')",
    );
    for (const { id, status } of rows) {
      if (this.#ended.has(id)) continue;
      this.#ended.set(id, status);
      holdsNothing(this.#shop, id, status);
    }
    for (const [id, status] of this.#ended)
      if (!rows.some((row) => row.id === id && row.status === status))
        this.#shop.world.violate(`order ${id} was ${status}, and is not any more`);
  }
}

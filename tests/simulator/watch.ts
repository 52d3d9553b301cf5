import { holdsNothing, ledger, moneyOf } from "./holdings.ts";
import { left, type OrderState, worth, worthOfReturned } from "./kept.ts";
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
    if (this.#changed("payments")) this.#payments();
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

  #payments(): void {
    ledger(this.#shop);
    const book = this.#shop.book.book();
    for (const id of new Set(book.map(({ payment }) => payment))) {
      const { approved, captured, refunded, voided } = moneyOf(book, id);
      if (refunded > captured)
        this.#shop.world.violate(`of ${id} ${captured} was captured and ${refunded} given back`);
      if (captured + voided > approved)
        this.#shop.world.violate(`of ${id} ${approved} was approved and ${captured} captured`);
    }
  }

  #orders(): void {
    const { world, book } = this.#shop;
    const [over] = processOf(this.#shop, "orders").disk.rows(
      `select id, used from promotions join promotion_uses uses on uses.promotion = id and customer = '' where used > most limit 1`,
    );
    if (over) world.violate(`a promotion is used more than it may be: ${JSON.stringify(over)}`);
    const rows = processOf(this.#shop, "orders").disk.rows<{ id: string; status: string; state: string }>(
      "select id, status, state from orders where status not in ('placed', 'reserved', 'aborting')",
    );
    for (const { id, status, state } of rows) {
      const seen = this.#ended.get(id);
      if (seen === status) continue;
      if (seen !== undefined) world.violate(`order ${id} was ${seen}, and is ${status}`);
      if (status === "rejected" || status === "cancelled") {
        this.#ended.set(id, status);
        holdsNothing(this.#shop, id, status);
        continue;
      }
      const order = JSON.parse(state) as OrderState;
      const { captured, refunded } = moneyOf(book.book(), id);
      if (captured < worth(order, left))
        world.violate(
          `of order ${id} goods worth ${worth(order, left)} have left, and ${captured} was captured`,
        );
      if (status !== "returned") continue;
      this.#ended.set(id, status);
      const kept = worth(order, left) - worthOfReturned(order);
      if (captured - refunded > kept)
        world.violate(`order ${id} is returned, and ${captured - refunded - kept} of its money is not back`);
    }
    for (const [id, status] of this.#ended)
      if (!rows.some((row) => row.id === id)) world.violate(`order ${id} was ${status}, and is not any more`);
  }
}

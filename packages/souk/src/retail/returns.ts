import { Bought } from "./bought.ts";
import { toMinor } from "./decimal.ts";
import type { FileLine, PlannedLine, PlannedOrder, PlannedReturn, Unmatched } from "./plan.ts";
import type { Row } from "./read.ts";

const mostPieces = 100_000;

/** Finds for what came back the orders that it was bought with. Sales and returns are told in their order in time. */
export class Returns {
  readonly #bought = new Bought<PlannedOrder>();
  readonly #returns = new Map<string, PlannedReturn[]>();
  readonly #left: (Omit<Unmatched, "reason"> & { customer: string; price: bigint; some: boolean })[] = [];
  /** Who bought what, at any price and at which. */
  readonly #ever = new Set<string>();

  /** @param price of the file, in millionths: that of the line may be a whole penny beside it */
  sold(order: PlannedOrder, { sku, quantity, unitPrice }: PlannedLine, price: bigint): void {
    const { email } = order.customer;
    this.#bought.add(key(email, sku, price), { order, quantity, unitPrice: unitPrice.amount });
    this.#ever.add(key(email, sku)).add(key(email, sku, price));
  }

  /** @param customer who brings it; empty when the file does not say */
  brought({ line, invoice, sku }: Row, { quantity, price }: FileLine, customer: string): void {
    const what = key(customer, sku, price);
    const some = this.#bought.has(what);
    let left = quantity;
    for (const piece of this.#bought.take(what, quantity, (pieces) => toMinor(price * BigInt(pieces)))) {
      left -= piece.quantity;
      this.#add(invoice, piece.order, {
        sku,
        quantity: piece.quantity,
        unitPrice: { amount: piece.unitPrice, currency: piece.order.lines[0]?.unitPrice.currency ?? "" },
      });
    }
    if (left > 0) this.#left.push({ line, invoice, sku, quantity: left, customer, price, some });
  }

  #add(reference: string, order: PlannedOrder, line: PlannedLine): void {
    const returns = this.#returns.get(reference) ?? [];
    this.#returns.set(reference, returns);
    const room = ({ order: of, lines }: PlannedReturn) =>
      of === order && (same(lines, line)?.quantity ?? 0) + line.quantity <= mostPieces;
    let found = returns.find(room);
    if (!found) {
      found = { reference, order, lines: [], total: 0 };
      returns.push(found);
    }
    const known = same(found.lines, line);
    if (known) known.quantity += line.quantity;
    else found.lines.push(line);
    found.total += line.quantity * line.unitPrice.amount;
  }

  get returns(): PlannedReturn[] {
    return [...this.#returns.values()].flat();
  }

  /** What matches no order, with the reason. To be asked for when all has been told. */
  get unmatched(): Unmatched[] {
    return this.#left.map(({ customer, price, some, ...line }) => {
      const reason =
        customer === ""
          ? "the file does not say who brought it back"
          : some
            ? "more came back than was bought"
            : this.#ever.has(key(customer, line.sku, price))
              ? "it came back before it was bought"
              : this.#ever.has(key(customer, line.sku))
                ? "this customer bought it at other prices only"
                : line.sku === "D"
                  ? "a discount: nothing came back"
                  : "this customer bought none";
      return { ...line, reason };
    });
  }
}

const key = (customer: string, sku: string, price?: bigint): string => `${customer}\n${sku}\n${price ?? ""}`;

const same = (lines: PlannedLine[], { sku, unitPrice }: PlannedLine): PlannedLine | undefined =>
  lines.find((line) => line.sku === sku && line.unitPrice.amount === unitPrice.amount);

/** A part of a purchase: so many pieces at one price, in one order. */
export interface Piece<Order> {
  order: Order;
  /** Minor units. */
  unitPrice: number;
  quantity: number;
}

/** What customers have bought and not brought back, by what it is: who bought which product at which price. */
export class Bought<Order> {
  readonly #pieces = new Map<string, Piece<Order>[]>();

  add(what: string, piece: Piece<Order>): void {
    const pieces = this.#pieces.get(what);
    if (pieces) pieces.push({ ...piece });
    else this.#pieces.set(what, [{ ...piece }]);
  }

  /** Whether any was ever bought. */
  has(what: string): boolean {
    return this.#pieces.has(what);
  }

  /**
   * Takes back of the newest order that holds the whole quantity; when none does, of all that hold some, the newest
   * first. Pieces of one order whose price is one of fractions of a penny are taken so that they are worth what comes
   * nearest to `worth`.
   * @param worth of a quantity, in minor units
   * @returns what was taken, which may be less than was asked for
   */
  take(what: string, quantity: number, worth: (quantity: number) => number): Piece<Order>[] {
    const byOrder = Map.groupBy(this.#pieces.get(what) ?? [], ({ order }) => order);
    const newest = [...byOrder.values()].reverse();
    const whole = newest.find((pieces) => held(pieces) >= quantity);
    const taken: Piece<Order>[] = [];
    let left = quantity;
    for (const pieces of whole ? [whole] : newest) {
      const some = Math.min(left, held(pieces));
      taken.push(...nearest(pieces, some, worth(some)));
      left -= some;
    }
    return taken;
  }
}

const held = (pieces: { quantity: number }[]): number =>
  pieces.reduce((sum, { quantity }) => sum + quantity, 0);

/** Takes pieces of one order, whose prices are a penny apart at most. */
function nearest<Order>(pieces: Piece<Order>[], quantity: number, worth: number): Piece<Order>[] {
  const low = Math.min(...pieces.map(({ unitPrice }) => unitPrice));
  const cheap = pieces.filter(({ unitPrice }) => unitPrice === low);
  const dear = pieces.filter(({ unitPrice }) => unitPrice > low);
  const wanted = Math.max(worth - low * quantity, quantity - held(cheap), 0);
  const dearer = Math.min(wanted, held(dear), quantity);
  return [...off(cheap, quantity - dearer), ...off(dear, dearer)];
}

/** Takes so many off the pieces, the last first. */
function off<Order>(pieces: Piece<Order>[], quantity: number): Piece<Order>[] {
  const taken: Piece<Order>[] = [];
  let left = quantity;
  for (const piece of pieces.toReversed()) {
    const some = Math.min(left, piece.quantity);
    if (some === 0) continue;
    piece.quantity -= some;
    left -= some;
    taken.push({ ...piece, quantity: some });
  }
  return taken;
}

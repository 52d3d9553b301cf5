import { integer, type Kit } from "chassis";
import { type Cart, type CartEvent, evolve } from "./cart.ts";
import { StoredCart, StoredOwner } from "./contracts.ts";
import type { Store } from "./store.ts";

/** The carts in the Dapr state store: each a value, changed only as the version that it was read in. */
export interface Carts {
  find(id: string): Promise<Cart | undefined>;
  /** A guest's. @param decide what is put in at once */
  create(decide: Decide): Promise<Cart>;
  /**
   * Decides about a cart and keeps what came of it. When somebody else was quicker, it is decided again.
   * @returns undefined when there is no such cart
   */
  change(id: string, decide: Decide): Promise<Cart | undefined>;
  forget(id: string): Promise<void>;
  /** The user's own cart, a new one where there is none that is still open. */
  of(owner: string): Promise<Cart>;
}

/** Decides about a cart, once what has to be known of its lines is gathered. */
export type Decide = (cart: Cart) => CartEvent[] | Promise<CartEvent[]>;

const day = 24 * 60 * 60;

export function cartsOf({ sidecar, config, id: newId, now }: Kit<Store>): Carts {
  const state = sidecar.state("state", StoredCart, { encrypted: true });
  const owners = sidecar.state("state", StoredOwner, { encrypted: true });
  // Counted from the last change.
  const ttl = {
    guest: integer(config, "CART_TTL_SECONDS", 30 * day),
    owned: integer(config, "OWN_CART_TTL_SECONDS", 180 * day),
  };
  const ttlOf = ({ owner }: Cart): number => (owner === undefined ? ttl.guest : ttl.owned);
  const key = (id: string): string => `cart-${id}`;

  const find = async (id: string): Promise<Cart | undefined> => (await state.get(key(id)))?.value;

  const begun = (owner?: string): Cart =>
    evolve(undefined, { type: "created", at: now(), id: newId(), ...(owner === undefined ? {} : { owner }) });

  async function keep(cart: Cart): Promise<Cart> {
    await state.set(key(cart.id), cart, { ttl: ttlOf(cart) });
    return cart;
  }

  return {
    find,
    async create(decide) {
      const cart = begun();
      return keep((await decide(cart)).reduce<Cart>(evolve, cart));
    },

    async change(id, decide) {
      const before = await find(id);
      if (before === undefined) return undefined;
      const after = await state.update(
        key(id),
        async (current) => {
          // It has expired since.
          if (current === null) return undefined;
          const events = await decide(current);
          return events.length === 0 ? undefined : events.reduce<Cart>(evolve, current);
        },
        { ttl: ttlOf(before), attempts: 100 },
      );
      return after ?? undefined;
    },

    forget: (id) => state.delete(key(id)),

    async of(owner) {
      let mine: Cart | undefined;
      await owners.update(
        `owner-${owner}`,
        async (known) => {
          const before = known ? await find(known.cartId) : undefined;
          if (before && !before.ordered) {
            mine = before;
            // A cart that is used outlives this note of whose it is, unless it is made anew.
            const since = now() - (known?.at ?? 0);
            return since < (ttl.owned * 1_000) / 6 ? undefined : { cartId: before.id, at: now() };
          }
          // Of two who begin one at once, one is kept; the other's is empty, and expires.
          mine = await keep(begun(owner));
          return { cartId: mine.id, at: now() };
        },
        { ttl: ttl.owned, attempts: 100 },
      );
      if (mine === undefined) throw new Error("a user has a cart, or is given one");
      return mine;
    },
  };
}

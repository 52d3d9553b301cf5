import type { Sealed } from "chassis";
import type { Order } from "./order.ts";

export interface Address {
  name: string;
  line1: string;
  line2?: string;
  city: string;
  postcode?: string;
  country: string;
}

/** What somebody wrote: about a return, or with a cancellation. */
export interface Note {
  at: number;
  /** The id of the return; absent: about what was cancelled. */
  about?: string;
  text: string;
}

/** What an order holds of a person. */
export interface Personal {
  customer: { email: string; name: string };
  shippingAddress: Address;
  /** What the customer reads: the Accept-Language of the request. */
  language?: string;
  notes?: Note[];
}

const notesKept = 200;

/** What is known of a person, with one more note; the oldest go when there are many. */
export const withNote = (personal: Personal, note: Note): Personal => ({
  ...personal,
  notes: [...(personal.notes ?? []), note].slice(-notesKept),
});

/** An order as it is kept: with what is personal in one sealed text, or as versions before it, open. */
export type Kept = Order | (Omit<Order, "personal" | "country"> & Personal);

const where = "orders.personal";
const customer = "orders.customer";

/** Orders are looked at again and again while they are new, in lists above all: so many are opened once. */
const openedKept = 1_000;

/** How what is personal is kept and found again. */
export function personalKeeper(sealed: Sealed) {
  const opened = new Map<string, { text: string; personal: Personal }>();

  function open({ id, personal: text }: Pick<Order, "id" | "personal">): Personal | undefined {
    if (text === null) return undefined;
    const known = opened.get(id);
    if (known?.text === text) return known.personal;
    return remember(id, text, JSON.parse(sealed.keyOf(text) ? sealed.open(text, where, id) : text));
  }

  function remember(id: string, text: string, personal: Personal): Personal {
    const [oldest] = opened.keys();
    if (oldest !== undefined && opened.size >= openedKept) opened.delete(oldest);
    opened.set(id, { text, personal });
    return personal;
  }

  // Sealed in its place, as soon as it is known.
  function seal(id: string, personal: Personal): string {
    const open = JSON.stringify(personal);
    const text = sealed.writes ? sealed.seal(open, where, id) : open;
    remember(id, text, personal);
    return text;
  }

  return {
    seal,
    open,

    /** The order as it is in a row. */
    read(state: Kept): Order {
      if (!("customer" in state)) return state;
      const { customer, shippingAddress, language, notes, ...order } = state;
      const personal = JSON.stringify({ customer, shippingAddress, language, notes });
      // The token was kept for ever; it is needed until payments has been asked.
      const payment = order.status === "placed" ? order.payment : { method: order.payment.method };
      return { ...order, payment, personal, country: shippingAddress.country } as Order;
    },

    /** The columns that hold an order, or tell where it is found. */
    columns(order: Order): {
      state: Kept;
      email: string;
      customerKey: string | null;
      sealedWith: string | null;
    } {
      const personal = open(order);
      if (personal === undefined) return { state: order, email: "", customerKey: null, sealedWith: "" };
      const { email } = personal.customer;
      if (!sealed.writes && !sealed.keyOf(order.personal ?? "")) {
        const { personal: _, country: __, ...rest } = order;
        return { state: { ...rest, ...personal } as Kept, email, customerKey: null, sealedWith: null };
      }
      return {
        state:
          sealed.keyOf(order.personal ?? "") === sealed.current
            ? order
            : { ...order, personal: seal(order.id, personal) },
        email: "",
        customerKey: sealed.digest(email.toLowerCase(), customer),
        sealedWith: sealed.current,
      };
    },

    /** Whether the row of an order needs nothing but its new state. */
    settled: ({ personal }: Order): boolean => personal === null || sealed.keyOf(personal) !== undefined,

    /** What to look for in the column `customerKey`: one for each key there is. */
    keysOf: (email: string): string[] => sealed.digests(email.toLowerCase(), customer),
  };
}

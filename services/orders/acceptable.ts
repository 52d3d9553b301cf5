import type { NewOrder } from "./contracts.ts";
import { unpayable } from "./payment-methods.ts";

interface Refusal {
  status: 400 | 403 | 422;
  code: string;
  detail: string;
  errors: { pointer: string; detail: string }[];
}

/**
 * What the schema of an order cannot say: how it can be paid, where its lines come from, and who may name a price.
 * @param methods the payment methods that this shop takes
 * @param mayPrice whether the caller may set unit prices
 */
export function unacceptable(
  order: NewOrder,
  { methods, mayPrice }: { methods: string[]; mayPrice: boolean },
): Refusal | undefined {
  const unpaid = unpayable(order.payment, methods);
  if (unpaid) {
    const { code, pointer, detail } = unpaid;
    return { status: 422, code, detail, errors: [{ pointer, detail }] };
  }
  return unbuyable(order, { mayPrice });
}

/** The same of what is only to be priced: where its lines come from, and who may name a price. */
export function unbuyable(
  { cartId, lines }: Pick<NewOrder, "cartId" | "lines">,
  { mayPrice }: { mayPrice: boolean },
): Refusal | undefined {
  if ((lines === undefined) === (cartId === undefined)) {
    const detail = "An order has either lines or a cartId";
    const errors = [{ pointer: "/lines", detail: "give lines, or the id of a cart" }];
    return { status: 400, code: "invalid-body", detail, errors };
  }
  const priced = lines?.findIndex((line) => line.unitPrice !== undefined) ?? -1;
  if (priced >= 0 && !mayPrice) {
    const detail = "Only the scope orders:manage may set a unit price";
    const errors = [{ pointer: `/lines/${priced}/unitPrice`, detail: "leave it out" }];
    return { status: 403, code: "insufficient-scope", detail, errors };
  }
  return undefined;
}

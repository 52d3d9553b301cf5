import type { NewOrder } from "./contracts.ts";
import { unpayable } from "./payment-methods.ts";

interface Refusal {
  status: 400 | 403 | 422;
  code: string;
  detail: string;
  errors: { pointer: string; detail: string }[];
}

/**
 * What the schema of an order cannot say: where its lines come from, how it can be paid and sent, and who may name a
 * price.
 * @param methods the payment methods that this shop takes
 * @param mayPrice whether the caller may set unit prices
 */
export function unacceptable(
  { cartId, lines, payment, shippingMethod }: NewOrder,
  { methods, mayPrice }: { methods: string[]; mayPrice: boolean },
): Refusal | undefined {
  const unpaid = unpayable(payment, methods);
  if (unpaid) return refusal(422, unpaid.code, unpaid.pointer, unpaid.detail);
  if ((lines === undefined) === (cartId === undefined)) {
    const detail = "An order has either lines or a cartId";
    const errors = [{ pointer: "/lines", detail: "give lines, or the id of a cart" }];
    return { status: 400, code: "invalid-body", detail, errors };
  }
  if (shippingMethod !== undefined) {
    const detail = "no shipping method is on offer: leave it out";
    return refusal(422, "unknown-shipping-method", "/shippingMethod", detail);
  }
  const priced = lines?.findIndex((line) => line.unitPrice !== undefined) ?? -1;
  if (priced >= 0 && !mayPrice) {
    const detail = "Only the scope orders:manage may set a unit price";
    const errors = [{ pointer: `/lines/${priced}/unitPrice`, detail: "leave it out" }];
    return { status: 403, code: "insufficient-scope", detail, errors };
  }
  return undefined;
}

const refusal = (status: 422, code: string, pointer: string, detail: string): Refusal => ({
  status,
  code,
  detail,
  errors: [{ pointer, detail }],
});

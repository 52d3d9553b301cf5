import type { Kit } from "chassis";

/** Seals the token that stands for the customer's means of payment: on its way only payments can read it. */
export function sealedToken(
  { method, token }: { method: string; token: string },
  orderId: string,
  { shared }: Pick<Kit<unknown>, "shared">,
): { method: string; token: string } {
  const keys = shared("payment-tokens");
  return { method, token: keys.writes ? keys.seal(token, "payment.token", orderId) : token };
}

import type { Kit } from "chassis";
import type { Call } from "../calls.ts";

/**
 * The call with its token readable: it came from orders sealed, and is kept so. One of a version before came open.
 * @throws {Problem} 503 while the secret store cannot be read
 */
export async function withToken(call: Call, { shared }: Pick<Kit<unknown>, "shared">): Promise<Call> {
  if (call.operation !== "authorise") return call;
  const keys = shared("payment-tokens");
  const { token, orderId } = call;
  const key = keys.keyOf(token);
  if (key === undefined) return call;
  await keys.ready();
  // Orders may have a newer key than we have read.
  if (!keys.keys.includes(key)) await keys.refresh();
  return { ...call, token: keys.open(token, "payment.token", orderId) };
}

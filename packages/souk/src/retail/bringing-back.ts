import type { Api } from "../api-client.ts";
import { type OrderRead, readOrder } from "./footprint.ts";
import { insist, look } from "./insist.ts";
import type { PlannedReturn } from "./plan.ts";

/**
 * Takes goods back as staff does, who has them at hand. The C-invoice is the reason: by it the return is known again
 * when the file is replayed, and not made twice.
 * @param reason of its own for each return of an order
 * @returns whether an earlier run had made it
 * @throws {Error} what the shop said
 */
export async function broughtBack(
  api: Api,
  id: string,
  { lines }: PlannedReturn,
  reason: string,
  until: number,
): Promise<boolean> {
  const known = ({ returns = [] }: OrderRead) => returns.find((one) => one.reason === reason);
  const again = known(await readOrder(api, id)) !== undefined;
  if (!again) {
    await insist(
      api,
      `/api/orders/${id}/returns`,
      { method: "POST", headers: { "idempotency-key": `${id}-${reason}` }, body: { lines, reason } },
      until,
    );
  }
  const done = (order: OrderRead) => known(order)?.status === "refunded";
  if (!done(await look(() => readOrder(api, id), done, until)))
    throw new Error("its money did not come back");
  return again;
}

import type { Api } from "../api-client.ts";
import { type OrderRead, readOrder } from "./footprint.ts";
import { insist, look } from "./insist.ts";

/**
 * Hands an order over as staff does: dispatches what is pending and has it delivered. What an earlier run has done is
 * not done again.
 * @param until as performance.now counts
 * @throws {Error} what the shop said, or where it stopped
 */
export async function handedOver(api: Api, id: string, until: number): Promise<void> {
  const { shipments = [] } = await readOrder(api, id);
  for (const shipment of shipments) {
    const reach = async (status: string) => {
      const read = async () => (await api.call<{ status: string }>(path)).body;
      const seen = await look(read, (now) => now.status === status || now.status === "delivered", until);
      if (performance.now() > until) throw new Error(`shipment ${shipment.id} is still ${seen.status}`);
    };
    const path = `/api/shipments/${shipment.id}`;
    if (shipment.status === "pending") {
      // Shipping may not have heard of the order yet.
      const later = ({ status, code }: { status: number; code: string }) =>
        status === 404 || code === "dispatch-in-progress";
      await insist(api, `${path}/dispatch`, post(`dispatch-${shipment.id}`), until, later);
    }
    await reach("dispatched");
    await insist(api, `${path}/deliver`, post(`deliver-${shipment.id}`), until);
  }
  const over = (order: OrderRead) => (order.shipments ?? []).every(({ status }) => status === "delivered");
  if (!over(await look(() => readOrder(api, id), over, until)))
    throw new Error("not all of it was delivered");
}

const post = (key: string) => ({ method: "POST", headers: { "idempotency-key": key } });

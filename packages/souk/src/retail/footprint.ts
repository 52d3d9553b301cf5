import { type Api, Refused } from "../api-client.ts";
import type { OrderSeen } from "../orders-watch.ts";

/** What the replay reads of an order. */
export interface OrderRead extends OrderSeen {
  lines: {
    sku: string;
    quantity: number;
    kind?: string;
    shipped?: number;
    cancelled?: number;
    returned?: number;
  }[];
  shipments?: { id: string; status: string }[];
  returns?: { id: string; status: string; reason: string }[];
}

/** What an order has moved so far: money in minor units by payments' word, pieces by that of orders. */
export interface Footprint {
  captured: number;
  refunded: number;
  /** Of each product, services included. */
  pieces: Map<string, Pieces>;
}

export interface Pieces {
  ordered: number;
  shipped: number;
  returned: number;
}

export const nothing: Footprint = { captured: 0, refunded: 0, pieces: new Map() };

export const readOrder = async (api: Api, id: string): Promise<OrderRead> =>
  (await api.call<OrderRead>(`/api/orders/${id}`)).body;

export async function footprint(api: Api, order: OrderRead): Promise<Footprint> {
  const { captured, refunded } = await payment(api, order.id);
  const pieces = new Map<string, Pieces>();
  const ended = order.status === "rejected" || order.status === "cancelled";
  for (const { sku, quantity, cancelled = 0, shipped = 0, returned = 0 } of ended ? [] : order.lines) {
    const sum = pieces.get(sku) ?? { ordered: 0, shipped: 0, returned: 0 };
    pieces.set(sku, {
      ordered: sum.ordered + quantity - cancelled,
      shipped: sum.shipped + shipped,
      returned: sum.returned + returned,
    });
  }
  return { captured: captured.amount, refunded: refunded.amount, pieces };
}

/** Of an order that costs nothing payments has never heard. */
async function payment(api: Api, id: string) {
  const none = { captured: { amount: 0 }, refunded: { amount: 0 } };
  try {
    return (await api.call<typeof none>(`/api/payments/${id}`)).body;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return none;
    throw error;
  }
}

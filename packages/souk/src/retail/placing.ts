import { setTimeout as pause } from "node:timers/promises";
import type { Api } from "../api-client.ts";
import type { OrderSeen, OrdersWatch } from "../orders-watch.ts";
import { readOrder } from "./footprint.ts";
import { insist } from "./insist.ts";
import type { PlannedOrder } from "./plan.ts";

/** An order of the file, as the shop took it. */
export interface Placed {
  /** Absent when the shop refused it. */
  order?: OrderSeen;
  refused?: string;
  /** It had been placed by an earlier run of the same file. */
  again: boolean;
}

type Dated = OrderSeen & { history: { at: string }[] };

const inVain = new Set(["rejected", "cancelled"]);

const placedAt = ({ history }: Dated): string => history[0]?.at ?? "";

/** When the newest order was placed, by the shop's clock. */
export async function newest(api: Api): Promise<string> {
  const [order] = (await api.call<{ items: Dated[] }>("/api/orders?limit=1")).body.items;
  return order ? placedAt(order) : "";
}

/**
 * Places an order and waits until it is confirmed or refused; one that an earlier run placed in vain is placed anew.
 * @param since what was placed later than that, this run has placed
 */
export async function placed(
  api: Api,
  watch: OrdersWatch,
  order: PlannedOrder,
  key: string,
  { patienceMs, since }: { patienceMs: number; since: string },
): Promise<Placed> {
  for (let time = 1; ; time++) {
    const placed = await placedOnce(api, watch, order, `${key}-${time}`, { patienceMs, since });
    if (!placed.again || placed.order?.status !== "rejected") return placed;
  }
}

async function placedOnce(
  api: Api,
  watch: OrdersWatch,
  order: PlannedOrder,
  key: string,
  { patienceMs, since }: { patienceMs: number; since: string },
): Promise<Placed> {
  const request = {
    method: "POST",
    headers: { "idempotency-key": key },
    body: {
      reference: order.reference,
      customer: order.customer,
      shippingAddress: {
        name: order.customer.name,
        line1: "not in the data",
        city: "not in the data",
        country: order.countryCode,
      },
      payment: { method: "test", token: "tok_ok" },
      lines: order.lines,
    },
  };
  const started = performance.now();
  // A product that was imported a moment ago may not have reached orders yet.
  const fresh = (code: string) => code === "unknown-product" && performance.now() < started + 3_000;
  try {
    const until = started + patienceMs;
    const { body, headers } = await insist<Dated>(api, "/api/orders", request, until, ({ code }) =>
      fresh(code),
    );
    // Also when it was this run that placed it, and the answer got lost.
    const replayed = headers.get("idempotent-replayed") === "true";
    const again = replayed && placedAt(body) <= since;
    const seen = await Promise.race([watch.settled(body.id), pause(patienceMs, body, { ref: false })]);
    // Only the order itself says why it came to nothing.
    const order = inVain.has(seen.status) ? await readOrder(api, body.id) : { ...body, ...seen };
    return { order, again };
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error), again: false };
  }
}

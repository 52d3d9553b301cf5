import { allTold, type Facts, type Order, type Told } from "../facts.ts";
import type { Violation } from "../types.ts";

/** What a service has noted as handled has left its trace there: it was not swallowed. */
export function consequences(facts: Facts): Violation[] {
  const told = allTold(facts);
  const first = new Map<string, number>();
  for (const { type, key, at } of told) {
    const name = `${type} ${key}`;
    first.set(name, Math.min(at, first.get(name) ?? at));
  }
  return told.flatMap((event) =>
    facts.contracts.subscribersOf(event.topic, event.type).flatMap((service): Violation[] => {
      const at = facts.services.get(service)?.handled.get(`${event.type} ${event.id}`);
      const missing = at === undefined ? undefined : missed(facts, service, event, at, first);
      if (missing === undefined) return [];
      const detail = `${service} has handled ${event.type}, and ${missing}`;
      return [{ rule: "order-follows-events", orderId: event.key, detail }];
    }),
  );
}

/** What is committed together may carry times that are a little apart. */
const sameMomentMs = 50;

/**
 * Times compared are of one service's clock each.
 * @param told when each event was first told, by `type key`
 * @returns what should be there and is not
 */
function missed(
  { orders, payments, services }: Facts,
  service: string,
  { type, key }: Told,
  handledAt: number,
  told: Map<string, number>,
): string | undefined {
  const order = orders.get(key);
  const by = (name: string) =>
    (told.get(`${name} ${key}`) ?? Number.POSITIVE_INFINITY) <= handledAt + sameMomentMs;
  switch (`${service} ${type}`) {
    case "orders stock.reserved":
    case "orders stock.refused":
    case "orders payment.captured":
    case "orders payment.declined":
      return order && !moved(order, type, handledAt) && !by("order.aborting")
        ? `the order did not go on: ${path(order)}`
        : undefined;
    case "inventory order.placed": {
      // Taken back before it came; answered; or waiting for a count.
      const waits = services.get("inventory")?.jobs.some((job) => job.key === key);
      const answered = told.has(`stock.reserved ${key}`) || told.has(`stock.refused ${key}`);
      return by("stock.released") || answered || waits ? undefined : "has neither reserved nor refused";
    }
    case "payments order.reserved": {
      const begun = payments.get(key)?.history[0];
      if (order?.state.total.amount === 0 || (begun && begun.at <= handledAt)) return undefined;
      return "has not begun its payment";
    }
    default:
      return undefined;
  }
}

const next: Record<string, string> = { "stock.reserved": "reserved", "payment.captured": "confirmed" };

/** By then it had gone the step, or was over. */
function moved(order: Order, type: string, handledAt: number): boolean {
  return order.state.history.some(
    ({ status, at }) =>
      at <= handledAt && (status === next[type] || status === "rejected" || status === "cancelled"),
  );
}

const path = ({ state }: Order): string => state.history.map(({ status }) => status).join(" → ");

import { allTold, type Facts, type Order, type Told } from "../facts.ts";
import type { Violation } from "../types.ts";

/** What a service has noted as handled has left its trace there: it was not swallowed. */
export function consequences(facts: Facts): Violation[] {
  const told = allTold(facts);
  const first = new Map<string, number>();
  for (const event of told)
    for (const name of [`${event.type} ${event.key}`, nameOf(event)])
      first.set(name, Math.min(event.at, first.get(name) ?? event.at));
  const parcels = new Map(facts.parcels?.map(({ id, status }) => [id, status]));
  return told.flatMap((event) =>
    facts.contracts.subscribersOf(event.topic, event.type).flatMap((service): Violation[] => {
      const at = facts.services.get(service)?.handled.get(`${event.type} ${event.id}`);
      const missing =
        at === undefined ? undefined : missed({ facts, event, at, told: first, parcels }, service);
      if (missing === undefined) return [];
      const detail = `${service} has handled ${event.type}, and ${missing}`;
      return [{ rule: "order-follows-events", orderId: event.key, detail }];
    }),
  );
}

/** An event of a part of an order: a shipment, a return. */
const nameOf = ({ type, key, data }: Told): string =>
  `${type} ${key} ${data.shipmentId ?? data.returnId ?? data.key ?? ""}`;

/** What is committed together may carry times that are a little apart. */
const sameMomentMs = 50;

interface Handled {
  facts: Facts;
  event: Told;
  /** When. */
  at: number;
  /** When each event was first told, by type and order, and by type, order and part. */
  told: Map<string, number>;
  /** The status of each shipment. */
  parcels: Map<string, string>;
}

/**
 * Times compared are of one service's clock each.
 * @returns what should be there and is not
 */
function missed({ facts, event, at, told, parcels }: Handled, service: string): string | undefined {
  const { type, key, data } = event;
  const { orders, payments, reservations, services } = facts;
  const order = orders.get(key);
  const by = (name: string) => (told.get(`${name} ${key}`) ?? Number.POSITIVE_INFINITY) <= at + sameMomentMs;
  const part = (data.shipmentId ?? data.returnId ?? data.key) as string | undefined;
  const isTold = (...types: string[]) => types.some((each) => told.has(`${each} ${key} ${part}`));
  switch (`${service} ${type}`) {
    case "orders stock.reserved":
    case "orders stock.refused":
    case "orders payment.authorised":
    case "orders payment.declined":
      return order && !moved(order, type, at) && !by("order.aborting")
        ? `the order did not go on: ${path(order)}`
        : undefined;
    case "orders payment.captured":
      if (part !== undefined)
        return order && !isTold("order.shipped", "order.shipment-refused")
          ? `shipment ${part} did not leave`
          : undefined;
      // Where only a part was captured at once, the authorisation may be what it has gone on with.
      return order && isWhole(order, data) && !moved(order, type, at) && !by("order.aborting")
        ? `the order did not go on: ${path(order)}`
        : undefined;
    case "orders shipment.dispatching":
      return order && !isTold("order.shipment-accepted", "order.shipment-refused", "order.shipped")
        ? `shipment ${part} was neither accepted nor refused`
        : undefined;
    case "inventory order.placed": {
      // Taken back before it came; answered; or waiting for a count.
      const waits = services.get("inventory")?.jobs.some((job) => job.key === key);
      const answered = told.has(`stock.reserved ${key}`) || told.has(`stock.refused ${key}`);
      return by("stock.released") || answered || waits ? undefined : "has neither reserved nor refused";
    }
    case "inventory order.shipped":
      return reservations.get(key)?.shipments.includes(part ?? "")
        ? undefined
        : `shipment ${part} has not left the house`;
    case "inventory order.return-received":
      return isTold("stock.restocked") ? undefined : `has not said what came back with ${part}`;
    case "payments order.reserved": {
      const begun = payments.get(key)?.history[0];
      if (order?.state.total.amount === 0 || (begun && begun.at <= at)) return undefined;
      return "has not begun its payment";
    }
    case "shipping order.shipped":
      return ["dispatched", "delivered"].includes(parcels.get(part ?? "") ?? "")
        ? undefined
        : `shipment ${part} is ${parcels.get(part ?? "") ?? "not there"}`;
    default:
      return undefined;
  }
}

const isWhole = ({ state }: Order, { amount }: Told["data"]): boolean =>
  ((amount as { amount?: number } | undefined)?.amount ?? state.total.amount) >= state.total.amount;

const next: Record<string, string> = {
  "stock.reserved": "reserved",
  "payment.authorised": "confirmed",
  "payment.captured": "confirmed",
};

/** By then it had gone the step, or was over. */
function moved(order: Order, type: string, handledAt: number): boolean {
  return order.state.history.some(
    ({ status, at }) =>
      at <= handledAt && (status === next[type] || status === "rejected" || status === "cancelled"),
  );
}

const path = ({ state }: Order): string => state.history.map(({ status }) => status).join(" → ");

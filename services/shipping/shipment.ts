import type { Rejection } from "chassis";
import { minus, plus, type Quantity, same, summed } from "./quantities.ts";

export type Status = "pending" | "dispatching" | "dispatched" | "delivered" | "cancelled";

/** What a carrier tells of a parcel on its way. */
export type Told = "in-transit" | "exception" | "delivered";

export interface Shipment {
  id: string;
  status: Status;
  /** Each product once, by SKU. Of a cancelled one: what was in it at last. */
  lines: Quantity[];
  /** How it is to be sent, as the customer chose. */
  method?: string;
  /** Grams; known while everything that was ordered is in it. */
  weight?: number;
  carrier?: string;
  tracking?: string;
  /** Why it was not handed over when that was last tried. */
  refused?: string;
  /** Its carrier says that it has arrived, and orders has not said yet that it may go. */
  arrived?: true;
  history: { at: number; status: Status; reason?: string }[];
  /** What its carrier has told, the latest last. */
  reports: { at: number; type: Told; detail?: string }[];
}

/**
 * All that is sent of one order. What is open is counted, not told: ordered − cancelled − handed over. Sums do not mind
 * in which order they are made, so an event that comes late cannot win over a newer one.
 */
export interface Consignment {
  orderId: string;
  /** Who placed the order; null: a guest. */
  customerId: string | null;
  version: number;
  /** Nothing, as long as it is not known to be confirmed. */
  ordered: Quantity[];
  cancelled: Quantity[];
  /** The order is taken back: nothing more leaves. */
  over: boolean;
  method?: string;
  weight?: number;
  /** Never removed. At most one is pending, which holds all that is open, and at most one is dispatching. */
  shipments: Shipment[];
}

/** Whose order an event is about. */
export interface Of {
  orderId: string;
  customerId: string | null;
}

export type ShipmentEvent = { at: number } & (
  | { type: "confirmed"; of: Of; id: string; lines: Quantity[]; method?: string; weight?: number }
  | { type: "lines-cancelled"; of: Of; lines: Quantity[] }
  | { type: "over"; of: Of }
  | { type: "dispatching"; id: string; lines: Quantity[]; carrier?: string; tracking?: string }
  | { type: "refused"; id: string; reason: string }
  | { type: "dispatched"; of: Of; id: string; lines: Quantity[]; carrier?: string; tracking?: string }
  | { type: "delivered"; id: string }
  | { type: "told"; id: string; told: Told; detail?: string }
);

/** A carrier may say the same for weeks: so many of its latest words are kept. */
const reportsKept = 50;

// ── What orders says ────────────────────────────────────────────────────────────────────────────────────────

/** The order is paid for: what is in it waits to be handed over. */
export function confirm(
  before: Consignment | undefined,
  asked: { of: Of; id: string; lines: Quantity[]; method?: string; weight?: number; at: number },
): ShipmentEvent[] {
  const lines = summed(asked.lines);
  if (before && (before.over || before.ordered.length > 0)) return [];
  return lines.length === 0 ? [] : [{ ...asked, type: "confirmed", lines }];
}

/** Some of an order is not wanted any more. */
export function cancelLines(
  before: Consignment | undefined,
  asked: { of: Of; lines: Quantity[]; at: number },
): ShipmentEvent[] {
  const lines = summed(asked.lines);
  return before?.over || lines.length === 0 ? [] : [{ ...asked, type: "lines-cancelled", lines }];
}

/** The order is taken back. Also remembered of one that is not known yet: its confirmation may be late. */
export function abort(before: Consignment | undefined, asked: { of: Of; at: number }): ShipmentEvent[] {
  return before?.over ? [] : [{ ...asked, type: "over" }];
}

/** What was to be handed over may not go. */
export function refuse(
  before: Consignment | undefined,
  { id, ...asked }: { id: string; reason: string; at: number },
): ShipmentEvent[] {
  return shipmentOf(before, id)?.status === "dispatching" ? [{ ...asked, type: "refused", id }] : [];
}

/** It is paid for, and on its way. Orders knows: what it says is so, whatever was known here. */
export function ship(
  before: Consignment | undefined,
  asked: { of: Of; id: string; lines: Quantity[]; carrier?: string; tracking?: string; at: number },
): ShipmentEvent[] {
  const shipment = shipmentOf(before, asked.id);
  if (shipment?.status === "dispatched" || shipment?.status === "delivered") return [];
  const { id, at } = asked;
  return [
    { ...asked, type: "dispatched", lines: summed(asked.lines) },
    ...(shipment?.arrived ? [{ type: "delivered" as const, id, at }] : []),
  ];
}

// ── What staff and carriers do ──────────────────────────────────────────────────────────────────────────────

export interface Dispatch {
  id: string;
  /** What goes now; the rest becomes a shipment of its own. All of it, where nothing is said. */
  lines?: Quantity[];
  carrier?: string;
  tracking?: string;
  at: number;
}

/** Hands a shipment over, once orders has its money. */
export function dispatch(
  before: Consignment,
  { id, lines, ...asked }: Dispatch,
): ShipmentEvent[] | Rejection {
  const shipment = shipmentOf(before, id);
  if (shipment?.status !== "pending") {
    return {
      rejected: "not-pending",
      detail: `The shipment is ${shipment?.status ?? "not there"}: only a pending one can be dispatched`,
    };
  }
  if (before.shipments.some(({ status }) => status === "dispatching")) {
    return {
      rejected: "dispatch-in-progress",
      detail: "Another shipment of this order is being handed over: one after the other",
    };
  }
  if (lines === undefined) return [{ ...asked, type: "dispatching", id, lines: shipment.lines }];
  const held = new Map(shipment.lines.map(({ sku, quantity }) => [sku, quantity]));
  const wanted = new Map(summed(lines).map(({ sku, quantity }) => [sku, quantity]));
  const errors = lines.flatMap(({ sku }, index) => {
    const there = held.get(sku) ?? 0;
    if ((wanted.get(sku) ?? 0) <= there) return [];
    return there === 0
      ? [{ pointer: `/lines/${index}/sku`, detail: `there is no ${sku} in this shipment` }]
      : [{ pointer: `/lines/${index}/quantity`, detail: `at most ${there}` }];
  });
  if (errors.length > 0) {
    return { rejected: "not-in-shipment", detail: "The shipment does not hold all of these", errors };
  }
  return [{ ...asked, type: "dispatching", id, lines: summed(lines) }];
}

/** It has arrived, as somebody of the shop says. */
export function deliver(
  before: Consignment,
  { id, at }: { id: string; at: number },
): ShipmentEvent[] | Rejection {
  const status = shipmentOf(before, id)?.status;
  switch (status) {
    case "dispatched":
      return [{ type: "delivered", id, at }];
    case "delivered":
      return [];
    default:
      return {
        rejected: "not-dispatched",
        detail: `The shipment is ${status}: only a dispatched one arrives`,
      };
  }
}

/**
 * The carrier has told of a parcel: of these shipments. What arrives before orders has said that it may go counts once
 * that is said.
 */
export function hear(
  before: Consignment,
  { ids, told, detail, at }: { ids: string[]; told: Told; detail?: string; at: number },
): ShipmentEvent[] {
  return ids.flatMap((id): ShipmentEvent[] => {
    const noted: ShipmentEvent = { type: "told", id, told, at, ...(detail === undefined ? {} : { detail }) };
    return told === "delivered" && shipmentOf(before, id)?.status === "dispatched"
      ? [noted, { type: "delivered", id, at }]
      : [noted];
  });
}

// ── What has become of it ───────────────────────────────────────────────────────────────────────────────────

export function evolve(before: Consignment | undefined, event: ShipmentEvent): Consignment {
  const known = before ?? begun(event);
  return settled(changed({ ...known, version: known.version + 1 }, event), event);
}

function begun(event: ShipmentEvent): Consignment {
  if (!("of" in event)) throw new Error(`${event.type} of a shipment that nobody knows`);
  return { ...event.of, version: 0, ordered: [], cancelled: [], over: false, shipments: [] };
}

function changed(known: Consignment, event: ShipmentEvent): Consignment {
  const { at } = event;
  switch (event.type) {
    case "confirmed": {
      const { lines, method, weight } = event;
      return {
        ...known,
        ordered: lines,
        ...(method === undefined ? {} : { method }),
        ...(weight === undefined ? {} : { weight }),
      };
    }
    case "lines-cancelled":
      return { ...known, cancelled: plus(known.cancelled, event.lines) };
    case "over":
      return { ...known, over: true };
    case "dispatching": {
      const { id, lines, carrier, tracking } = event;
      return replaced(known, id, (one) => ({
        ...step(holding(known, without(one, "refused"), lines), "dispatching", at),
        ...(carrier === undefined ? {} : { carrier }),
        ...(tracking === undefined ? {} : { tracking }),
      }));
    }
    case "refused":
      return replaced(known, event.id, (one) => ({
        ...step(without(one, "arrived"), "cancelled", at, event.reason),
        refused: event.reason,
      }));
    case "dispatched": {
      const { id, lines, carrier, tracking } = event;
      const there = shipmentOf(known, id) ? known : added(known, { id, status: "pending", lines });
      return replaced(there, id, (one) => ({
        ...step(holding(known, without(one, "arrived"), lines), "dispatched", at),
        ...(carrier === undefined ? {} : { carrier }),
        ...(tracking === undefined ? {} : { tracking }),
      }));
    }
    case "delivered":
      return replaced(known, event.id, (one) => step(one, "delivered", at));
    case "told": {
      const { told: type, detail } = event;
      return replaced(known, event.id, (one) => ({
        ...one,
        ...(type === "delivered" && one.status === "dispatching" ? { arrived: true as const } : {}),
        reports: [...one.reports, { at, type, ...(detail === undefined ? {} : { detail }) }].slice(
          -reportsKept,
        ),
      }));
    }
    default:
      return event satisfies never;
  }
}

/** What is ordered, not cancelled, and neither handed over nor about to be. */
export function open({ ordered, cancelled, over, shipments }: Consignment): Quantity[] {
  const left = shipments.filter(({ status }) => !["pending", "cancelled"].includes(status));
  return over ? [] : minus(minus(ordered, cancelled), summed(left.flatMap(({ lines }) => lines)));
}

/** The one pending shipment is what is open; without anything open there is none. */
function settled(known: Consignment, event: ShipmentEvent): Consignment {
  const lines = open(known);
  const { at } = event;
  const pending = known.shipments.find(({ status }) => status === "pending");
  if (pending) {
    if (same(pending.lines, lines)) return known;
    return replaced(known, pending.id, (one) =>
      lines.length === 0 ? step(one, "cancelled", at) : holding(known, one, lines),
    );
  }
  if (lines.length === 0) return known;
  // What was refused waits again, under its own name.
  if (event.type === "refused")
    return replaced(known, event.id, (one) =>
      step(holding(known, without(one, "carrier", "tracking"), lines), "pending", at),
    );
  const named = event.type === "confirmed" && !shipmentOf(known, event.id) ? event.id : nextId(known);
  const next = added(known, { id: named, status: "pending", lines });
  return replaced(next, named, (one) => step(holding(known, one, lines), "pending", at));
}

const added = (known: Consignment, one: Pick<Shipment, "id" | "status" | "lines">): Consignment => ({
  ...known,
  shipments: [
    ...known.shipments,
    { ...one, ...(known.method === undefined ? {} : { method: known.method }), history: [], reports: [] },
  ],
});

const replaced = (known: Consignment, id: string, change: (one: Shipment) => Shipment): Consignment => ({
  ...known,
  shipments: known.shipments.map((one) => (one.id === id ? change(one) : one)),
});

/** What is in it, and what that weighs where that is known. */
function holding({ ordered, weight }: Consignment, one: Shipment, lines: Quantity[]): Shipment {
  const whole = weight !== undefined && same(lines, ordered);
  return { ...without(one, "weight"), lines, ...(whole ? { weight } : {}) };
}

const step = (one: Shipment, status: Status, at: number, reason?: string): Shipment => ({
  ...one,
  status,
  history: [...one.history, { at, status, ...(reason === undefined ? {} : { reason }) }],
});

function without<K extends keyof Shipment>(one: Shipment, ...keys: K[]): Shipment {
  const left = { ...one };
  for (const key of keys) delete left[key];
  return left;
}

export const shipmentOf = (known: Consignment | undefined, id: string): Shipment | undefined =>
  known?.shipments.find((one) => one.id === id);

/** Names that this order's shipments have got by something: none may be another order's already. */
export const named = (before: Consignment | undefined, after: Consignment | undefined): string[] =>
  (after?.shipments ?? []).map(({ id }) => id).filter((id) => shipmentOf(before, id) === undefined);

function nextId({ orderId, shipments }: Consignment): string {
  const taken = new Set(shipments.map(({ id }) => id));
  let n = shipments.length + 1;
  while (taken.has(`${orderId}-${n}`)) n++;
  return `${orderId}-${n}`;
}

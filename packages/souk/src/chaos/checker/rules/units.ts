import { allTold, type Facts, type Line, type Order, type Parcel, type Piece, type Told } from "../facts.ts";
import type { Violation } from "../types.ts";
import { open, unitsOf } from "../worth.ts";
import { type Pieces, physical, pieces } from "./stock.ts";

/** What of an order has left, was cancelled and came back. */
export function units(facts: Facts): Violation[] {
  const told = Map.groupBy(allTold(facts), ({ key }) => key);
  // Without a shipping service nobody but the order knows.
  const parcels = facts.parcels && Map.groupBy(facts.parcels, ({ orderId }) => orderId);
  return [...facts.orders.values()].flatMap((order) => {
    const events = told.get(order.id) ?? [];
    return [
      ...bounded(order),
      ...named(order),
      ...asTold(order, events),
      ...(parcels ? asSent(order, events, parcels.get(order.id) ?? []) : []),
    ];
  });
}

const wrong = ({ id }: Order, detail: string, sku?: string): Violation => ({
  rule: "units-add-up",
  orderId: id,
  ...(sku === undefined ? {} : { sku }),
  detail,
});

/** No more leaves, is cancelled or comes back than there was. */
function bounded(order: Order): Violation[] {
  return order.state.lines.flatMap((line) => {
    const { sku, kind, quantity, shipped = 0, leaving = 0, cancelled = 0, returned = 0 } = line;
    const left = kind === "service" ? quantity : shipped;
    const isSound = [shipped, leaving, cancelled, returned].every((count) => count >= 0);
    if (isSound && shipped + leaving + cancelled <= quantity && returned <= left) return [];
    const counts = `${shipped} have left, ${leaving} are leaving, ${cancelled} were cancelled, ${returned} came back`;
    return [wrong(order, `of ${quantity} ${counts}`, sku)];
  });
}

/** The units that have left and come back are those of its shipments and returns. */
function named(order: Order): Violation[] {
  const { lines, returns = [], shipments = [] } = order.state;
  const units = (some: { units: { line: number; quantity: number }[] }[], index: number) =>
    unitsOf(
      some.flatMap((each) => each.units),
      index,
    );
  const gone = shipments.filter(({ status }) => status === "dispatched" || status === "delivered");
  const came = returns.filter(({ status }) => status !== "requested");
  return lines.flatMap((line, index) => {
    const { kind, returned = 0, shipped = 0, sku } = line;
    const [left, back] = [units(gone, index), units(came, index)];
    return [
      ...(kind === "service" || left === shipped
        ? []
        : [wrong(order, `${shipped} have left, ${left} of them in its shipments`, sku)]),
      ...(back === returned
        ? []
        : [wrong(order, `${returned} came back, ${back} of them in its returns`, sku)]),
    ];
  });
}

/** What others were told of it is what it says itself. */
function asTold(order: Order, told: Told[]): Violation[] {
  if (order.state.status === "aborting") return [];
  const sums = (type: string) =>
    pieces(told.filter((event) => event.type === type).flatMap(({ data }) => data.lines as Piece[]));
  const compare = (what: string, type: string, count: (line: Line) => number) => {
    const [is, said] = [physical(order, count), sums(type)];
    return differing(is, said).map((sku) =>
      wrong(order, `${is.get(sku) ?? 0} ${what}, ${said.get(sku) ?? 0} was told`, sku),
    );
  };
  return [
    ...compare("have left", "order.shipped", ({ shipped = 0 }) => shipped),
    ...compare("were cancelled", "order.lines-cancelled", ({ cancelled = 0 }) => cancelled),
    ...compare("came back", "order.return-received", ({ returned = 0 }) => returned),
  ];
}

/** Who sends it has sent what it says has left, and keeps what is still to leave, and no more. */
function asSent(order: Order, told: Told[], own: Parcel[]): Violation[] {
  // An older version confirmed without a shipment, and nothing is sent of it.
  const isSent = told.some(({ type, data }) => type === "order.confirmed" && data.shipment !== undefined);
  if (!isSent || order.state.status === "aborting") return [];
  const of = (...status: string[]) =>
    pieces(own.filter((each) => status.includes(each.status)).flatMap(({ lines }) => lines));
  const isOver = order.state.status === "cancelled";
  const compare = (what: string, is: Pieces, should: Pieces) =>
    differing(is, should).map((sku) =>
      wrong(order, `shipping has ${what} ${is.get(sku) ?? 0}, the order ${should.get(sku) ?? 0}`, sku),
    );
  return [
    ...compare(
      "sent",
      of("dispatched", "delivered"),
      physical(order, ({ shipped = 0 }) => shipped),
    ),
    ...compare("to send", of("pending", "dispatching"), isOver ? new Map() : physical(order, open)),
  ];
}

const differing = (one: Pieces, other: Pieces): string[] =>
  [...new Set([...one.keys(), ...other.keys()])].filter(
    (sku) => (one.get(sku) ?? 0) !== (other.get(sku) ?? 0),
  );

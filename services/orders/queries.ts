import type { Progress } from "chassis";
import type { Contact, OrderStep, OrderView } from "./contracts.ts";
import type { Order, PublicStatus } from "./order.ts";
import { isPaid, shown } from "./order.ts";
import type { Note, Personal } from "./personal.ts";
import { lineView, partsView } from "./pricing-view.ts";
import { counted, open, pieces, shipped } from "./units.ts";

/** An order as its readers see it. */
export function view(order: Order, personal: Personal | undefined): OrderView {
  const status = shown(order);
  const { customer, shippingAddress, notes = [] } = personal ?? erased(order.country);
  const cancelling = notes.filter(({ about }) => about === undefined);
  return {
    id: order.id,
    reference: order.reference,
    status,
    ...("reason" in order ? { reason: order.reason } : {}),
    ...(personal ? {} : { erased: true }),
    customer,
    shippingAddress,
    lines: order.lines.map((line) => ({
      ...lineView(line, order.price !== undefined),
      ...countersOf(line, status),
    })),
    total: order.total,
    ...partsView(order),
    history: order.history.map(({ at, ...entry }) => ({ at: new Date(at).toISOString(), ...entry })),
    ...(isPaid(status) ? { shipments: shipmentsOf(order), returns: returnsOf(order, notes) } : {}),
    ...(cancelling.length > 0
      ? { notes: cancelling.map(({ at, text }) => ({ at: new Date(at).toISOString(), note: text })) }
      : {}),
  };
}

/**
 * Whom to write to about an order, for whoever sends the mails: asked for when one goes out, and kept nowhere else.
 * @param personal nothing where the customer is erased
 */
export const contactOf = ({ reference }: Order, personal: Personal | undefined): Contact | undefined =>
  personal && { ...personal.customer, reference, language: personal.language };

function countersOf(line: Order["lines"][number], status: PublicStatus) {
  if (status === "cancelled") return { shipped: 0, cancelled: line.quantity, returned: 0 };
  if (!isPaid(status)) return {};
  return { shipped: shipped(line), cancelled: line.cancelled ?? 0, returned: line.returned ?? 0 };
}

type Shipments = NonNullable<OrderView["shipments"]>;

/** Those that left, or are about to; and what waits, as long as its name is known: nobody has divided it. */
function shipmentsOf({ id, lines, shipments = [], renamed }: Order): Shipments {
  const waiting = pieces(lines, open);
  const first: Shipments =
    waiting.length > 0 && shipments.length === 0 && !renamed
      ? [{ id: `${id}-1`, status: "pending", lines: waiting }]
      : [];
  return [
    ...shipments.map(({ id, status, units, carrier, tracking }) => ({
      id,
      status,
      ...(carrier ? { carrier } : {}),
      ...(tracking ? { tracking } : {}),
      lines: pieces(lines, counted(units)),
    })),
    ...first,
  ];
}

const returnsOf = ({ lines, total, returns = [] }: Order, notes: Note[]): NonNullable<OrderView["returns"]> =>
  returns.map(({ id, status, units, amount }) => ({
    id,
    status,
    reason: notes.find(({ about }) => about === id)?.text ?? "",
    lines: units.flatMap(({ line, quantity }) => {
      const { sku } = lines[line] ?? {};
      return sku === undefined ? [] : [{ sku, quantity }];
    }),
    amount: { amount, currency: total.currency },
  }));

/** What is left when what was personal is gone. */
const erased = (country: string): Personal => ({
  customer: { email: "", name: "" },
  shippingAddress: { name: "", line1: "", city: "", country },
});

/** From these nothing leads on; a confirmed order may still be cancelled, and what was delivered come back. */
const last = new Set<PublicStatus>(["rejected", "cancelled", "returned"]);

/** The order as its followers are told of it: a step for each status that it has come to. */
export function progress(
  order: Order | undefined,
): (Progress & { version: number; steps: OrderStep[] }) | undefined {
  return (
    order && {
      version: order.version,
      steps: order.history.map(({ at, ...entry }) => ({
        orderId: order.id,
        ...entry,
        at: new Date(at).toISOString(),
      })),
      ended: last.has(shown(order)),
    }
  );
}

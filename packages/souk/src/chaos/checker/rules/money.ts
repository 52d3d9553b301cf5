import { allTold, type Facts, type Operation, type Order } from "../facts.ts";
import type { Violation } from "../types.ts";
import { dueOf, isPaid, mostOf, owed, returnedOf, sent, sum, unitsOf } from "../worth.ts";

/** Money taken, given back and held by an order, as the provider knows it. Minor units. */
export interface Held {
  approved: number;
  /** Of what was approved, what was let go. */
  voided: number;
  captured: number;
  refunded: number;
  /** An authorisation that was never answered, and may be yet. */
  open: boolean;
}

export function heldOf(calls: Operation[]): Held {
  const all = (outcome: string) =>
    sum(calls.filter((call) => call.outcome === outcome).map(({ amount }) => amount));
  const voids = calls.filter(({ operation }) => operation === "void");
  return {
    approved: all("approved"),
    voided: sum(voids.map(({ amount }) => amount)),
    captured: all("captured"),
    refunded: all("refunded"),
    open: voids.length === 0 && calls.some(({ outcome }) => outcome === "pending"),
  };
}

/** What staff has given back, or was given back with all of the order; not for a return. */
export const isFree = ({ key, operation, payment }: Operation): boolean =>
  operation === "refund" && /^\d+$/.test(key.slice(`${payment}:refund:`.length));

/** Where the order stands by its money: what was sold is kept. */
export const sold = new Set(["confirmed", "shipped", "delivered", "returned"]);

/** The provider's book against the orders, the payments and the ledger. */
export function money(facts: Facts): Violation[] {
  const calls = Map.groupBy(facts.book, ({ payment }) => payment);
  return [
    ...once(facts, calls),
    ...paid(facts, calls),
    ...kept(facts, calls),
    ...beforehand(facts, calls),
    ...agreed(facts, calls),
    ...booked(facts),
  ];
}

type Calls = Map<string, Operation[]>;

/** Each thing is captured once: what is captured at once, and each shipment that was accepted. */
function once(facts: Facts, calls: Calls): Violation[] {
  const accepted = Map.groupBy(
    allTold(facts).filter(({ type }) => type === "order.shipment-accepted"),
    ({ key }) => key,
  );
  return [...calls].flatMap(([orderId, some]): Violation[] => {
    const { approved, captured, refunded, voided } = heldOf(some);
    const wrong = (detail: string): Violation => ({ rule: "captured-once", orderId, detail });
    const known = new Set([
      `${orderId}:capture`,
      ...(accepted.get(orderId) ?? []).map(({ data }) => `${orderId}:capture:${data.shipmentId}`),
    ]);
    const unknown = some.filter(({ key, outcome }) => outcome === "captured" && !known.has(key));
    return [
      ...unknown.map(({ amount, key }) =>
        wrong(`${amount} was captured once more, for nothing that was to be captured (${key})`),
      ),
      ...(refunded > captured ? [wrong(`${refunded} was refunded of ${captured} captured`)] : []),
      ...(captured + voided > approved
        ? [wrong(`${captured} was captured and ${voided} let go of ${approved} approved`)]
        : []),
      ...(facts.orders.has(orderId) ? [] : [wrong("the provider was asked for an order that is not there")]),
    ];
  });
}

const atOnce = (orderId: string, calls: Operation[]): number =>
  sum(calls.filter(({ key }) => key === `${orderId}:capture`).map(({ amount }) => amount));

/** A confirmed order is authorised for its total, and what was to be captured at once was. */
function paid(facts: Facts, calls: Calls): Violation[] {
  const asked = new Map<string, number>();
  for (const { type, key, data } of allTold(facts)) {
    const { captureNow } = data as { captureNow?: { amount: number } };
    if (type === "order.reserved" && captureNow) asked.set(key, captureNow.amount);
  }
  return [...facts.orders.values()].flatMap((order): Violation[] => {
    if (!isPaid(order)) return [];
    const { id, state } = order;
    const { total, status } = state;
    const some = calls.get(id) ?? [];
    const { approved, captured, voided } = heldOf(some);
    const now = asked.get(id) ?? total.amount;
    const wrong = (detail: string): Violation => ({ rule: "confirmed-is-paid", orderId: id, detail });
    const currencies = some.map(({ currency }) => currency);
    const most = mostOf(order);
    const isShort = status === "confirmed" && approved - voided < Math.max(captured, most);
    return [
      ...(approved === total.amount
        ? []
        : [wrong(`its total is ${total.amount}, ${approved} was authorised`)]),
      ...(atOnce(id, some) === now
        ? []
        : [wrong(`${now} was to be captured at once, captured was ${atOnce(id, some)}`)]),
      ...(isShort && approved === total.amount
        ? [wrong(`${voided} of its authorisation was let go, and ${most} is still wanted`)]
        : []),
      ...(currencies.every((currency) => currency === total.currency)
        ? []
        : [wrong(`its total is in ${total.currency}, the provider moved ${currencies.join(", ")}`)]),
    ];
  });
}

/** What was captured and not given back for a return is the worth of what was kept; unless staff gave it away. */
function kept({ orders }: Facts, calls: Calls): Violation[] {
  return [...orders.values()].flatMap((order): Violation[] => {
    const { id, state } = order;
    if (!sold.has(state.status)) return [];
    const some = calls.get(id) ?? [];
    const { captured, refunded } = heldOf(some);
    const free = sum(some.filter(isFree).map(({ amount }) => amount));
    const should = dueOf(order, atOnce(id, some)) - returnedOf(order);
    const is = captured - (refunded - free);
    // What staff gave away may have been what a return would have given back.
    if (is >= should && is <= should + free) return [];
    const detail = `${captured} was captured and ${refunded} refunded${free > 0 ? `, ${free} of it as staff wished` : ""}; what was kept is worth ${should}`;
    return [{ rule: "kept-is-paid", orderId: id, detail }];
  });
}

/** Nothing leaves before its money is captured. */
function beforehand(facts: Facts, calls: Calls): Violation[] {
  const left = new Map<string, number>();
  for (const { type, data, at } of allTold(facts))
    if (type === "order.shipped") left.set(data.shipmentId as string, at);
  return [...facts.orders.values()].flatMap((order): Violation[] => {
    const gone = (order.state.shipments ?? []).filter(({ id }) => left.has(id));
    return gone.flatMap(({ id }, place): Violation[] => {
      const at = left.get(id) ?? 0;
      const units = gone.slice(0, place + 1).flatMap((shipment) => shipment.units);
      const due = owed(order, (line, index) =>
        line.kind === "service" ? sent(order, line) : unitsOf(units, index),
      );
      const before = (calls.get(order.id) ?? []).filter(({ askedAt }) => askedAt <= at);
      const { captured } = heldOf(before);
      if (captured >= due) return [];
      const detail = `${id} left when ${captured} was captured, and what had left by then is worth ${due}`;
      return [{ rule: "shipped-is-captured", orderId: order.id, detail }];
    });
  });
}

/** What payments believes of an order's money is what the provider knows. */
function agreed({ payments }: Facts, calls: Calls): Violation[] {
  const ids = new Set([...payments.keys(), ...calls.keys()]);
  return [...ids].flatMap((orderId): Violation[] => {
    const payment = payments.get(orderId);
    const { approved, captured, refunded, voided } = heldOf(calls.get(orderId) ?? []);
    const theirs = [approved - voided, captured, refunded].join(", ");
    const ours = [payment?.authorised ?? 0, payment?.captured ?? 0, payment?.refunded ?? 0].join(", ");
    if (ours === theirs) return [];
    const detail = `authorised, captured, refunded: ${ours} by the payment (${payment?.status ?? "not there"}), ${theirs} by the provider's book`;
    return [{ rule: "money-matches-provider", orderId, detail }];
  });
}

/** Every movement of the provider's book is in the ledger, under its key, and nothing else is. */
function booked({ book, postings }: Facts): Violation[] {
  const entries = Map.groupBy(postings, ({ entry }) => entry);
  const moved = book.filter(({ outcome }) => outcome === "captured" || outcome === "refunded");
  const wrong = (orderId: string, detail: string): Violation => ({
    rule: "money-matches-provider",
    orderId,
    detail,
  });
  const missing = moved.flatMap(({ key, payment, outcome, amount, currency }): Violation[] => {
    const rows = entries.get(key);
    if (!rows) return [wrong(payment, `${outcome} ${amount} ${currency} (${key}) is not in the ledger`)];
    // What the provider owes the shop rises with a capture, and falls with a refund.
    const change = rows
      .filter((row) => row.account === "provider-clearing" && row.currency === currency)
      .reduce((all, { debit, credit }) => all + debit - credit, 0);
    const expected = outcome === "captured" ? amount : -amount;
    return change === expected
      ? []
      : [wrong(payment, `${outcome} ${amount} ${currency} (${key}) stands in the ledger with ${change}`)];
  });
  const known = new Set(moved.map(({ key }) => key));
  const invented = [...entries.keys()]
    .filter((entry) => !known.has(entry))
    .map((entry) =>
      wrong(entry.split(":")[0] ?? "", `the ledger has an entry ${entry} that the provider knows nothing of`),
    );
  return [...missing, ...invented];
}

/** Money of an order that nothing will be captured of any more. */
export const uncaptured = ({ approved, captured, voided }: Held): number => approved - captured - voided;

/** What may still be captured of it. */
export const remainingOf = (order: Order, calls: Operation[]): number =>
  Math.max(0, mostOf(order) - dueOf(order, atOnce(order.id, calls)));

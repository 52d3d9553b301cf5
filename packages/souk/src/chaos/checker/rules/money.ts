import type { Facts, Operation } from "../facts.ts";
import type { Violation } from "../types.ts";

/** Money taken, given back and held by an order, as the provider knows it. Minor units. */
export interface Held {
  captures: number;
  approved: number;
  captured: number;
  refunded: number;
  voided: boolean;
  /** An authorisation that was never answered, and may be yet. */
  open: boolean;
}

export function heldOf(calls: Operation[]): Held {
  const sum = (outcome: string) =>
    calls.filter((call) => call.outcome === outcome).reduce((all, { amount }) => all + amount, 0);
  const voided = calls.some(({ operation }) => operation === "void");
  return {
    captures: calls.filter(({ outcome }) => outcome === "captured").length,
    approved: sum("approved"),
    captured: sum("captured"),
    refunded: sum("refunded"),
    voided,
    open: !voided && calls.some(({ outcome }) => outcome === "pending"),
  };
}

/** The provider's book against the orders, the payments and the ledger. */
export function money(facts: Facts): Violation[] {
  const calls = Map.groupBy(facts.book, ({ payment }) => payment);
  return [...once(facts, calls), ...paid(facts, calls), ...agreed(facts, calls), ...booked(facts)];
}

type Calls = Map<string, Operation[]>;

function once({ orders }: Facts, calls: Calls): Violation[] {
  return [...calls].flatMap(([orderId, some]): Violation[] => {
    const { captures, captured, refunded, approved } = heldOf(some);
    const wrong = (detail: string): Violation => ({ rule: "captured-once", orderId, detail });
    return [
      ...(captures > 1 ? [wrong(`was captured ${captures} times, ${captured} in all`)] : []),
      ...(refunded > captured ? [wrong(`${refunded} was refunded of ${captured} captured`)] : []),
      ...(captured > approved ? [wrong(`${captured} was captured of ${approved} approved`)] : []),
      ...(orders.has(orderId) ? [] : [wrong("the provider was asked for an order that is not there")]),
    ];
  });
}

function paid({ orders }: Facts, calls: Calls): Violation[] {
  return [...orders.values()].flatMap(({ id, state: { history, total, status } }): Violation[] => {
    if (!history.some((entry) => entry.status === "confirmed")) return [];
    const held = heldOf(calls.get(id) ?? []);
    const wrong = (detail: string): Violation => ({ rule: "confirmed-is-paid", orderId: id, detail });
    const currencies = (calls.get(id) ?? []).map(({ currency }) => currency);
    return [
      ...(held.captured === total.amount
        ? []
        : [wrong(`its total is ${total.amount}, captured is ${held.captured}`)]),
      ...(status === "confirmed" && held.voided ? [wrong("its authorisation was voided")] : []),
      ...(currencies.every((currency) => currency === total.currency)
        ? []
        : [wrong(`its total is in ${total.currency}, the provider moved ${currencies.join(", ")}`)]),
    ];
  });
}

/** What payments believes of an order's money is what the provider knows. */
function agreed({ payments }: Facts, calls: Calls): Violation[] {
  const ids = new Set([...payments.keys(), ...calls.keys()]);
  return [...ids].flatMap((orderId): Violation[] => {
    const payment = payments.get(orderId);
    const held = heldOf(calls.get(orderId) ?? []);
    const theirs = [held.voided ? 0 : held.approved, held.captured, held.refunded].join(", ");
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

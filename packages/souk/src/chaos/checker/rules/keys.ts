import type { Facts } from "../facts.ts";
import { type Intent, intents, orders, refunds, requests } from "../requests.ts";
import type { Violation } from "../types.ts";
import { sum } from "../worth.ts";
import { heldOf, isFree, sold } from "./money.ts";

/** What was asked for twice under one key happens once; what was not asked for does not happen. */
export function keys(facts: Facts): Violation[] {
  const all = intents(facts.exchanges.filter(({ asked }) => asked.method === "POST"));
  return [...all.flatMap(sameAnswer), ...references(facts), ...refunded(facts)];
}

/** Whoever asks again gets the answer of the first time. */
function sameAnswer({ accepted, requests: all }: Intent): Violation[] {
  const answers = new Set(accepted.map(({ answer }) => JSON.stringify(answer?.body)));
  if (answers.size <= 1) return [];
  const { method, path, idempotencyKey } = all[0]?.asked ?? {};
  const ids = accepted.map(({ answer }) => (answer?.body as { id?: string } | undefined)?.id);
  return [
    {
      rule: "key-has-one-effect",
      orderId: ids[0],
      detail: `${method} ${path} with key ${idempotencyKey} had ${answers.size} different answers: ${[...new Set(ids)].join(", ")}`,
    },
  ];
}

/** Of each reference there are no more orders than were wanted. */
function references({ exchanges, orders: stored }: Facts): Violation[] {
  const placing = requests(exchanges, "POST", orders).map(({ exchange }) => exchange);
  const wanted = Map.groupBy(
    placing,
    ({ asked }) => (asked.body as { reference?: string } | undefined)?.reference,
  );
  const there = Map.groupBy(stored.values(), ({ reference }) => reference ?? undefined);
  return [...wanted].flatMap(([reference, some]): Violation[] => {
    if (reference === undefined) return [];
    const most = intents(some).filter(({ possible }) => possible).length;
    const orders = there.get(reference) ?? [];
    if (orders.length <= most) return [];
    const detail = `${orders.length} orders with reference ${reference} (${orders.map(({ id }) => id).join(", ")}), where ${most} were asked for and not refused`;
    return [{ rule: "key-has-one-effect", orderId: orders[0]?.id, detail }];
  });
}

/** What staff has given back of an order that stands is what was asked for, each once; what comes of a return is not looked at. */
function refunded({ exchanges, orders: stored, book }: Facts): Violation[] {
  const asked = Map.groupBy(requests(exchanges, "POST", refunds), ({ parts }) => parts[0] ?? "");
  const calls = Map.groupBy(book, ({ payment }) => payment);
  return [...stored.values()].flatMap(({ id, state }): Violation[] => {
    if (!sold.has(state.status)) return [];
    const some = calls.get(id) ?? [];
    const free = some.filter(isFree);
    const { captured, refunded: all } = heldOf(some);
    const is = sum(free.map(({ amount }) => amount));
    const wanted = intents((asked.get(id) ?? []).map(({ exchange }) => exchange));
    const least = total(
      wanted.filter(({ accepted }) => accepted.length > 0),
      // A return may have taken what was left.
      captured - (all - is),
    );
    const most = total(
      wanted.filter(({ possible }) => possible),
      captured,
    );
    if (is >= least && is <= most) return [];
    const detail = `${is} was refunded, where ${least === most ? least : `${least} to ${most}`} was asked for`;
    return [{ rule: is > most ? "key-has-one-effect" : "money-matches-provider", orderId: id, detail }];
  });
}

/** A refund without an amount is all that is left. */
function total(wanted: Intent[], most: number): number {
  const all = wanted.map(({ requests: [first] }) => {
    const { amount } = (first?.asked.body ?? {}) as { amount?: { amount: number } };
    return amount?.amount ?? most;
  });
  return Math.min(sum(all), most);
}

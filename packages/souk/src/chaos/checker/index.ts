/**
 * Looks at a shop from outside and says whether it has kept its promises. It reads the stores, the ledger, the
 * provider's book and the clients' log; it shares no code with what it checks. It may look at a shop that runs, but
 * what it says holds for one that has come to rest.
 */
import { allTold, type Facts, readFacts } from "./facts.ts";
import { type Pending, pendingOf } from "./pending.ts";
import { isAccepted, orders as placing, requests } from "./requests.ts";
import { answers } from "./rules/answers.ts";
import { consequences } from "./rules/consequences.ts";
import { copies } from "./rules/copies.ts";
import { ended } from "./rules/ended.ts";
import { events } from "./rules/events.ts";
import { keys } from "./rules/keys.ts";
import { ledger } from "./rules/ledger.ts";
import { heldOf, money, sold } from "./rules/money.ts";
import { price } from "./rules/price.ts";
import { progress } from "./rules/progress.ts";
import { promotions } from "./rules/promotions.ts";
import { deadLetters, leftToDo, lettersOf } from "./rules/rest.ts";
import { physical, stock } from "./rules/stock.ts";
import { units } from "./rules/units.ts";
import type { CheckOptions, Figures, Verdict } from "./types.ts";
import { back, wanted } from "./worth.ts";

export { history } from "./history.ts";
export type { Pending } from "./pending.ts";
export * from "./types.ts";

const all = [
  answers,
  keys,
  progress,
  consequences,
  money,
  stock,
  units,
  price,
  promotions,
  ledger,
  ended,
  copies,
  events,
  deadLetters,
  leftToDo,
];

/**
 * Checks a shop.
 * @throws {Error} when a store is missing, or when the shop kept no sent events (RETAIN_SENT_EVENTS_MS)
 */
export async function check(options: CheckOptions): Promise<Verdict> {
  return judge(await readFacts(options));
}

/** What is still under way in a shop; it may be read as often as one likes. */
export async function pending(options: CheckOptions): Promise<Pending> {
  return pendingOf(await readFacts(options));
}

/** What follows from the facts. */
export function judge(facts: Facts): Verdict {
  return { violations: all.flatMap((rule) => rule(facts)), figures: figures(facts) };
}

function figures(facts: Facts): Figures {
  const orders = [...facts.orders.values()];
  const confirmed = orders.filter(({ state }) => sold.has(state.status));
  const count = (status: string) => orders.filter((order) => order.state.status === status).length;
  const accepted = requests(facts.exchanges, "POST", placing)
    .filter(({ exchange }) => isAccepted(exchange))
    .map(({ exchange }) => (exchange.answer?.body as { id?: string } | undefined)?.id);
  const told = allTold(facts);
  return {
    orders: orders.length,
    accepted: new Set(accepted).size,
    confirmed: confirmed.length,
    shipped: count("shipped"),
    delivered: count("delivered"),
    returned: count("returned"),
    rejected: count("rejected"),
    cancelled: count("cancelled"),
    ...moved(facts),
    shipments: told.filter(({ type }) => type === "order.shipped").length,
    returns: told.filter(({ type }) => type === "order.return-received").length,
    soldUnits: confirmed
      .flatMap((order) => [...physical(order, (line) => wanted(line) - back(line)).values()])
      .reduce((sum, each) => sum + each, 0),
    products: facts.catalog.size,
    postings: facts.postings.length,
    events: told.length,
    deliveries: told.reduce(
      (sum, { topic, type }) => sum + facts.contracts.subscribersOf(topic, type).length,
      0,
    ),
    deadLetters: lettersOf(facts.services).length,
  };
}

function moved({ book }: Facts): Pick<Figures, "captured" | "refunded"> {
  const captured: Record<string, number> = {};
  const refunded: Record<string, number> = {};
  for (const [currency, calls] of Map.groupBy(book, (call) => call.currency)) {
    const held = heldOf(calls);
    captured[currency] = held.captured;
    refunded[currency] = held.refunded;
  }
  return { captured, refunded };
}

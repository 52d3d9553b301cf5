import { allTold, type Facts } from "./facts.ts";
import { unsettled } from "./rules/progress.ts";

/** What is still under way: a shop has come to rest when all are 0. */
export interface Pending {
  /** Orders that are neither final nor given up for good, or of which something is under way. What waits for a person is not. */
  orders: number;
  /** Events that wait to be sent. */
  unsent: number;
  /** Events that a subscriber has not handled. */
  undelivered: number;
  /** Jobs that are due. */
  jobs: number;
}

const underWay = new Set(["placed", "reserved", "aborting"]);

export function pendingOf(facts: Facts): Pending {
  const told = allTold(facts);
  const undelivered = told.flatMap(({ topic, type, id }) =>
    facts.contracts
      .subscribersOf(topic, type)
      .filter((name) => !facts.services.get(name)?.handled.has(`${type} ${id}`)),
  );
  const jobs = [...facts.services.values()].flatMap((service) => service.jobs);
  return {
    orders: [...facts.orders.values()].filter(
      (order) => underWay.has(order.state.status) || unsettled(order).length > 0,
    ).length,
    unsent: told.filter(({ sent }) => !sent).length,
    undelivered: undelivered.length,
    jobs: jobs.filter(({ at }) => at <= facts.at).length,
  };
}

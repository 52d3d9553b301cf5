import { allTold, type Facts, type Order } from "../facts.ts";
import type { Violation } from "../types.ts";

/** From where an order may go. */
const ways: Record<string, string[]> = {
  "": ["placed"],
  placed: ["reserved", "rejected", "cancelled"],
  reserved: ["confirmed", "rejected", "cancelled"],
  // What was shipped may have come back before the rest is cancelled.
  confirmed: ["shipped", "delivered", "cancelled", "returned"],
  shipped: ["delivered", "returned"],
  delivered: ["returned"],
};

/** Where checkout is over: what comes after that is somebody's wish. */
const final = new Set(["confirmed", "rejected", "cancelled", "shipped", "delivered", "returned"]);

/** A job may be so much late. */
const slackMs = 2_000;

/** Every order gets to its end, in time, on a way that there is. */
export function progress(facts: Facts): Violation[] {
  const aborted = new Map(
    allTold(facts)
      .filter(({ type }) => type === "order.aborting")
      .map(({ key, at }) => [key, at]),
  );
  const last = new Map<string, number>();
  for (const { key, at } of allTold(facts)) last.set(key, Math.max(at, last.get(key) ?? 0));
  return [...facts.orders.values()].flatMap((order) => [
    ...inTime(facts, order, aborted.get(order.id)),
    ...settled(facts, order, last.get(order.id) ?? order.placedAt),
    ...allowed(order),
  ]);
}

/** What somebody has begun after checkout comes to its end: a hand-over, a return. @param since what was last heard of it */
function settled({ at: now, finalWithinMs, options }: Facts, order: Order, since: number): Violation[] {
  const from = Math.max(since, options.quietSince ?? 0);
  if (now <= from + finalWithinMs) return [];
  return unsettled(order).map((what) => ({
    rule: "order-is-final-in-time",
    orderId: order.id,
    detail: `${what} for ${((now - from) / 1000).toFixed(1)} s`,
  }));
}

/** What is under way of an order, and waits for no person. */
export const unsettled = ({ state: { returns = [], shipments = [] } }: Order): string[] => [
  ...shipments.flatMap(({ id, status }) => (status === "dispatching" ? [`${id} is being handed over`] : [])),
  ...returns.flatMap(({ id, status }) => (status === "received" ? [`${id} is being refunded`] : [])),
];

function inTime(
  { at: now, finalWithinMs, options }: Facts,
  order: Order,
  abortedAt: number | undefined,
): Violation[] {
  const { quietSince = 0, deadlineMs } = options;
  const { history, status } = order.state;
  const late = (detail: string): Violation[] => [
    { rule: "order-is-final-in-time", orderId: order.id, detail },
  ];
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const from = (at: number) => Math.max(at, quietSince);
  if (status === "aborting") {
    const since = from(abortedAt ?? order.placedAt);
    return now > since + finalWithinMs
      ? late(`has been given up for ${seconds(now - since)} and holds something still`)
      : [];
  }
  const end = history.find((entry) => final.has(entry.status));
  const since = from(order.placedAt);
  if (end === undefined)
    return now > since + finalWithinMs ? late(`is still ${status} after ${seconds(now - since)}`) : [];
  if (end.at > since + finalWithinMs) return late(`was ${end.status} only after ${seconds(end.at - since)}`);
  if (deadlineMs === undefined || end.status !== "confirmed" || end.at <= quietSince) return [];
  return end.at > order.placedAt + deadlineMs + slackMs
    ? late(
        `was confirmed ${seconds(end.at - order.placedAt)} after it was placed, its deadline was ${seconds(deadlineMs)}`,
      )
    : [];
}

function allowed({ id, status, version, state }: Order): Violation[] {
  const wrong = (detail: string): Violation => ({ rule: "history-is-allowed", orderId: id, detail });
  const path = state.history.map((entry) => entry.status);
  const violations = path.flatMap((step, index) => {
    const before = path[index - 1] ?? "";
    return ways[before]?.includes(step) ? [] : [wrong(`went from ${before || "nothing"} to ${step}`)];
  });
  if (path.length === 0) violations.push(wrong("has no history"));
  if (status !== path.at(-1))
    violations.push(wrong(`shows as ${status}, its history ends with ${path.at(-1)}`));
  if (state.status !== "aborting" && state.status !== status)
    violations.push(wrong(`shows as ${status}, and is ${state.status}`));
  if (version !== state.version)
    violations.push(wrong(`is version ${version}, its state is of ${state.version}`));
  return violations;
}

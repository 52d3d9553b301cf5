/** Customers as they come, and what they do. */
import { setTimeout as pause } from "node:timers/promises";
import type { OrdersWatch } from "../orders-watch.ts";
import type { Client, Patience, Reply } from "./client.ts";
import type { Customer } from "./customers.ts";

interface Placed {
  id: string;
  orderKey?: string;
  total: { amount: number; currency: string };
}

export interface Shopping {
  client: Client;
  watch: OrdersWatch;
  /** Told of every customer who has their answer, or has given up. */
  answered(customer: Customer, reply: Reply<Placed>): void;
  patience: Patience;
}

/** So many at once at most: who comes then waits at the door. */
const mostAtOnce = 250;

/** Lets everybody come at their time; resolves when the last has left. */
export async function shop(customers: readonly Customer[], shopping: Shopping): Promise<void> {
  const began = performance.now();
  const { until } = shopping.patience;
  const inside = new Set<Promise<void>>();
  for (const customer of customers) {
    const wait = customer.at - (performance.now() - began);
    if (wait > 0) await pause(wait, undefined, { signal: until }).catch(() => undefined);
    while (inside.size >= mostAtOnce && !until.aborted) await Promise.race(inside);
    if (until.aborted) break;
    const visit: Promise<void> = buy(customer, shopping).finally(() => inside.delete(visit));
    inside.add(visit);
  }
  await Promise.all(inside);
}

async function buy(customer: Customer, shopping: Shopping): Promise<void> {
  const { client } = shopping;
  for (const path of customer.browses) await client.ask({ path, guest: true });
  const { guest, hangsUpAfter, key, order } = customer;
  const request = { method: "POST" as const, path: "/api/orders", body: order, key, guest };
  const [reply] = await Promise.all(
    Array.from({ length: customer.copies }, (_, copy) =>
      client.ask<Placed>(copy === 0 ? { ...request, hangsUpAfter } : request),
    ),
  );
  if (reply === undefined) throw new Error("a customer asks at least once");
  shopping.answered(customer, reply);
  if (reply.body !== undefined) await goOn(customer, reply.body, shopping);
}

async function goOn(
  { afterwards, guest, key }: Customer,
  placed: Placed,
  { client, patience, watch }: Shopping,
) {
  const path = `/api/orders/${placed.id}`;
  const who = { guest, headers: placed.orderKey ? { "order-key": placed.orderKey } : undefined };
  switch (afterwards.do) {
    case "nothing":
      return;
    case "follow":
      await client.ask({ path, ...who });
      await seen(watch, placed.id, patience);
      await client.ask({ path, ...who });
      return;
    case "cancel": {
      await pause(afterwards.after, undefined, { signal: patience.until }).catch(() => undefined);
      if (patience.until.aborted) return;
      // Taking back twice is taking back once, with a key or without: it may be asked again.
      const request = {
        method: "POST" as const,
        path: `${path}/cancel`,
        key: `${key ?? placed.id}-cancel`,
        ...who,
      };
      await Promise.all(Array.from({ length: afterwards.twice ? 2 : 1 }, () => client.ask(request)));
      return;
    }
    case "refund": {
      if ((await seen(watch, placed.id, patience)) !== "confirmed") return;
      for (const [index, share] of afterwards.shares.entries()) {
        const amount = Math.max(1, Math.floor(placed.total.amount * share));
        await client.ask({
          method: "POST",
          path: `/api/payments/${placed.id}/refunds`,
          body: { amount: { amount, currency: placed.total.currency }, reason: "not as described" },
          key: `${placed.id}-refund-${index + 1}`,
        });
      }
      return;
    }
    default:
      afterwards satisfies never;
  }
}

/** The order's end, or undefined when nobody waits for it any more. */
async function seen(
  watch: OrdersWatch,
  id: string,
  { isOver, until }: Patience,
): Promise<string | undefined> {
  const began = Date.now();
  const settled = watch.settled(id).then(({ status }) => status);
  while (!until.aborted && !isOver(began)) {
    const status = await Promise.race([
      settled,
      pause(500, undefined, { signal: until }).catch(() => undefined),
    ]);
    if (status !== undefined) return status;
  }
  return undefined;
}

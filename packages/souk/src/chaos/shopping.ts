/** Customers as they come, and what they do. */
import { setTimeout as pause } from "node:timers/promises";
import type { OrdersWatch } from "../orders-watch.ts";
import type { Client, Patience, Reply } from "./client.ts";
import type { Customer } from "./customers.ts";
import type { Mailroom } from "./mailroom.ts";

interface Placed {
  id: string;
  orderKey?: string;
  total: { amount: number; currency: string };
  lines: { sku: string; quantity: number; shipped?: number }[];
  returns?: { id: string; status: string; lines: { sku: string; quantity: number }[] }[];
}

export interface Shopping {
  client: Client;
  watch: OrdersWatch;
  mailroom: Mailroom;
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
  { client, mailroom, patience, watch }: Shopping,
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
    case "cancel some": {
      if (!sold.has((await seen(watch, placed.id, patience)) ?? "")) return;
      const request = {
        method: "POST" as const,
        path: `${path}/cancel`,
        body: { lines: shareOf(placed.lines, afterwards.share), reason: "too much of it" },
        key: `${key ?? placed.id}-cancel`,
        ...who,
      };
      await Promise.all(Array.from({ length: afterwards.twice ? 2 : 1 }, () => client.ask(request)));
      return;
    }
    case "return": {
      if (!sold.has((await seen(watch, placed.id, patience)) ?? "")) return;
      const enough = pause(waitsForMs, undefined, { signal: patience.until }).catch(() => undefined);
      await Promise.race([mailroom.sent(placed.id), enough]);
      const { body } = await client.ask<Placed>({ path, ...who });
      const come = (body?.lines ?? []).map(({ sku, shipped = 0 }) => ({ sku, quantity: shipped }));
      const lines = shareOf(come, afterwards.share);
      if (lines.length === 0) return;
      // Only staff may say that it is of no use any more.
      const bad = afterwards.writeOff && !guest ? { writeOff: true } : {};
      const request = {
        method: "POST" as const,
        path: `${path}/returns`,
        body: { lines, reason: "not as described", ...bad },
        key: `${key ?? placed.id}-return`,
        ...who,
      };
      const [reply] = await Promise.all(
        Array.from({ length: afterwards.twice ? 2 : 1 }, () => client.ask<Placed>(request)),
      );
      for (const { id, status, lines } of reply?.body?.returns ?? [])
        if (status === "requested") mailroom.comesBack({ orderId: placed.id, returnId: id, lines });
      return;
    }
    case "refund": {
      if (!sold.has((await seen(watch, placed.id, patience)) ?? "")) return;
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

const sold = new Set(["confirmed", "shipped", "delivered", "returned"]);

/** How long somebody waits for a parcel. */
const waitsForMs = 8_000;

/** A share of each, one at least; each product once. */
function shareOf(lines: { sku: string; quantity: number }[], share: number) {
  const sums = new Map<string, number>();
  for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  return [...sums]
    .filter(([, quantity]) => quantity > 0)
    .map(([sku, quantity]) => ({ sku, quantity: Math.max(1, Math.floor(quantity * share)) }));
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

import { fileURLToPath } from "node:url";
import { random } from "../chaos/random.ts";
import { Progress } from "../progress.ts";
import { type PlannedOrder, plan } from "../retail/plan.ts";
import { readRetail } from "../retail/read.ts";
import { checked, drained, type Ground, onGround, order, put, until } from "./ground.ts";
import { Redelivery } from "./redelivery.ts";
import type { Outcome } from "./verdict.ts";

const sample = fileURLToPath(
  new URL("../../../../tests/data/online-retail-first-150-invoices.csv", import.meta.url),
);
const atOnce = 16;
const finalWithinMs = 120_000;

/** A shop's state without what differs from run to run: ids and times. */
type Canonical = Map<string, string>;

export interface TripleOptions {
  orders: number;
  seed: string;
}

/** The same orders in two shops, in one of which every event comes three times and out of order: both end alike. */
export async function triple(
  signal: AbortSignal,
  say: (text: string) => void,
  { orders, seed }: TripleOptions,
): Promise<Outcome> {
  const planned = plan(await readRetail(sample));
  const chosen = planned.orders.slice(0, orders);
  const named = new Set(chosen.flatMap(({ lines }) => lines.map(({ sku }) => sku)));
  const products = planned.products.filter(({ sku }) => named.has(sku));
  const failures: string[] = [];

  const once = await onGround(signal, say, async (ground) => {
    await sell(ground, products, chosen, "each event once");
    failures.push(...(await checked(ground, Date.now())));
    return stateOf(ground);
  });

  say(`seed ${seed}`);
  const redelivery = new Redelivery(random(seed, "redelivery"));
  try {
    const thrice = await onGround(
      signal,
      say,
      async (ground) => {
        await sell(ground, products, chosen, "three times and shuffled");
        await until(
          "everything was delivered three times",
          signal,
          finalWithinMs,
          async () => redelivery.settled,
        );
        await drained(ground, finalWithinMs);
        failures.push(...(await checked(ground, Date.now())));
        return stateOf(ground);
      },
      { route: redelivery.route },
    );
    const { events, all, tooFew } = redelivery.deliveries;
    if (redelivery.outOfOrder === 0) failures.push("nothing was delivered out of order: this shows nothing");
    if (tooFew > 0) failures.push(`${tooFew} events were delivered less than three times`);
    // First what was looked for here, then what the checker has found.
    failures.unshift(...differences(once, thrice));
    return {
      failures,
      slow: [],
      figures: {
        seed,
        orders: chosen.length,
        "events by subscriber": events,
        deliveries: all,
        "first deliveries out of order": redelivery.outOfOrder,
        "things compared": once.size,
      },
    };
  } finally {
    await redelivery.stop();
  }
}

/** Puts the goods in and sells them: some cards are declined, some providers fail at first, some buyers change their mind. */
async function sell(
  ground: Ground,
  products: object[],
  orders: PlannedOrder[],
  label: string,
): Promise<void> {
  const { api, client, signal } = ground;
  await put(ground, products.map((one) => JSON.stringify(one)).join("\n"));
  const progress = new Progress(label, orders.length, "orders");
  const queue = orders.map((planned, index) => ({ planned, index }));
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await buy(ground, next.planned, next.index);
        progress.step();
      }
    }),
  );
  await drained(ground, finalWithinMs);
  // Afterwards, so that it is always a paid order that is cancelled.
  for await (const { id, reference, status } of api.all<{ id: string; reference: string; status: string }>(
    "/api/orders",
  )) {
    if (status !== "confirmed" || numberOf(reference) % 9 !== 4) continue;
    signal.throwIfAborted();
    await client.ask({ method: "POST", path: `/api/orders/${id}/cancel`, key: `cancel-${id}` });
    await until("the order is cancelled", signal, finalWithinMs, async () => {
      const { body } = await api.call<{ status: string }>(`/api/orders/${id}`);
      return body.status === "cancelled";
    });
  }
  progress.end();
}

async function buy({ client, signal }: Ground, planned: PlannedOrder, index: number): Promise<void> {
  const token = index % 7 === 3 ? "tok_declined" : index % 11 === 5 ? "tok_flaky" : "tok_ok";
  const body = {
    ...order(planned.lines, { token, reference: `${planned.reference}/${index}` }),
    customer: planned.customer,
  };
  // A product that was imported a moment ago may not have reached orders yet.
  await until(`order ${index} is taken`, signal, 60_000, async () => {
    const reply = await client.ask({ method: "POST", path: "/api/orders", body, key: `order-${index}` });
    return reply.status === 202;
  });
}

const numberOf = (reference: string): number => Number(reference.split("/").at(-1));

async function stateOf({ api }: Ground): Promise<Canonical> {
  const state: Canonical = new Map();
  const note = (what: string, value: unknown) => state.set(what, JSON.stringify(value));
  for await (const one of api.all<{
    id: string;
    reference: string;
    status: string;
    reason?: string;
    total: object;
  }>("/api/orders")) {
    const { status, reason, total } = one;
    note(`order ${one.reference}`, { status, reason, total });
    const money = await api
      .call<Record<string, unknown>>(`/api/payments/${one.id}`)
      .then(({ body: { status, authorised, captured, refunded } }) => ({
        status,
        authorised,
        captured,
        refunded,
      }))
      .catch(() => null);
    note(`money of ${one.reference}`, money);
  }
  for await (const { sku, ...level } of api.all<{ sku: string }>("/api/stock"))
    note(`stock of ${sku}`, level);
  const { body } = await api.call<{ accounts: { account: string; currency: string }[] }>(
    "/api/payments/ledger",
  );
  for (const { account, currency, ...sums } of body.accounts) note(`ledger ${account} ${currency}`, sums);
  return state;
}

function differences(once: Canonical, thrice: Canonical): string[] {
  return [...new Set([...once.keys(), ...thrice.keys()])].flatMap((what) =>
    once.get(what) === thrice.get(what)
      ? []
      : [`${what}: ${once.get(what) ?? "nothing"} once, ${thrice.get(what) ?? "nothing"} three times`],
  );
}

import { Progress } from "../progress.ts";
import { vitals } from "../vitals.ts";
import { checked, drained, type Ground, offer, order, ordersOf, percentile } from "./ground.ts";
import { during, paced } from "./load.ts";
import { Memory } from "./memory.ts";
import type { Outcome } from "./verdict.ts";

const readsPerOrder = 0.4;
const drainsWithinMs = 60_000;
const warmUpMs = 3_000;
/** What a process may take more than before: buffers and caches, not the backlog. */
const growsAtMostMiB = 96;

/** Redis is away for some time while customers go on buying: all of them can, and all of it is done when it is back. */
export async function brokerDown(
  ground: Ground,
  { seconds, perSecond }: { seconds: number; perSecond: number },
): Promise<Outcome> {
  const { direct, client, shop, say, signal } = ground;
  const skus = Array.from({ length: 20 }, (_, index) => `DRILL-${index + 1}`);
  await offer(
    ground,
    skus.map((sku) => ({ sku, onHand: 1_000_000 })),
  );

  let placed = 0;
  const ids: string[] = [];
  const refused: string[] = [];
  const times: number[] = [];
  const reads = { ok: 0, failed: 0 };
  const buy = async () => {
    const number = placed++;
    const sku = skus[number % skus.length] ?? "";
    const body = order([{ sku, quantity: 1 }]);
    const from = performance.now();
    const reply = await client.ask<{ id: string }>({
      method: "POST",
      path: "/api/orders",
      body,
      key: `order-${number}`,
    });
    times.push(performance.now() - from);
    if (reply.status === 202 && reply.body) ids.push(reply.body.id);
    else refused.push(`order ${number}: ${reply.status} ${reply.code}`);
  };
  const read = async () => {
    const id = ids[Math.floor(Math.random() * ids.length)];
    await (id === undefined
      ? direct.call(`/api/products/${skus[0]}`, { guest: true })
      : direct.call(`/api/orders/${id}`)
    ).then(
      () => reads.ok++,
      () => reads.failed++,
    );
  };

  say(`${perSecond} orders a second …`);
  const loads = [paced(perSecond, buy), paced(perSecond * readsPerOrder, read)];
  const memory = new Memory();
  const stop = () => Promise.all(loads.map((load) => load.stop()));
  let downMs = 0;
  try {
    await during(warmUpMs, signal, () => {});
    memory.note("before", vitals(shop.run));
    await shop.halt("redis");
    const down = performance.now();
    say(`the broker is stopped, for ${seconds} s …`);
    const progress = new Progress("broker down", seconds, "s");
    await during(seconds * 1_000, signal, () => {
      progress.step();
      memory.peak(vitals(shop.run));
    });
    progress.end();
    downMs = performance.now() - down;
    memory.note("at its end", vitals(shop.run));
    await shop.start("redis");
  } finally {
    await stop();
  }
  const quietSince = Date.now();
  say("the broker is back; waiting until every order is final …");
  const drainMs = await drained(ground, drainsWithinMs * 5);
  memory.note("drained", vitals(shop.run));

  const statuses = Map.groupBy((await ordersOf(ground)).values(), ({ status }) => status);
  const confirmed = statuses.get("confirmed")?.length ?? 0;
  const again = [...client.again];
  const failures = [
    ...refused,
    ...(confirmed === ids.length ? [] : [`${ids.length} orders were taken, ${confirmed} are confirmed`]),
    ...memory.beyond(growsAtMostMiB),
    ...(await checked(ground, quietSince)),
  ];
  const slow = [
    ...again.map(([what, count]) => `${count} orders were not taken at the first try: ${what}`),
    ...(drainMs > drainsWithinMs ? [`drained only after ${Math.round(drainMs / 1000)} s`] : []),
  ];
  return {
    failures,
    slow,
    figures: {
      "broker down, s": Math.round(downMs / 1000),
      "orders placed": placed,
      "taken (202)": ids.length,
      "taken at the first try, %":
        placed === 0 ? 0 : Math.floor((1000 * (placed - total(again))) / placed) / 10,
      confirmed,
      "answer to an order, p50 ms": Math.round(percentile(times, 0.5)),
      "answer to an order, p99 ms": Math.round(percentile(times, 0.99)),
      "reads answered": reads.ok,
      "reads failed": reads.failed,
      "drained after, s": Math.round(drainMs / 100) / 10,
    },
    rows: memory.rows(),
  };
}

const total = (again: [string, number][]): number => again.reduce((sum, [, count]) => sum + count, 0);

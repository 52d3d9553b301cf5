import { setTimeout as pause } from "node:timers/promises";
import { OrdersWatch } from "../orders-watch.ts";
import { Progress } from "../progress.ts";
import { type Vital, vitals } from "../vitals.ts";
import { checked, drained, type Ground, offer, order, ordersOf, percentile } from "./ground.ts";
import { closed, during, paced } from "./load.ts";
import type { Outcome } from "./verdict.ts";

/** More at once than come by chance afterwards, so that pools and heaps have their size before they are measured. */
const crowd = 256;
const crowdMs = 10_000;
const measureMs = 15_000;
const customers = 32;
const readsPerOrder = 1;
/** The part of the time in which caches fill and code is compiled; the rest is compared in quarters. */
const warmUp = 0.25;
const quarters = 4;
const memoryGrowsBelow = 0.05;
/** What an allocator moves up and down anyway. */
const noiseMiB = 2;
const filesGrowBelow = 8;
/** Whoever has an idle connection closes it within two minutes; a file that leaks stays open. */
const idleMs = 180_000;
const lookEveryMs = 5_000;
/** A machine that stands still for seconds spoils one of these, and not the quarter. */
const sliceMs = 60_000;
const slowerBelow = 1.5;
const noiseMs = 10;
/** At most: asking the kernel keeps this process, which is the customers too, from its work for some 50 ms. */
const sampleEveryMs = 15_000;
const samplesAQuarter = 3;

interface Answer {
  at: number;
  ms: number;
}

/** Half of what the shop can do, for a long time: it does not grow, leaks nothing, and stays as quick. */
export async function soak(
  ground: Ground,
  { minutes, perSecond }: { minutes: number; perSecond?: number },
): Promise<Outcome> {
  const { api, direct, client, shop, say, signal } = ground;
  const skus = Array.from({ length: 100 }, (_, index) => `DRILL-${index + 1}`);
  await offer(
    ground,
    skus.map((sku) => ({ sku, onHand: 100_000_000 })),
  );

  let number = 0;
  let taken = 0;
  const refused: string[] = [];
  const answers: Answer[] = [];
  const recent: string[] = [];
  const buy = async (): Promise<string | undefined> => {
    const at = performance.now();
    const one = number++;
    const body = order([{ sku: skus[one % skus.length], quantity: 1 }]);
    const reply = await client.ask<{ id: string }>({
      method: "POST",
      path: "/api/orders",
      body,
      key: `order-${one}`,
    });
    answers.push({ at, ms: performance.now() - at });
    if (reply.status !== 202 || !reply.body) {
      refused.push(`order ${one}: ${reply.status} ${reply.code}`);
      return undefined;
    }
    taken++;
    recent[one % 100] = reply.body.id;
    return reply.body.id;
  };
  let unread = 0;
  const read = async () => {
    const id = recent[Math.floor(Math.random() * recent.length)];
    const look = Math.random() < 0.5 || id === undefined;
    await direct
      .call(look ? `/api/products/${skus[number % skus.length]}` : `/api/orders/${id}`, { guest: look })
      .catch(() => unread++);
  };

  say(`warming up, with ${crowd} customers …`);
  await closedFor(crowdMs, crowd, async () => void (await buy()), signal);
  await drained(ground, 60_000);

  say(`measuring what it can do, with ${customers} customers …`);
  const all = performance.now();
  const cold = taken;
  const watch = new OrdersWatch(api);
  // Each waits for the confirmation: a crowd that does not is served in large bundles, and more of it than of customers
  // who come one by one.
  const customer = async () => {
    const id = await buy();
    if (id !== undefined) await watch.settled(id);
  };
  await closedFor(measureMs, customers, customer, signal);
  const capacity = (taken - cold) / ((performance.now() - all) / 1_000);
  const rate = perSecond ?? capacity / 2;
  answers.length = 0;

  say(`${rate.toFixed(0)} orders a second and as many reads, for ${minutes} minutes …`);
  const quarterMs = (minutes * 60_000 * (1 - warmUp)) / quarters;
  const everyMs = Math.min(sampleEveryMs, quarterMs / samplesAQuarter);
  const samples: { at: number; vitals: Vital[] }[] = [];
  const progress = new Progress("soak", minutes * 60, "s");
  const loads = [paced(rate, async () => void (await buy())), paced(rate * readsPerOrder, read)];
  const from = performance.now();
  const before = taken;
  try {
    await during(
      minutes * 60_000,
      signal,
      () => {
        samples.push({ at: performance.now(), vitals: vitals(shop.run) });
        progress.step(everyMs / 1_000);
      },
      everyMs,
    );
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
    progress.end();
  }
  const to = performance.now();
  const quietSince = Date.now();
  const drainMs = await drained(ground, 120_000);

  const begin = from + (to - from) * warmUp;
  const quarterOf = (at: number) => Math.floor(((at - begin) / (to - begin)) * quarters);
  const inQuarters = <T extends { at: number }>(some: T[]): T[][] =>
    Array.from({ length: quarters }, (_, quarter) => some.filter(({ at }) => quarterOf(at) === quarter));
  const byMinute = inQuarters(answers).map(p99sOf);
  const p99s = byMinute.map((some) => percentile(some, 0.5));
  const byQuarter = inQuarters(samples).map((some) => some.map(({ vitals }) => vitals));
  const after: Vital[][] = [];
  const idleAt = performance.now() + idleMs;
  let growth = growthOf(byQuarter, after);
  while (growth.some(({ leaks }) => leaks) && performance.now() < idleAt) {
    await pause(lookEveryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    after.push(vitals(shop.run));
    growth = growthOf(byQuarter, after);
  }
  const [first = 0] = p99s;
  const unfinished = [...(await ordersOf(ground)).values()].filter(({ status }) => status !== "confirmed");
  const failures = [
    ...refused,
    ...growth.flatMap(({ wrong }) => wrong),
    ...(unfinished.length > 0 ? [`${unfinished.length} accepted orders are not confirmed`] : []),
    ...(await checked(ground, quietSince)),
  ];
  const flat = Math.max(...p99s) <= first * slowerBelow + noiseMs;
  const slow = flat ? [] : [`the p99 did not stay flat: ${p99s.map((ms) => ms.toFixed(0)).join(", ")} ms`];
  return {
    failures,
    slow,
    figures: {
      minutes,
      "it can do, orders/s": Math.round(capacity),
      "it was asked for, orders/s": Math.round((taken - before) / ((to - from) / 1_000)),
      "orders taken": taken - before,
      "reads that failed": unread,
      "p99 of an order in a typical minute, by quarter, ms": p99s.map((ms) => ms.toFixed(0)).join(", "),
      "in the worst minute, ms": Math.round(Math.max(...byMinute.flat())),
      "drained after, s": Math.round(drainMs / 100) / 10,
    },
    rows: [
      [
        "after warm-up",
        ...p99s.map((_, quarter) => `Q${quarter + 1} MiB`),
        "growth %",
        "files Q1",
        `files Q${quarters}`,
      ],
      ...growth.map(({ row }) => row),
    ],
  };
}

async function closedFor(
  ms: number,
  many: number,
  once: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const load = closed(many, once);
  await during(ms, signal, () => {}).finally(() => load.stop());
}

/** The p99 of each minute, in ms. */
function p99sOf(answers: Answer[]): number[] {
  const bySlice = Map.groupBy(answers, ({ at }) => Math.floor(at / sliceMs));
  return [...bySlice.values()].map((some) =>
    percentile(
      some.map(({ ms }) => ms),
      0.99,
    ),
  );
}

interface Growth {
  row: string[];
  wrong: string[];
  leaks: boolean;
}

/**
 * The least memory of every process in each quarter, and the fewest files it had open in the first, and in the last or
 * when it had nothing to do any more; with what is wrong with them. What a garbage collector has yet to collect is no
 * growth, nor are connections that are kept for a while. Of memory its own, since the share of what is mapped changes with
 * who else on the machine maps it.
 */
function growthOf(byQuarter: Vital[][][], after: Vital[][]): Growth[] {
  const names = new Set(byQuarter.flat(2).map(({ name }) => name));
  return [...names].map((name) => {
    const least = (moments: Vital[][], of: (one: Vital) => number) =>
      Math.min(
        ...moments
          .flat()
          .filter((one) => one.name === name)
          .map(of),
      );
    const first = byQuarter.at(0) ?? [];
    const last = byQuarter.at(-1) ?? [];
    const memory = byQuarter.map((moments) => least(moments, ({ ownMiB }) => ownMiB));
    const [from = 0] = memory;
    const to = memory.at(-1) ?? from;
    const growth = to / from - 1;
    const grown = growth >= memoryGrowsBelow && to - from >= noiseMiB;
    const before = least(first, ({ files }) => files);
    const files = least([...last, ...after], ({ files }) => files);
    const leaks = files - before >= filesGrowBelow;
    return {
      row: [
        name,
        ...memory.map((mib) => mib.toFixed(1)),
        (growth * 100).toFixed(1),
        before.toFixed(0),
        files.toFixed(0),
      ],
      wrong: [
        ...(grown ? [`${name} grew by ${(growth * 100).toFixed(1)} % after warm-up`] : []),
        ...(leaks ? [`${name} has ${files - before} files more open than after warm-up`] : []),
      ],
      leaks,
    };
  });
}

import { Refused } from "../api-client.ts";
import { Progress } from "../progress.ts";
import { vitals } from "../vitals.ts";
import { checked, drained, type Ground, offer, order, ordersOf, percentile } from "./ground.ts";
import { closed, during, paced } from "./load.ts";
import { Memory } from "./memory.ts";
import type { Outcome } from "./verdict.ts";

/** Who ask again as soon as they have their answer, whatever it says of coming back later. */
const impatient = 1_000;
/** And those who come anyway: orders, reads of orders, and looks at products, a second. */
const comers = { orders: 200, reads: 50, looks: 50 };
const refusedWithinMs = 1_000;
const growsAtMostMiB = 160;
const drainsWithinMs = 300_000;
/** After it, the shop serves as before. */
const afterwards = 50;

/** What an answer says that sends a customer away for now. */
const isRefusal = (what: string): boolean => /^(429|503) /.test(what);

/** What was let through and not answered in time. */
const isLate = (what: string): boolean => what.startsWith("504 ");

/** Answers of one kind of request. */
class Answers {
  readonly times = new Map<string, number[]>();

  add(what: string, ms: number): void {
    const times = this.times.get(what);
    if (times) times.push(ms);
    else this.times.set(what, [ms]);
  }

  count(what: string): number {
    return this.times.get(what)?.length ?? 0;
  }

  get all(): number {
    return [...this.times.values()].reduce((sum, { length }) => sum + length, 0);
  }

  rows(kind: string): string[][] {
    return [...this.times]
      .sort()
      .map(([what, times]) => [
        `${kind}: ${what}`,
        String(times.length),
        percentile(times, 0.5).toFixed(0),
        percentile(times, 0.99).toFixed(0),
        percentile(times, 1).toFixed(0),
      ]);
  }
}

/** Far more customers than the shop can serve: it refuses quickly, finishes what it took, and is itself afterwards. */
export async function overload(ground: Ground, seconds: number): Promise<Outcome> {
  const { direct, shop, say, signal } = ground;
  const skus = Array.from({ length: 100 }, (_, index) => `DRILL-${index + 1}`);
  await offer(
    ground,
    skus.map((sku) => ({ sku, onHand: 10_000_000 })),
  );

  const orders = new Answers();
  const reads = new Answers();
  const looks = new Answers();
  const ids: string[] = [];
  const badRefusals: string[] = [];
  const buy = buyer(ground, skus, (what, ms, id, wrong) => {
    orders.add(what, ms);
    if (id !== undefined) ids.push(id);
    if (wrong !== undefined) badRefusals.push(wrong);
  });
  const read = timed(reads, () => direct.call(`/api/orders/${ids[Math.floor(Math.random() * ids.length)]}`));
  const look = timed(looks, () => direct.call(`/api/products/${skus[0]}`, { guest: true }));
  await look();
  for (let i = 0; i < afterwards; i++) await buy();
  const before = percentile(orders.times.get("202") ?? [], 0.5);
  orders.times.clear();

  const memory = new Memory();
  memory.note("before", vitals(shop.run));
  say(`${impatient} customers without patience, and ${comers.orders} new ones a second …`);
  const progress = new Progress("overload", seconds, "s");
  const loads = [
    closed(impatient, buy),
    paced(comers.orders, buy),
    paced(comers.reads, read),
    paced(comers.looks, look),
  ];
  const began = performance.now();
  let measured = "";
  try {
    await during(seconds * 1_000, signal, () => {
      progress.step();
      memory.peak(vitals(shop.run));
    });
    measured = await (await fetch(`${shop.url}/metrics`)).text();
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
    progress.end();
  }
  const loadMs = performance.now() - began;
  memory.note("at its end", vitals(shop.run));
  const quietSince = Date.now();
  const refused = [...orders.times].flatMap(([what, times]) => (isRefusal(what) ? times : []));
  const table = [
    ["answers", "number", "p50 ms", "p99 ms", "max ms"],
    ...orders.rows("order"),
    ...reads.rows("read of an order"),
    ...looks.rows("look at a product"),
  ];
  const strange = [orders, reads, looks].flatMap(({ times }) =>
    [...times.keys()].filter((what) => what !== "200" && what !== "202" && !isRefusal(what)),
  );

  say("the load is gone; waiting until every order is final …");
  const taken = orders.count("202");
  const drainMs = await drained(ground, drainsWithinMs);
  memory.note("drained", vitals(shop.run));
  const unfinished = [...(await ordersOf(ground)).values()].filter(({ status }) => status !== "confirmed");
  orders.times.clear();
  for (let i = 0; i < afterwards; i++) await buy();
  const after = percentile(orders.times.get("202") ?? [], 0.5);
  const failures = [
    ...(refused.length === 0 ? ["nothing was refused: it was no overload"] : []),
    ...strange.filter((what) => !isLate(what)).map((what) => `some were answered ${what}`),
    ...badRefusals,
    ...(looks.count("200") === looks.all ? [] : ["products could not be looked at all the time"]),
    ...(unfinished.length > 0 ? [`${unfinished.length} accepted orders are not confirmed`] : []),
    ...(orders.count("202") === afterwards ? [] : ["orders were refused after it was over"]),
    ...memory.beyond(growsAtMostMiB),
    ...(await checked(ground, quietSince)),
  ];
  const refusedMs = Math.round(percentile(refused, 0.99));
  return {
    failures,
    slow: [
      ...(refusedMs > refusedWithinMs ? [`refusals took ${refusedMs} ms (p99)`] : []),
      ...strange.filter(isLate).map((what) => `some were answered ${what}`),
    ],
    figures: {
      "orders tried": taken + refused.length,
      "orders taken": taken,
      "taken a second": Math.round((taken / loadMs) * 1000),
      "refused, %": Math.round((100 * refused.length) / Math.max(1, taken + refused.length)),
      "a refusal, p99 ms": refusedMs,
      "let through at once, at the end": /souk_gateway_limit{to="orders",.*} (\d+)/.exec(measured)?.[1] ?? "",
      "drained after, s": Math.round(drainMs / 100) / 10,
      "an order before, p50 ms": Math.round(before * 10) / 10,
      "an order after, p50 ms": Math.round(after * 10) / 10,
    },
    rows: [...table, [], ...memory.rows()],
  };
}

/** Buys once, as a guest. What was promised, and what nobody knows, is noted in the clients' log. */
function buyer(
  { shop, log }: Ground,
  skus: string[],
  told: (what: string, ms: number, id?: string, wrong?: string) => void,
): () => Promise<void> {
  let number = 0;
  return async () => {
    const body = order([{ sku: skus[number++ % skus.length], quantity: 1 }]);
    const from = performance.now();
    const note = (status: number | null, answer?: unknown) =>
      log.answered(log.asked({ method: "POST", path: "/api/orders", body, who: "guest" }), status, answer);
    let response: Response;
    let said: { id?: string; code?: string };
    try {
      response = await fetch(`${shop.url}/api/orders`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      said = (await response.json()) as typeof said;
    } catch {
      note(null);
      told("no answer", performance.now() - from);
      return;
    }
    const { status, headers } = response;
    const ms = performance.now() - from;
    if (status === 202) {
      note(status, said);
      told("202", ms, said.id);
      return;
    }
    if (said.code !== "overloaded") note(status, said);
    const wrong =
      Number(headers.get("retry-after")) >= 1 ? undefined : `${status} ${said.code} without Retry-After`;
    told(`${status} ${said.code}`, ms, undefined, wrong);
  };
}

function timed(answers: Answers, ask: () => Promise<{ status: number }>): () => Promise<void> {
  return async () => {
    const from = performance.now();
    const what = await ask().then(
      ({ status }) => String(status),
      (error: unknown) => (error instanceof Refused ? `${error.status} ${error.code}` : "no answer"),
    );
    answers.add(what, performance.now() - from);
  };
}

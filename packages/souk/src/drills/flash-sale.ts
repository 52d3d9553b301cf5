import { Progress } from "../progress.ts";
import { checked, drained, type Ground, offer, order, ordersOf, percentile } from "./ground.ts";
import type { Outcome } from "./verdict.ts";

const buyers = 500;
const units = 50;

/** 500 buyers at once for 50 units, again and again, each time for another product: exactly 50 are sold. */
export async function flashSale(ground: Ground, rounds: number): Promise<Outcome> {
  const { api, client, say } = ground;
  const skus = Array.from({ length: rounds }, (_, round) => `FLASH-${round + 1}`);
  for (let from = 0; from < rounds; from += 500)
    await offer(
      ground,
      skus.slice(from, from + 500).map((sku) => ({ sku, onHand: units })),
    );

  say(`${buyers} buyers at once for ${units} units, ${rounds} times …`);
  const progress = new Progress("flash sale", rounds, "rounds");
  const failures: string[] = [];
  const times: number[] = [];
  let exact = 0;
  for (const sku of skus) {
    ground.signal.throwIfAborted();
    const from = performance.now();
    const body = order([{ sku, quantity: 1 }], { reference: sku });
    const replies = await Promise.all(
      Array.from({ length: buyers }, (_, buyer) =>
        client.ask({ method: "POST", path: "/api/orders", body, key: `${sku}-${buyer}` }),
      ),
    );
    const refused = replies.filter(({ status }) => status !== 202);
    if (refused.length > 0) failures.push(`${sku}: ${refused.length} orders refused (${refused[0]?.status})`);
    await drained(ground, 60_000);
    times.push(performance.now() - from);

    const all = [...(await ordersOf(ground, sku)).values()];
    const sold = all.filter(({ status }) => status === "confirmed").length;
    const without = all.filter(
      ({ status, reason }) => status === "rejected" && reason === "out-of-stock",
    ).length;
    const { body: stock } = await api.call<{ reserved: number; available: number }>(`/api/stock/${sku}`);
    const right =
      sold === units && without === buyers - units && stock.reserved === units && stock.available === 0;
    if (right) exact++;
    else {
      const seen = `${all.length} orders, ${sold} sold, ${without} out of stock`;
      failures.push(`${sku}: ${seen}; stock ${stock.reserved} reserved, ${stock.available} available`);
    }
    progress.step();
  }
  progress.end();
  failures.push(...(await checked(ground, Date.now())));
  return {
    failures,
    slow: [],
    figures: {
      rounds,
      "rounds with exactly 50 sold": exact,
      orders: rounds * buyers,
      "told to come back": [...client.again.values()].reduce((sum, count) => sum + count, 0),
      "a round, median ms": Math.round(percentile(times, 0.5)),
      "a round, longest ms": Math.round(Math.max(...times)),
    },
  };
}

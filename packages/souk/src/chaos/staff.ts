/** Colleagues who change prices and stock while customers buy. */
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "./client.ts";
import type { Goods } from "./goods.ts";
import { random } from "./random.ts";

/** Changes something about once a second until `until` is aborted. */
export async function staff(seed: string, goods: Goods, client: Client, until: AbortSignal): Promise<void> {
  const chance = random(seed, "staff");
  const ample = goods.products.filter(({ sku }) => sku.startsWith("AMPLE"));
  for (;;) {
    await pause(chance.int(300, 1_500), undefined, { signal: until }).catch(() => undefined);
    if (until.aborted) return;
    switch (chance.pick({ price: 50, delivery: 25, count: 15, import: 10 })) {
      case "price":
        await price(client, chance.one(ample).sku, chance.int(50, 9_999));
        break;
      case "delivery":
        await stock(client, chance.one(goods.scarce), (onHand) => onHand + chance.int(1, 10));
        break;
      case "count":
        await stock(client, chance.one(goods.scarce), (onHand) => Math.max(0, onHand - chance.int(1, 3)));
        break;
      case "import": {
        const some = [chance.one(ample), chance.one(ample)];
        await load(
          client,
          some.map((product) => ({ ...product, onHand: 100_000 + chance.int(0, 100) })),
        );
        break;
      }
    }
  }
}

/** Puts products and their stock into the shop. @throws {Error} when some were refused */
export async function load(client: Client, products: object[]): Promise<void> {
  const { status, body } = await client.ask<{ accepted: number; rejected: { detail: string }[] }>({
    method: "POST",
    path: "/api/products/import",
    headers: { "content-type": "application/x-ndjson" },
    body: products.map((product) => JSON.stringify(product)).join("\n"),
    key: crypto.randomUUID(),
  });
  const [first] = body?.rejected ?? [];
  if (first) throw new Error(`The shop refused a product: ${first.detail}`);
  if (status !== null && status >= 400) throw new Error(`The shop refused an import: ${status}`);
}

// What has changed in between is left as it is: the colleague looks again another time.
async function price(client: Client, sku: string, amount: number): Promise<void> {
  const path = `/api/products/${encodeURIComponent(sku)}`;
  const etag = (await client.ask({ path })).headers?.get("etag");
  if (!etag) return;
  await client.ask({
    method: "PATCH",
    path,
    body: { price: { amount, currency: "GBP" } },
    headers: { "if-match": etag, "content-type": "application/merge-patch+json" },
  });
}

async function stock(client: Client, sku: string, change: (onHand: number) => number): Promise<void> {
  const path = `/api/stock/${encodeURIComponent(sku)}`;
  const { body, headers } = await client.ask<{ onHand?: number }>({ path });
  const etag = headers?.get("etag");
  if (!etag || body?.onHand === undefined) return;
  await client.ask({
    method: "PUT",
    path,
    body: { onHand: change(body.onHand) },
    headers: { "if-match": etag },
  });
}

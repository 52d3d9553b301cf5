import { type Api, Refused } from "../api-client.ts";
import type { Client } from "./client.ts";
import type { Goods } from "./goods.ts";
import { load } from "./staff.ts";

const filledWithinMs = 120_000;

/** Puts everything on the shelves, and waits until it can be ordered. */
export async function fill(
  api: Api,
  asking: Client,
  { products }: Goods,
  signal: AbortSignal,
): Promise<void> {
  await load(asking, products);
  const counted = products.filter(({ onHand }) => onHand).length;
  const until = performance.now() + filledWithinMs;
  for (;;) {
    signal.throwIfAborted();
    let there = 0;
    for await (const { onHand } of api.all<{ onHand: number }>("/api/stock")) if (onHand > 0) there++;
    if (
      there >= counted &&
      (await canBeOrdered(
        api,
        products.map(({ sku }) => sku),
      ))
    )
      return;
    if (performance.now() > until)
      throw new Error("The products did not reach inventory and orders within two minutes");
    await Bun.sleep(100);
  }
}

/** An impossible price shows whether orders knows the products, without placing anything. */
async function canBeOrdered(api: Api, skus: string[]): Promise<boolean> {
  const unitPrice = { amount: Number.MAX_SAFE_INTEGER, currency: "GBP" };
  for (let start = 0; start < skus.length; start += 900) {
    const lines = skus.slice(start, start + 900).map((sku) => ({ sku, quantity: 2, unitPrice }));
    const code = await api
      .call("/api/orders", {
        method: "POST",
        body: {
          lines,
          customer: { email: "nobody@example.com", name: "Nobody" },
          shippingAddress: { name: "Nobody", line1: "1 Main Street", city: "London", country: "GB" },
          payment: { method: "test", token: "tok_declined" },
        },
      })
      .then(
        () => "",
        (error: unknown) => (error instanceof Refused ? error.code : ""),
      );
    if (code !== "total-too-large") return false;
  }
  return true;
}

import { type Api, Refused } from "../api-client.ts";
import type { Client } from "./client.ts";
import type { Goods } from "./goods.ts";
import { load } from "./staff.ts";

const filledWithinMs = 120_000;

/** A way to send things, everywhere. */
export const sending = "standard";
/** Codes: one that few may use, and one that every customer may use a few times. */
export const codes = { few: "SPRING", regular: "REGULAR" };

/** Puts everything on the shelves, and waits until it can be ordered. */
export async function fill(
  api: Api,
  asking: Client,
  { products }: Goods,
  signal: AbortSignal,
): Promise<void> {
  await load(asking, products);
  await setPrices(asking, products);
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

/** Taxes in two manners, what sending costs, and promotions with limits and without. */
async function setPrices(asking: Client, products: Goods["products"]): Promise<void> {
  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  const ample = products.flatMap(({ sku }) => (sku.startsWith("AMPLE") ? [sku] : []));
  const put = (path: string, body: object) => asking.ask({ method: "PUT", path, body });
  const promote = (key: string, body: object) =>
    asking.ask({ method: "POST", path: "/api/promotions", key: `promotion-${key}`, body });
  const replies = await Promise.all([
    put("/api/tax-rates/GB/standard", { basisPoints: 2_000, included: true }),
    put("/api/tax-rates/DE/standard", { basisPoints: 1_900, included: false }),
    put(`/api/shipping/rates/GB/${sending}`, {
      name: "Post",
      prices: [{ upToGrams: null, price: gbp(395) }],
    }),
    put(`/api/shipping/rates/*/${sending}`, {
      name: "Post",
      prices: [{ upToGrams: null, price: gbp(1_250) }],
    }),
    promote("all", {
      name: "Some things are cheap",
      kind: "percentage",
      basisPoints: 1_250,
      on: { skus: ample.slice(0, 5) },
    }),
    promote("few", { name: "Spring", kind: "amount", amount: gbp(777), code: codes.few, limit: 8 }),
    promote("regular", {
      name: "For regulars",
      kind: "percentage",
      basisPoints: 500,
      code: codes.regular,
      limitPerCustomer: 2,
    }),
  ]);
  const refused = replies.find(({ status }) => status === null || status >= 400);
  if (refused) throw new Error(`The shop refused a price: ${refused.status} ${refused.code}`);
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
  return isOnOffer(api, skus);
}

/** Whether an order can be sent, and its promotions are known. */
async function isOnOffer(api: Api, skus: string[]): Promise<boolean> {
  const sku = skus.find((each) => each.startsWith("AMPLE"));
  const body = { lines: [{ sku, quantity: 1 }], shippingMethod: sending, codes: [codes.few] };
  const quotes = ["GB", "FR"].map((country) =>
    api.call("/api/quotes", { method: "POST", body: { ...body, country } }),
  );
  return Promise.all(quotes).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Refused) return false;
      throw error;
    },
  );
}

/** Puts a few demo products, and what sending them costs, into a shop that has none, as any client would: through the public API. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Api, openApi, Refused } from "./api-client.ts";
import type { Home } from "./home.ts";

const demo = fileURLToPath(new URL("../../../services/catalog/demo.ndjson", import.meta.url));

/** Says how many products it put in: 0 when there were some already. */
export async function seed(url: string, home: Home): Promise<number> {
  const api = await openApi(home.devClient, url);
  const { body } = await api.call<{ items: unknown[] }>("/api/products?limit=1", { guest: true });
  if (body.items.length > 0) return 0;
  const result = await api.call<{ accepted: number; rejected: { line: number; detail: string }[] }>(
    "/api/products/import",
    {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: readFileSync(demo, "utf8"),
    },
  );
  const [first] = result.body.rejected;
  if (first) throw new Error(`line ${first.line} of ${demo}: ${first.detail}`);
  await seedRates(api);
  return result.body.accepted;
}

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const rates = {
  "GB/standard": {
    name: "Standard, 3 to 5 days",
    prices: [
      { upToGrams: 2_000, price: gbp(395) },
      { upToGrams: 10_000, price: gbp(695) },
      { upToGrams: null, price: gbp(1_495) },
    ],
  },
  "GB/express": {
    name: "Express, the next working day",
    prices: [
      { upToGrams: 2_000, price: gbp(795) },
      { upToGrams: 10_000, price: gbp(1_295) },
    ],
  },
  "*/standard": {
    name: "International, 5 to 10 days",
    prices: [
      { upToGrams: 2_000, price: gbp(1_295) },
      { upToGrams: null, price: gbp(3_995) },
    ],
  },
};

/** What staff has set stays. */
async function seedRates(api: Api): Promise<void> {
  for (const [path, body] of Object.entries(rates)) {
    try {
      await api.call(`/api/shipping/rates/${path}`, { method: "PUT", body });
    } catch (error) {
      if (!(error instanceof Refused && error.code === "precondition-required")) throw error;
    }
  }
}

/** Puts a few demo products into a shop that has none, as any client would: through the public API. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openApi } from "./api-client.ts";
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
  return result.body.accepted;
}

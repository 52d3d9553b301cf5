import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestService, testService } from "chassis/testing";
import { sql } from "drizzle-orm";
import { type Db, openSqlite } from "drizzle-outbox";
import { smallDisk } from "../packages/drizzle-outbox/test/disk.ts";
import { ProductCreated, StockReserved } from "../services/orders/contracts.ts";
import orders from "../services/orders/service.ts";
import type { Store } from "../services/orders/store.ts";

// What a service says and does while its database does not store: orders, as one that is written to by requests, by
// events and by jobs.

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

interface Narrow {
  shop: TestService<Store>;
  db: Db;
  /** Takes away all room, or gives some. */
  room(yes: boolean): Promise<void>;
}

/** On a full disk of its own, where one can be mounted; else on a database that may not grow. */
async function narrow(): Promise<Narrow> {
  const disk = smallDisk(16);
  const path = disk?.path ?? mkdtempSync(join(tmpdir(), "narrow-"));
  cleanUp.push(() => (disk ? disk.remove() : rmSync(path, { recursive: true, force: true })));
  const db = await openSqlite(join(path, "orders.db"));
  cleanUp.push(() => db.close());
  const shop = await testService(orders, {
    folder: join(import.meta.dir, "../services/orders"),
    db,
  });
  cleanUp.push(() => shop.stop());
  const ballast = join(path, "ballast");
  return {
    shop,
    db,
    async room(yes) {
      if (!disk) await db.query(sql.raw(`pragma max_page_count = ${yes ? 1_000_000 : 1}`));
      else if (yes) rmSync(ballast);
      else await Bun.$`head -c 64M /dev/zero > ${ballast}`.quiet().nothrow();
    },
  };
}

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const product = (sku: string) => ({
  sku,
  name: "Holder",
  price: gbp(255),
  kind: "physical" as const,
  version: 1,
});
const newOrder = {
  // Large enough to need pages of its own.
  lines: Array.from({ length: 500 }, () => ({ sku: "85123A", quantity: 1 })),
  customer: { email: "ada@example.com", name: "Ada" },
  shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: "tok_ok" },
};
const place = (shop: TestService<Store>, key: string) =>
  shop.request("/orders", {
    method: "POST",
    body: newOrder,
    scopes: ["orders:read", "orders:write"],
    caller: "ada",
    headers: { "idempotency-key": key },
  });
const readiness = async (shop: TestService<Store>) => {
  const response = await shop.request("/ready");
  const { dependencies } = (await response.json()) as { dependencies: Record<string, unknown> };
  return { status: response.status, database: dependencies.database };
};

describe("on a full disk", () => {
  test("orders are refused and events kept waiting, readiness says why, and with room all goes on", async () => {
    const { shop, room } = await narrow();
    await shop.deliver(ProductCreated, product("85123A"));
    const before = (await (await place(shop, "before")).json()) as { id: string };
    expect(await readiness(shop)).toEqual({ status: 200, database: { status: "up" } });

    await room(false);
    const answers = [];
    for (let i = 0; answers.at(-1)?.status !== 503; i++) answers.push(await place(shop, `key-${i}`));
    const refused = answers.at(-1) as Response;
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    const problem = (await refused.json()) as Record<string, string>;
    expect(problem).toMatchObject({ status: 503, code: "storage-full" });
    expect(JSON.stringify(problem)).not.toContain(".db");
    expect((await place(shop, "another")).status).toBe(503);
    expect(await shop.deliver(ProductCreated, product("NEW"), { id: "e-1" })).toBe("RETRY");
    // Nothing is moved on to where its retries would be counted.
    expect(await shop.deliverAll(StockReserved, [{ orderId: before.id }])).toEqual(["RETRY"]);
    expect(await readiness(shop)).toEqual({
      status: 503,
      database: { status: "down", detail: "it does not store: full" },
    });
    // It is alive all the same: to start it anew would not help.
    expect((await shop.request("/health")).status).toBe(200);
    // What is there can be read.
    expect((await shop.request(`/orders/${before.id}`, { scopes: ["orders:manage"] })).status).toBe(200);

    await room(true);
    expect(await readiness(shop)).toEqual({ status: 200, database: { status: "up" } });
    expect(await shop.deliver(ProductCreated, product("NEW"), { id: "e-1" })).toBe("SUCCESS");
    expect(await shop.deliverAll(StockReserved, [{ orderId: before.id }])).toEqual(["SUCCESS"]);
    const repeated = await Promise.all(answers.map((_, i) => place(shop, `key-${i}`)));
    expect(repeated.map(({ status }) => status)).toEqual(answers.map(() => 202));
    // What was answered before is what it was; what was refused is new.
    const replayed = repeated.map(({ headers }) => headers.get("idempotent-replayed") === "true");
    expect(replayed).toEqual(answers.map(({ status }) => status === 202));
    const ids = await Promise.all(
      [...answers.filter(({ status }) => status === 202), ...repeated].map(
        async (response) => ((await response.json()) as { id: string }).id,
      ),
    );
    const published = (await shop.published()).filter(({ type }) => type === "order.placed");
    expect(published.map(({ data }) => (data as { orderId: string }).orderId).sort()).toEqual(
      [...new Set([before.id, ...ids])].sort(),
    );
  });
});

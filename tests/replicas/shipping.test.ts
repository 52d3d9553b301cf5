import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestService, testService } from "chassis/testing";
import { type Db, openPostgres, openSqlite } from "drizzle-outbox";
import { Webhook } from "standardwebhooks";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import { OrderConfirmed, OrderLinesCancelled, OrderShipped } from "../../services/shipping/contracts.ts";
import shipping from "../../services/shipping/service.ts";
import type { Store } from "../../services/shipping/store.ts";

// Two processes of the service on one database, as when it has replicas.

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const staff = { scopes: ["orders:manage"] };

describe.each(["sqlite", "postgres"] as const)("on %s", (dialect) => {
  let folder: string;
  let dbs: Db[];
  let apps: TestService<Store>[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "shipping-"));
    const url = dialect === "postgres" ? await (await server()).database() : "";
    dbs = [];
    apps = [];
    for (let n = 0; n < 2; n++) {
      const db = await (dialect === "postgres" ? openPostgres(url) : openSqlite(join(folder, "shipping.db")));
      dbs.push(db);
      const secrets = { "carrier-webhooks": JSON.stringify({ post: secret }) };
      apps.push(
        await testService(shipping, {
          folder: join(import.meta.dir, "../../services/shipping"),
          db,
          others: (request) =>
            request.url.endsWith("/secrets/carrier-webhooks") ? Response.json(secrets) : undefined,
        }),
      );
    }
  });
  afterEach(async () => {
    for (const app of apps) await app.stop();
    for (const db of dbs) await db.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const on = (n: number): TestService<Store> => apps[n % apps.length] as TestService<Store>;
  const lines = [{ sku: "A", quantity: 5 }];
  const confirmed = (n: number, id = "e-1") =>
    on(n).deliver(OrderConfirmed, { orderId: "o", shipment: { id: "o-1", lines, weight: 500 } }, { id });
  const see = async (id: string): Promise<{ status: string; lines: object[]; reports: object[] }> =>
    (await on(0).request(`/shipments/${id}`, staff)).json() as never;
  const told = async (type: string): Promise<number> =>
    (await Promise.all(apps.map((app) => app.published()))).flat().filter((one) => one.type === type).length;

  test("an order that both are told of has one shipment", async () => {
    await Promise.all([confirmed(0), confirmed(1), confirmed(0, "e-2"), confirmed(1, "e-3")]);
    const listed = (await (await on(1).request("/shipments", staff)).json()) as { items: { id: string }[] };
    expect(listed.items.map(({ id }) => id)).toEqual(["o-1"]);
  });

  test("what is dispatched by many and cancelled meanwhile is dispatched once, and counted once", async () => {
    await confirmed(0);
    const cancel = (n: number, id: string) =>
      on(n).deliver(OrderLinesCancelled, { orderId: "o", lines: [{ sku: "A", quantity: 1 }] }, { id });
    const dispatches = Array.from({ length: 20 }, async (_, n) => {
      const body = { lines: [{ sku: "A", quantity: 2 }] };
      return (await on(n).request("/shipments/o-1/dispatch", { method: "POST", body, ...staff })).status;
    });
    const [statuses] = await Promise.all([Promise.all(dispatches), cancel(0, "c-1"), cancel(1, "c-1")]);
    expect(statuses.filter((status) => status === 202)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(19);
    expect(await told("shipment.dispatching")).toBe(1);
    expect(await see("o-1")).toMatchObject({ status: "dispatching", lines: [{ sku: "A", quantity: 2 }] });
    expect(await see("o-2")).toMatchObject({ status: "pending", lines: [{ sku: "A", quantity: 2 }] });
  });

  test("a carrier's message that both are given counts once", async () => {
    await confirmed(0);
    const body = { carrier: "post", tracking: "T" };
    await on(0).request("/shipments/o-1/dispatch", { method: "POST", body, ...staff });
    await on(1).deliver(OrderShipped, { orderId: "o", shipmentId: "o-1", lines });
    const message = JSON.stringify({ type: "delivered", data: { tracking: "T" } });
    const at = new Date();
    const headers = {
      "content-type": "application/json",
      "webhook-id": "m",
      "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
      "webhook-signature": new Webhook(secret).sign("m", at, message),
    };
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        on(n).request("/shipping/webhooks/post", { method: "POST", body: message, headers }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await see("o-1")).toMatchObject({ status: "delivered", reports: [{ type: "delivered" }] });
    expect((await see("o-1")).reports).toHaveLength(1);
    expect(await told("shipment.delivered")).toBe(1);
  });

  test("a rate that both set at once is one of them, and the other is told", async () => {
    const set = async (n: number) => {
      const prices = [{ upToGrams: null, price: { amount: n, currency: "GBP" } }];
      const body = { name: `Rate ${n}`, prices };
      return (await on(n).request("/shipping/rates/GB/standard", { method: "PUT", body, ...staff })).status;
    };
    const statuses = await Promise.all([1, 2, 3, 4].map(set));
    expect(statuses.sort()).toEqual([201, 428, 428, 428]);
    expect(await told("rate.set")).toBe(1);
  });
});

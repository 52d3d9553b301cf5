import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Api, type CallOptions, openApi, Refused } from "../../packages/souk/src/api-client.ts";
import { type OrderSeen, OrdersWatch } from "../../packages/souk/src/orders-watch.ts";
import { insist } from "../../packages/souk/src/retail/insist.ts";
import { type Shop, type ShopOptions, startShop } from "../../packages/souk/src/shop.ts";
import { holdToIt } from "./served.ts";

/** A whole shop of its own for a test file: real sidecars, broker and mTLS, free ports, a temporary folder. */
export interface TestShop {
  shop: Shop;
  api: Api;
  /** An access token of the development client, with these scopes alone where they are named. */
  token(scope?: string): Promise<string>;
  /** The status and problem code of a call that must be refused. */
  refusal(path: string, options?: CallOptions): Promise<{ status: number; code: string }>;
  /** Creates a product with stock, and waits until it can be ordered. */
  product(over?: Partial<Product>): Promise<string>;
  stock(sku: string): Promise<Stock>;
  place(lines: Line[], over?: Record<string, unknown>, options?: CallOptions): Promise<OrderSeen>;
  /** Waits until the order is confirmed, rejected or cancelled. */
  settled(order: { id: string }, withinMs?: number): Promise<OrderSeen>;
  payment(orderId: string): Promise<{ status: string; authorised: Money; captured: Money; refunded: Money }>;
  ledger(): Promise<{
    balanced: boolean;
    accounts: { account: string; currency: string; debit: number; credit: number }[];
  }>;
  stop(): Promise<void>;
}

export interface Money {
  amount: number;
  currency: string;
}
export interface Line {
  sku: string;
  quantity: number;
  unitPrice?: Money;
}
interface Product {
  sku: string;
  kind: "physical" | "service";
  price: Money;
  onHand: number;
}
export interface Stock {
  sku: string;
  onHand: number;
  reserved: number;
  available: number;
}

export const gbp = (amount: number): Money => ({ amount, currency: "GBP" });

export const customer = {
  customer: { email: "ada@example.com", name: "Ada" },
  shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: "tok_ok" },
};

/** Starts a shop without demo products. Stop it in `afterAll`. @param prepare is given its folder before it starts */
export async function testShop(
  env: Record<string, string> = {},
  { prepare, say }: { prepare?(home: string): void } & Pick<ShopOptions, "say"> = {},
): Promise<TestShop> {
  const home = mkdtempSync(join(tmpdir(), "souk-e2e-"));
  prepare?.(home);
  // Without limits unless a test sets some: one machine asks for everybody.
  const shop = await startShop({ home, port: 0, env: { RATE_LIMITS: "off", ...env }, quiet: true, say });
  const stopIt = shop.stop.bind(shop);
  let held = false;
  // A test that looks at what is left stops it by itself.
  shop.stop = async (options) => {
    try {
      if (!held) await holdToIt(shop.url);
    } finally {
      held = true;
      await stopIt(options);
    }
  };
  const api = await openApi(join(home, "dev-client.json"), shop.url);
  const watch = new OrdersWatch(api, 20);
  let made = 0;

  const stock = async (sku: string): Promise<Stock> =>
    (await api.call<Stock>(`/api/stock/${encodeURIComponent(sku)}`)).body;

  return {
    shop,
    api,
    stock,
    async token(scope) {
      const file = JSON.parse(readFileSync(shop.home.devClient, "utf8")) as Record<string, string>;
      const body = new URLSearchParams({
        grant_type: "client_credentials",
        client_id: file.clientId ?? "",
        client_secret: file.clientSecret ?? "",
        ...(scope === undefined ? {} : { scope }),
      });
      const answer = await fetch(`${shop.url}/token`, { method: "POST", body });
      return ((await answer.json()) as { access_token: string }).access_token;
    },
    async refusal(path, options) {
      try {
        const { status } = await api.call(path, options);
        return { status, code: "" };
      } catch (error) {
        if (error instanceof Refused) return { status: error.status, code: error.code };
        throw error;
      }
    },
    async product({ sku = `SKU-${++made}`, kind = "physical", price = gbp(1000), onHand = 100 } = {}) {
      const line = JSON.stringify({
        sku,
        name: `Product ${sku}`,
        price,
        kind,
        ...(kind === "physical" ? { onHand } : {}),
      });
      await api.call("/api/products/import", {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: line,
      });
      await eventually(`${sku} can be ordered`, async () => {
        // An impossible price shows whether orders knows the product, without placing anything.
        const probe = {
          ...customer,
          lines: [
            { sku, quantity: 1, unitPrice: gbp(2 ** 53 - 1) },
            { sku, quantity: 1 },
          ],
        };
        const known = await api.call("/api/orders", { method: "POST", body: probe }).then(
          () => false,
          (error: unknown) => error instanceof Refused && error.code === "total-too-large",
        );
        return known && (kind === "service" || (await stock(sku).catch(() => undefined))?.onHand === onHand);
      });
      return sku;
    },
    async place(lines, over = {}, options = {}) {
      return (
        await api.call<OrderSeen>("/api/orders", {
          method: "POST",
          body: { ...customer, lines, ...over },
          ...options,
        })
      ).body;
    },
    settled: (order, withinMs = 30_000) =>
      Promise.race([
        watch.settled(order.id).then(async ({ id }) => {
          const until = performance.now() + withinMs;
          return (await insist<OrderSeen>(api, `/api/orders/${id}`, {}, until)).body;
        }),
        pause(withinMs, undefined, { ref: false }).then(async () => {
          const now = await api
            .call<OrderSeen>(`/api/orders/${order.id}`)
            .catch((error: unknown) => ({ body: String(error) }));
          throw new Error(
            `not settled after ${withinMs} ms: ${JSON.stringify(now.body)} ${watch.failure ?? ""}`,
          );
        }),
      ]),
    payment: async (orderId) =>
      (await api.call<Awaited<ReturnType<TestShop["payment"]>>>(`/api/payments/${orderId}`)).body,
    ledger: async () =>
      (await api.call<Awaited<ReturnType<TestShop["ledger"]>>>("/api/payments/ledger")).body,
    async stop() {
      try {
        await shop.stop();
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    },
  };
}

/** Waits until something holds, looking often. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(15);
  }
}

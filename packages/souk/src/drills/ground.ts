/** What every drill stands on: a shop of its own, goods to buy, customers, and a look at what became of all. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Api, openApi, patient, Refused } from "../api-client.ts";
import { AnswersLog } from "../chaos/answers.ts";
import { check } from "../chaos/checker/index.ts";
import { type Client, client } from "../chaos/client.ts";
import type { OrderSeen } from "../orders-watch.ts";
import { type Shop, type ShopOptions, startShop } from "../shop.ts";

export interface Ground {
  shop: Shop;
  /** Its reads are asked again when the shop says so. */
  api: Api;
  /** Every answer as it comes. */
  direct: Api;
  /** A customer who asks again when told to, with what they were told noted in the clients' log. */
  client: Client;
  log: AnswersLog;
  /** Aborted when somebody wants the drill to end. */
  signal: AbortSignal;
  say(text: string): void;
}

export interface Product {
  sku: string;
  onHand: number;
}

/** What stands between a drill and its success, for its verdict. */
export class Missed extends Error {}

/** Runs a drill in a shop of its own, which is gone afterwards, whatever happens. */
export async function onGround<T>(
  signal: AbortSignal,
  say: (text: string) => void,
  drill: (ground: Ground) => Promise<T>,
  options: ShopOptions = {},
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), "souk-drill-"));
  try {
    say("starting a shop of its own …");
    const env = {
      LOG_LEVEL: "error",
      // One machine asks for everybody.
      RATE_LIMITS: "off",
      RETAIN_SENT_EVENTS_MS: String(24 * 3_600_000),
    };
    const shop = await startShop({ home, port: 0, quiet: true, env, signal, ...options });
    const log = new AnswersLog(join(home, "answers.ndjson"));
    try {
      const direct = await openApi(shop.home.devClient, shop.url);
      const api = patient(direct);
      return await drill({ shop, api, direct, log, client: client(direct, log, signal), signal, say });
    } finally {
      log.close();
      await shop.stop();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Puts products up for sale, and waits until each can be ordered. */
export async function offer(ground: Ground, products: Product[]): Promise<void> {
  const { api, signal } = ground;
  const lines = products.map(({ sku, onHand }) =>
    JSON.stringify({ sku, name: `Thing ${sku}`, price: gbp(255), kind: "physical", onHand }),
  );
  await put(ground, lines.join("\n"));
  const skus = products.map(({ sku }) => sku);
  await until("every product can be ordered", signal, 60_000, async () => {
    // An impossible price shows what orders knows, without anything being ordered.
    const [first = ""] = skus;
    const dear = { sku: first, quantity: 1, unitPrice: gbp(Number.MAX_SAFE_INTEGER) };
    const probe = order([dear, ...skus.map((sku) => ({ sku, quantity: 1 }))]);
    return api.call("/api/orders", { method: "POST", body: probe }).then(
      () => false,
      (error: unknown) => error instanceof Refused && error.code === "total-too-large",
    );
  });
  await until("every product has its stock", signal, 60_000, async () => {
    const there = new Map<string, number>();
    for await (const { sku, onHand } of api.all<Product>("/api/stock")) there.set(sku, onHand);
    return products.every(({ sku, onHand }) => there.get(sku) === onHand);
  });
}

/** Imports products (NDJSON); doing it twice is doing it once. */
export async function put({ api, signal }: Ground, body: string): Promise<void> {
  const headers = { "content-type": "application/x-ndjson" };
  await until("the products are imported", signal, 60_000, () =>
    api.call("/api/products/import", { method: "POST", headers, body }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Refused && error.status < 500) throw error;
        return false;
      },
    ),
  );
}

const gbp = (amount: number) => ({ amount, currency: "GBP" });

/** The body of an order by somebody. */
export const order = (lines: object[], more: { token?: string; reference?: string } = {}) => ({
  lines,
  customer: { email: "drill@example.com", name: "Drill" },
  shippingAddress: { name: "Drill", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: more.token ?? "tok_ok" },
  ...(more.reference === undefined ? {} : { reference: more.reference }),
});

/**
 * Waits until no order is under way any more.
 * @returns milliseconds that it took
 */
export async function drained({ api, signal }: Ground, withinMs: number): Promise<number> {
  const from = performance.now();
  await until("every order is final", signal, withinMs, async () => {
    for (const status of ["placed", "reserved"]) {
      const { body } = await api.call<{ items: unknown[] }>(`/api/orders?limit=1&status=${status}`);
      if (body.items.length > 0) return false;
    }
    return true;
  });
  return performance.now() - from;
}

/** Every order that there is, or those of a reference, by id. */
export async function ordersOf({ api }: Ground, reference?: string): Promise<Map<string, OrderSeen>> {
  const found = new Map<string, OrderSeen>();
  const query = reference === undefined ? "" : `?reference=${encodeURIComponent(reference)}`;
  for await (const one of api.all<OrderSeen>(`/api/orders${query}`)) found.set(one.id, one);
  return found;
}

const restsWithinMs = 15_000;

/**
 * What the checker has to say of a shop that is coming to rest: what is still on its way is waited for.
 * @param quietSince when the last disturbance was over, in milliseconds since the epoch
 */
export async function checked({ shop, log, signal, say }: Ground, quietSince: number): Promise<string[]> {
  say("checking the stores, the books and what customers were told …");
  const end = performance.now() + restsWithinMs;
  for (;;) {
    const { violations } = await check({ home: shop.home.dir, answers: log.path, quietSince });
    if (violations.length === 0 || performance.now() > end)
      return violations.map(({ rule, orderId, detail }) =>
        [rule, orderId, detail].filter(Boolean).join(": "),
      );
    await pause(500, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** @throws {Missed} when it does not come true in time */
export async function until(
  what: string,
  signal: AbortSignal,
  withinMs: number,
  holds: () => Promise<boolean>,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    signal.throwIfAborted();
    if (performance.now() > end) throw new Missed(`${what}: not within ${Math.round(withinMs / 1000)} s`);
    await pause(100);
  }
}

/** The value below which a share of them lies. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

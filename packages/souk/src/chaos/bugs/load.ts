/** A short, directed load: a little of everything that can happen to an order. */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openApi } from "../../api-client.ts";
import type { Shop } from "../../shop.ts";
import { AnswersLog } from "../answers.ts";
import { type Client, client } from "../client.ts";
import type { Trouble } from "./planted.ts";

/** How long an order may take: where a deadline is to be missed it is short, else none is missed on a slow machine. */
export const deadlineOf = (troubles: Trouble[]): number => (troubles.includes("silence") ? 4_000 : 15_000);

/** What the shop is started with: short times, so that what takes long in a shop takes seconds here. */
export const environment = (troubles: Trouble[]) => ({
  CHECKOUT_DEADLINE_MS: String(deadlineOf(troubles)),
  PROVIDER_TIMEOUT_MS: "800",
  RETAIN_SENT_EVENTS_MS: "86400000",
  LOG_LEVEL: "warn",
  RATE_LIMITS: "off",
});

export interface Loaded {
  /** The clients' log. */
  answers: string;
  /** When the last trouble was over: milliseconds since the epoch. */
  quietSince: number;
}

interface Seen {
  id: string;
  status: string;
}

type Lines = { sku: string; quantity: number }[];

interface Buying {
  sku?: string;
  quantity?: number;
  token?: string;
  /** How often it is asked for at once, under one key. */
  copies?: number;
  codes?: string[];
}

/** Buys, cancels, sends, takes back, refunds and changes prices, and makes the trouble that is asked for. */
export async function load(shop: Shop, troubles: Trouble[], signal?: AbortSignal): Promise<Loaded> {
  const answers = join(shop.home.dir, "answers.ndjson");
  const log = new AnswersLog(answers);
  const over = AbortSignal.any([AbortSignal.timeout(90_000), ...(signal ? [signal] : [])]);
  try {
    const asker = client(await openApi(shop.home.devClient, shop.url), log, over);
    const shopper = new Shopper(asker);
    await shopper.stockUp();
    await shopper.shop();
    if (troubles.includes("kills")) await whileKilled(shop, shopper);
    const spokenSince = troubles.includes("silence") ? await whileSilent(shop, shopper) : undefined;
    if (troubles.includes("again")) await deliverAgain(shop);
    const last = troubles.at(-1);
    return { answers, quietSince: last === "silence" && spokenSince ? spokenSince : Date.now() };
  } finally {
    log.close();
  }
}

const plenty = ["CUP", "HEART", "LANTERN", "T-LIGHT"];

class Shopper {
  #orders = 0;

  constructor(readonly asker: Client) {}

  async stockUp(): Promise<void> {
    const price = (amount: number) => ({ amount, currency: "GBP" });
    const thing = (sku: string, onHand: number) => ({
      sku,
      name: `A ${sku}`,
      price: price(250),
      kind: "physical",
      onHand,
    });
    const products = [
      ...plenty.map((sku) => thing(sku, 1_000)),
      thing("RARE", 5),
      { sku: "WRAPPING", name: "Gift wrapping", price: price(100), kind: "service" },
    ];
    await this.asker.ask({
      method: "POST",
      path: "/api/products/import",
      headers: { "content-type": "application/x-ndjson" },
      body: products.map((product) => JSON.stringify(product)).join("\n"),
      key: crypto.randomUUID(),
    });
    const body = { name: "For few", kind: "amount", amount: price(10), code: "FEW", limit: 2 };
    await this.asker.ask({ method: "POST", path: "/api/promotions", key: "few", body });
    // A shop with a bug may never get there: what it does then is for the checker to see.
    await this.until(async () => {
      const { body } = await this.asker.ask<{ available: number }>({ path: "/api/stock/RARE" });
      return body?.available === 5 && (await this.buy({ sku: "T-LIGHT" })) !== undefined;
    }, 4_000);
  }

  /** Everything that can happen to an order, at once. */
  async shop(): Promise<void> {
    const tokens = [
      "tok_ok",
      "tok_ok",
      "tok_declined",
      "tok_ok",
      "tok_timeout",
      "tok_ok",
      "tok_flaky",
      "tok_ok",
    ];
    const bought = Promise.all([
      ...Array.from({ length: 24 }, (_, index) =>
        this.buy({
          sku: plenty[index % plenty.length],
          quantity: 1 + (index % 3),
          token: tokens[index % tokens.length],
        }),
      ),
      ...Array.from({ length: 6 }, () => this.buy({ sku: "RARE", quantity: 2 })),
      ...Array.from({ length: 4 }, () => this.buy({ copies: 3 })),
      this.buy({ sku: "WRAPPING" }),
    ]);
    // They stay: one that is called off gives back what it used.
    const limited = Promise.all([
      ...Array.from({ length: 5 }, () => this.buy({ codes: ["FEW"] })),
      this.buy({ codes: ["FEW"], token: "tok_declined" }),
    ]);
    // Called off at once, at every step of their way.
    const calledOff = Array.from({ length: 16 }, async (_, index) => {
      const order = await this.buy({
        sku: plenty[index % plenty.length],
        token: index % 2 ? "tok_ok" : "tok_flaky",
      });
      await pause(index * 25);
      if (order) await this.cancel(order);
    });
    const sent = [0, 1, 2, 3, 4, 5].map((number) => this.send(number));
    await Promise.all([bought, limited, ...calledOff, ...sent, this.changePrices(), this.count()]);
    const confirmed = await this.confirmed((await bought).flatMap((order) => order ?? []));
    const [first, second, third, ...rest] = confirmed;
    await Promise.all([
      first && this.refund(first, 100, 2),
      second && this.refund(second, undefined, 1),
      third && this.refund(third, 50, 1).then(() => this.refund(third, 50, 1)),
      ...rest.slice(0, 3).map((order) => this.cancel(order)),
    ]);
  }

  async buy({
    sku = "CUP",
    quantity = 1,
    token = "tok_ok",
    copies = 1,
    codes,
  }: Buying = {}): Promise<Seen | undefined> {
    const reference = `order-${++this.#orders}`;
    const request = {
      method: "POST" as const,
      path: "/api/orders",
      key: reference,
      body: {
        lines: [{ sku, quantity }],
        customer: { email: "ada@example.com", name: "Ada" },
        shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
        payment: { method: "test", token },
        reference,
        codes,
      },
    };
    const [first] = await Promise.all(Array.from({ length: copies }, () => this.asker.ask<Seen>(request)));
    return first?.status === 202 ? first.body : undefined;
  }

  async cancel({ id }: Seen, lines?: Lines): Promise<void> {
    const path = `/api/orders/${id}/cancel`;
    await this.asker.ask({ method: "POST", path, key: `cancel-${id}`, body: lines ? { lines } : undefined });
  }

  /** An order of three pieces: it leaves at once or in parts, a part is cancelled, a part or all of it comes back. */
  async send(number: number): Promise<void> {
    const sku = plenty[number % plenty.length] ?? "";
    const order = await this.buy({ sku, quantity: 3 });
    if (order === undefined) return;
    const pieces = (quantity: number): Lines => [{ sku, quantity }];
    const isCut = number % 3 === 1;
    if (!(await this.dispatch(order, number % 2 ? pieces(1) : undefined))) return;
    if (isCut) await this.cancel(order, pieces(1));
    if (number % 2 && !(await this.dispatch(order))) return;
    await this.takeBack(order, pieces(number < 2 ? 2 : 1), number === 3);
  }

  /** Sends what is still to leave of an order, or some of it, and says whether it has left. */
  async dispatch({ id }: Seen, lines?: Lines): Promise<boolean> {
    const shipments = async (status: string) => {
      const path = `/api/shipments?order=${id}&status=${status}`;
      return (await this.asker.ask<{ items: Seen[] }>({ path })).body?.items ?? [];
    };
    let pending: Seen | undefined;
    await this.until(async () => {
      [pending] = await shipments("pending");
      return pending !== undefined;
    }, 4_000);
    if (pending === undefined) return false;
    const path = `/api/shipments/${pending.id}`;
    const body = lines ? { lines } : {};
    await this.asker.ask({ method: "POST", path: `${path}/dispatch`, key: `dispatch-${pending.id}`, body });
    let left = false;
    await this.until(async () => {
      left = (await this.asker.ask<Seen>({ path })).body?.status === "dispatched";
      return left;
    }, 4_000);
    await this.asker.ask({ method: "POST", path: `${path}/deliver`, key: `deliver-${pending.id}` });
    return left;
  }

  async takeBack({ id }: Seen, lines: Lines, writeOff: boolean): Promise<void> {
    const body = { lines, reason: "broken", writeOff };
    const path = `/api/orders/${id}/returns`;
    await this.asker.ask({ method: "POST", path, key: `return-${id}`, body });
  }

  async refund({ id }: Seen, amount: number | undefined, copies: number): Promise<void> {
    const request = {
      method: "POST" as const,
      path: `/api/payments/${id}/refunds`,
      key: crypto.randomUUID(),
      body: amount === undefined ? {} : { amount: { amount, currency: "GBP" } },
    };
    await Promise.all(Array.from({ length: copies }, () => this.asker.ask(request)));
  }

  async changePrices(): Promise<void> {
    for (const amount of [275, 290]) {
      const path = "/api/products/LANTERN";
      const etag = (await this.asker.ask({ path })).headers?.get("etag");
      if (etag)
        await this.asker.ask({
          method: "PATCH",
          path,
          body: { price: { amount, currency: "GBP" } },
          headers: { "if-match": etag, "content-type": "application/merge-patch+json" },
        });
    }
  }

  /** Somebody counts, until nobody has bought in between. */
  async count(): Promise<void> {
    const path = "/api/stock/HEART";
    await this.until(async () => {
      const etag = (await this.asker.ask({ path })).headers?.get("etag");
      const headers = { "if-match": etag ?? "" };
      return (await this.asker.ask({ method: "PUT", path, body: { onHand: 900 }, headers })).status === 200;
    }, 3_000);
  }

  /** Those of the orders that are confirmed, as soon as six are. */
  async confirmed(orders: Seen[]): Promise<Seen[]> {
    const ids = new Set(orders.map(({ id }) => id));
    let found: Seen[] = [];
    await this.until(async () => {
      const { body } = await this.asker.ask<{ items: Seen[] }>({
        path: "/api/orders?limit=100&status=confirmed",
      });
      found = (body?.items ?? []).filter(({ id }) => ids.has(id));
      return found.length >= 6;
    }, 3_000);
    return found;
  }

  async until(holds: () => Promise<boolean>, withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    while (!(await holds()) && performance.now() < end) await pause(20);
  }
}

/** A few at a time they buy without a break, while orders dies three times. */
async function whileKilled(shop: Shop, shopper: Shopper): Promise<void> {
  let open = true;
  const buying = Array.from({ length: 6 }, async () => {
    while (open) await shopper.buy();
  });
  try {
    for (let time = 0; time < 3; time++) {
      await pause(250);
      await shop.kill("orders");
      await shop.ready();
    }
  } finally {
    open = false;
    await Promise.all(buying);
  }
}

/** Later than this after its deadline nobody can say that an order was confirmed in time. */
const farBeyond = 2_500;

/**
 * What is ordered while inventory is down misses its deadline.
 * @returns when that was over: milliseconds since the epoch
 */
async function whileSilent(shop: Shop, shopper: Shopper): Promise<number> {
  let over = 0;
  await shop.halt("inventory");
  try {
    await Promise.all([shopper.buy(), shopper.buy()]);
    await pause(deadlineOf(["silence"]) + farBeyond);
  } finally {
    over = Date.now();
    await shop.start("inventory");
  }
  await shop.ready();
  return over;
}

/** Whatever was sent is sent once more, as to a consumer that was restored from a backup. */
async function deliverAgain(shop: Shop): Promise<void> {
  for (const service of ["catalog", "inventory", "orders", "payments", "shipping"]) {
    const db = new Database(join(shop.home.data, `${service}.db`), { readwrite: true });
    try {
      db.exec("pragma busy_timeout = 5000");
      const columns = "id, topic, type, key, data, time, headers, at";
      db.exec(`insert into outbox_events (${columns}) select ${columns} from outbox_sent order by seq`);
    } finally {
      db.close();
    }
  }
}

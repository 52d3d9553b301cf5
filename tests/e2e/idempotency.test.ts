import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Answer, Refused } from "../../packages/souk/src/api-client.ts";
import type { Summary } from "../../packages/souk/src/mail/box.ts";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";

setDefaultTimeout(180_000);

let it: TestShop;
/** Takes whatever webhooks bring. */
let receiver: Bun.Server<undefined>;

beforeAll(async () => {
  it = await testShop({ EVENT_RETRIES: "1" });
  receiver = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(null, { status: 204 }) });
}, 600_000);
afterAll(async () => {
  await receiver?.stop(true);
  await it?.stop();
}, 60_000);

/** What is asked of one route, and how often it has had its effect. */
interface Case {
  service: string;
  path: string;
  body: unknown;
  /** Another body for the same key. */
  other?: unknown;
  headers?: Record<string, string>;
  /** @param answers all that were given */
  effects(answers: unknown[]): Promise<number>;
}

/** A case for every POST with an Idempotency-Key; it makes what it needs. */
const cases: Record<string, () => Promise<Case>> = {
  async "/orders"() {
    const sku = await it.product({ onHand: 50 });
    const reference = `order-${sku}`;
    const body = { ...customer, lines: [{ sku, quantity: 2 }], reference };
    return {
      service: "orders",
      path: "/api/orders",
      body,
      other: { ...body, lines: [{ sku, quantity: 3 }] },
      effects: async () =>
        (await it.api.call<{ items: unknown[] }>(`/api/orders?reference=${reference}`)).body.items.length,
    };
  },
  async "/orders/{id}/cancel"() {
    const sku = await it.product({ onHand: 5 });
    const { id } = await it.settled(await it.place([{ sku, quantity: 1 }]));
    return {
      service: "orders",
      path: `/api/orders/${id}/cancel`,
      body: undefined,
      async effects() {
        const steps = async () => {
          const { body } = await it.api.call<{ history: { status: string }[] }>(`/api/orders/${id}`);
          return body.history.filter(({ status }) => status === "cancelled").length;
        };
        // It shows when nothing is held any more, which is after the answer.
        await eventually("it is cancelled", async () => (await steps()) > 0, 30_000);
        return steps();
      },
    };
  },
  async "/products"() {
    const sku = `NEW-${crypto.randomUUID()}`;
    const body = { sku, name: "New", price: gbp(100), kind: "service" };
    return {
      service: "catalog",
      path: "/api/products",
      body,
      other: { ...body, name: "Other" },
      effects: async () =>
        (await it.api.call<{ items: unknown[] }>(`/api/products?search=${sku}`)).body.items.length,
    };
  },
  async "/products/import"() {
    const sku = `IMPORTED-${crypto.randomUUID()}`;
    const line = (name: string) => JSON.stringify({ sku, name, price: gbp(100), kind: "service" });
    return {
      service: "catalog",
      path: "/api/products/import",
      body: line("New"),
      other: line("Other"),
      headers: { "content-type": "application/x-ndjson" },
      effects: async () =>
        (await it.api.call<{ items: unknown[] }>(`/api/products?search=${sku}`)).body.items.length,
    };
  },
  async "/carts"() {
    const sku = await it.product();
    const lines = [{ sku, quantity: 1 }];
    const begin = () => it.api.call("/api/carts", { method: "POST", body: { lines } });
    await eventually("carts has heard of it", () => begin().then(Boolean, () => false), 30_000);
    return {
      service: "carts",
      path: "/api/carts",
      body: { lines },
      other: { lines: [{ sku, quantity: 2 }] },
      // A cart that nobody was told of is nobody's, and expires.
      effects: async (answers) => new Set(answers.map((answer) => (answer as { id: string }).id)).size,
    };
  },
  async "/payments/{orderId}/refunds"() {
    const sku = await it.product({ price: gbp(1000) });
    const { id } = await it.settled(await it.place([{ sku, quantity: 100 }]));
    return {
      service: "payments",
      path: `/api/payments/${id}/refunds`,
      body: { amount: gbp(10), reason: "chipped" },
      other: { amount: gbp(20), reason: "chipped" },
      async effects() {
        const refunded = async () => (await it.payment(id)).refunded.amount;
        // The provider is asked after the answer; twice as much would come just as soon.
        await eventually("it is refunded", async () => (await refunded()) >= 10, 30_000);
        return (await refunded()) / 10;
      },
    };
  },
  async "/users"() {
    const email = `${crypto.randomUUID()}@example.com`;
    const body = { email, name: "Ada", password: "a long one for Ada 7" };
    return {
      service: "identity",
      path: "/api/users",
      body,
      other: { ...body, name: "Bea" },
      async effects() {
        // Whoever registers once more gets a mail once more.
        const mails = async () => (await caught()).filter(({ to }) => to.includes(email)).length;
        await eventually("there is a mail", async () => (await mails()) > 0, 60_000);
        return mails();
      },
    };
  },
  async "/clients"() {
    const name = `Warehouse ${crypto.randomUUID()}`;
    const body = { name, scopes: ["inventory:write"] };
    return {
      service: "identity",
      path: "/api/clients",
      body,
      other: { ...body, scopes: ["catalog:write"] },
      effects: () => counted("/api/clients", (client: { name: string }) => client.name === name),
    };
  },
  async "/webhooks"() {
    const url = `${receiver.url}${crypto.randomUUID()}`;
    return {
      service: "notifications",
      path: "/api/webhooks",
      body: { url, events: ["order.cancelled"] },
      other: { url, events: ["order.rejected"] },
      effects: () => counted("/api/webhooks", (webhook: { url: string }) => webhook.url === url),
    };
  },
  async "/webhooks/{id}/secret"() {
    const id = await webhook("order.cancelled");
    return {
      service: "notifications",
      path: `/api/webhooks/${id}/secret`,
      body: undefined,
      async effects() {
        const { headers } = await it.api.call(`/api/webhooks/${id}`);
        return Number(/^"(\d+)"$/.exec(headers.get("etag") ?? "")?.[1]) - 1;
      },
    };
  },
  async "/webhooks/{id}/deliveries/{deliveryId}/redeliver"() {
    const path = `/api/webhooks/${await webhook("order.placed")}/deliveries`;
    const sku = await it.product();
    await it.place([{ sku, quantity: 1 }]);
    const first = async () =>
      (await it.api.call<{ items: { id: string; status: string; attempts: { status?: number }[] }[] }>(path))
        .body.items[0];
    const delivered = async () => {
      await eventually("it is delivered", async () => (await first())?.status === "delivered", 60_000);
      // One that was cut off is begun again, and noted once.
      return (await first())?.attempts.filter(({ status }) => status === 204).length ?? 0;
    };
    const before = await delivered();
    return {
      service: "notifications",
      path: `${path}/${(await first())?.id}/redeliver`,
      body: undefined,
      effects: async () => (await delivered()) - before,
    };
  },
  async "/dead-letters/{id}/replay"() {
    const id = await deadLetter();
    return {
      service: "inventory",
      path: `/api/dead-letters/inventory/${id}/replay`,
      body: {},
      other: { again: true },
      effects: async () => (await stepsOf(id)).filter((status) => status === "replaying").length,
    };
  },
  async "/dead-letters/{id}/discard"() {
    const id = await deadLetter();
    return {
      service: "inventory",
      path: `/api/dead-letters/inventory/${id}/discard`,
      body: { note: "a test" },
      other: { note: "another" },
      effects: async () => (await stepsOf(id)).filter((status) => status === "discarded").length,
    };
  },
  async "/dead-letters/replay"() {
    const id = await deadLetter();
    return {
      service: "inventory",
      path: "/api/dead-letters/replay",
      body: { service: "inventory", topic: "orders" },
      other: { service: "inventory", topic: "catalog" },
      effects: async () => (await stepsOf(id)).filter((status) => status === "replaying").length,
    };
  },
};

/** POSTs without an Idempotency-Key, and why they need none. */
const exempt: Record<string, string> = {
  "/carts/mine/merge": "A cart notes whose lines it has taken over: twice is once",
  "/checkouts/{cartId}": "A cart goes to one order, whoever asks again; only orders can ask",
  "/checkouts/{cartId}/ordered": "As above: what is closed stays closed",
  "/keys/rotate": "Until the next key signs, asking again changes nothing",
  "/me": "It only reads (OpenID Connect Core 5.3.1 wants it by POST as well)",
  "/session/sign-out": "A session that has ended stays ended",
  "/token": "A token more does no harm, and RFC 6749 knows no such header",
  "/token/introspection": "It only reads (RFC 7662)",
  "/token/revocation": "What is given back stays so (RFC 7009)",
  "/unsubscribe": "Who is unsubscribed stays so, and a mail program sends no such header (RFC 8058)",
  "/users/forgot-password": "It makes nothing but a mail, of which there are five an hour",
  "/users/reset-password": "A link works once",
  "/users/verify-email": "A link works once",
  "/users/{id}/verification-mail": "It makes nothing but a mail, of which there are five an hour",
  "/payments/webhooks/stripe": "Stripe names each event by an id of its own: it is heard once",
};

interface Route {
  service: string;
  path: string;
  takesKey: boolean;
}

const services = join(import.meta.dir, "../../services");
/** The gateway leads to the services' own dead letters. */
const inner = (path: string): string => path.replace(/^\/api(\/dead-letters)(\/\{service\})?/, "$1");
const routes: Route[] = readdirSync(services).flatMap((service) => {
  const file = join(services, service, "contract/openapi.json");
  const { paths } = JSON.parse(readFileSync(file, "utf8")) as {
    paths: Record<string, { post?: { parameters?: { name?: string }[] } }>;
  };
  return Object.entries(paths).flatMap(([path, { post }]) =>
    post
      ? [
          {
            service,
            path: inner(path),
            takesKey: (post.parameters ?? []).some(({ name }) => name === "Idempotency-Key"),
          },
        ]
      : [],
  );
});

/** Publishes what inventory cannot read, and waits until it is a dead letter there. */
async function deadLetter(): Promise<string> {
  const id = crypto.randomUUID();
  const { daprHttpPort } = it.shop.run.services.orders ?? { daprHttpPort: 0 };
  const file = join(it.shop.home.secrets, "orders.json");
  const secrets = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  await fetch(`http://127.0.0.1:${daprHttpPort}/v1.0/publish/pubsub/orders`, {
    method: "POST",
    headers: {
      "content-type": "application/cloudevents+json",
      "dapr-api-token": secrets["dapr-api-token"] ?? "",
    },
    body: JSON.stringify({ specversion: "1.0", id, source: "orders", type: "order.placed", data: {} }),
  });
  await eventually("it is dead", async () => (await stepsOf(id).catch(() => [])).length > 0, 30_000);
  return id;
}

/** Registers a webhook for one event. @returns its id */
async function webhook(event: string): Promise<string> {
  const body = { url: `${receiver.url}${crypto.randomUUID()}`, events: [event] };
  return (await it.api.call<{ id: string }>("/api/webhooks", { method: "POST", body })).body.id;
}

/** How many of a list are such. */
async function counted<T>(path: string, such: (item: T) => boolean): Promise<number> {
  let count = 0;
  for await (const item of it.api.all<T>(path)) if (such(item)) count++;
  return count;
}

/** The mails of the shop so far. */
async function caught(): Promise<Summary[]> {
  const { mail } = it.shop.run;
  if (!mail) throw new Error("there is no mail catcher");
  return (await (await fetch(`${mail.url}/api/mails`)).json()) as Summary[];
}

async function stepsOf(id: string): Promise<string[]> {
  const { body } = await it.api.call<{ history: { status: string }[] }>(`/api/dead-letters/inventory/${id}`);
  return body.history.map(({ status }) => status);
}

const ask = (one: Case, key: string, body = one.body): Promise<Answer<unknown>> =>
  it.api.call(one.path, { method: "POST", body, headers: { ...one.headers, "idempotency-key": key } });

/** Asks as a client does that wants an answer: again, while there is none or the first request is under way. */
async function answered(one: Case, key: string): Promise<unknown> {
  const until = performance.now() + 60_000;
  for (;;) {
    try {
      return (await ask(one, key)).body;
    } catch (error) {
      const passing = !(error instanceof Refused) || error.status >= 500 || error.code === "in-progress";
      if (!passing || performance.now() > until) throw error;
      await pause(50);
    }
  }
}

describe("every POST", () => {
  test("takes an Idempotency-Key, or says here why not; and each is tried below", () => {
    const wrong = routes.filter(
      ({ path, takesKey }) => takesKey !== path in cases || takesKey === path in exempt,
    );
    expect(wrong).toEqual([]);
    const known = new Set(routes.map(({ path }) => path));
    expect([...Object.keys(cases), ...Object.keys(exempt)].filter((path) => !known.has(path))).toEqual([]);
  });
});

describe.each(Object.keys(cases))("POST %s", (name) => {
  const make = (): Promise<Case> => (cases[name] as () => Promise<Case>)();

  test("twenty times at once: one effect, one answer; and the same after kill -9", async () => {
    const one = await make();
    const key = crypto.randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, () => answered(one, key)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await one.effects(answers)).toBe(1);
    await it.shop.kill(one.service);
    expect(await answered(one, key)).toEqual(answers[0]);
    await it.shop.ready();
    expect(await one.effects(answers)).toBe(1);
    if (one.other === undefined) return;
    const refused = (await ask(one, key, one.other).catch((error: unknown) => error)) as Refused;
    expect([refused.status, refused.code]).toEqual([409, "idempotency-key-reused"]);
    expect(await one.effects(answers)).toBe(1);
  });

  test("twenty times at once while kill -9 takes its service: one effect, one answer", async () => {
    const one = await make();
    const key = crypto.randomUUID();
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, () => answered(one, key))),
      it.shop.kill(one.service),
    ]);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    await it.shop.ready();
    expect(await one.effects(answers)).toBe(1);
  });
});

describe("guests", () => {
  test("with the same key do not meet: each has an order of their own, and reads no other's", async () => {
    const sku = await it.product({ onHand: 50 });
    const headers = { "idempotency-key": "1" };
    const place = (email: string, quantity = 1) =>
      it.place([{ sku, quantity }], { customer: { email, name: "A" } }, { headers, guest: true }) as Promise<{
        id: string;
        orderKey?: string;
      }>;
    const ada = await place("ada@example.com");
    expect(await place("Ada@example.com".toLowerCase())).toEqual(ada);
    const bob = await place("bob@example.com");
    expect(bob.id).not.toBe(ada.id);
    expect(bob.orderKey).not.toBe(ada.orderKey);
    const other = (await place("ada@example.com", 2).catch((error: unknown) => error)) as Refused;
    expect([other.status, other.code]).toEqual([409, "idempotency-key-reused"]);

    const cancel = (orderKey?: string) =>
      it.refusal(`/api/orders/${ada.id}/cancel`, {
        method: "POST",
        guest: true,
        headers: { ...headers, ...(orderKey ? { "order-key": orderKey } : {}) },
      });
    expect((await cancel(ada.orderKey)).status).toBe(202);
    // Whoever knows the order and guesses the key, but not the secret of the guest.
    expect((await cancel(bob.orderKey)).status).toBe(404);
    expect((await cancel()).status).toBe(404);
  });
});

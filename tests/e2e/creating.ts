/** What a test does to each POST that creates something. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Summary } from "../../packages/souk/src/mail/box.ts";
import { customer, eventually, gbp, type TestShop } from "./shop.ts";

/** What is asked of one route, and how often it has had its effect. */
export interface Case {
  service: string;
  path: string;
  body: unknown;
  /** Another body for the same key. */
  other?: unknown;
  headers?: Record<string, string>;
  /** @param answers all that were given */
  effects(answers: unknown[]): Promise<number>;
}

/**
 * A case for every POST with an Idempotency-Key; it makes what it needs.
 * @param shop has to run when a case is made
 * @param receiver as well: it takes whatever webhooks bring
 */
export function creating(
  shop: () => TestShop,
  receiver: () => Bun.Server<undefined>,
): Record<string, () => Promise<Case>> {
  /** Publishes what inventory cannot read, and waits until it is a dead letter there. */
  async function deadLetter(): Promise<string> {
    const id = crypto.randomUUID();
    const { daprHttpPort } = shop().shop.run.services.orders ?? { daprHttpPort: 0 };
    const file = join(shop().shop.home.secrets, "orders.json");
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

  /** Has a confirmed order whose shipment waits. @returns the shipment's id */
  async function shipment(): Promise<string> {
    const sku = await shop().product({ onHand: 5 });
    const { id } = await shop().settled(await shop().place([{ sku, quantity: 1 }]));
    const waits = () => shipmentSteps(`${id}-1`).then(Boolean, () => false);
    await eventually("it waits", waits, 30_000);
    return `${id}-1`;
  }

  async function shipmentSteps(id: string): Promise<string[]> {
    const { body } = await shop().api.call<{ history: { status: string }[] }>(`/api/shipments/${id}`);
    return body.history.map(({ status }) => status);
  }

  /** Registers a webhook for one event. @returns its id */
  async function webhook(event: string): Promise<string> {
    const body = { url: `${receiver().url}${crypto.randomUUID()}`, events: [event] };
    return (await shop().api.call<{ id: string }>("/api/webhooks", { method: "POST", body })).body.id;
  }

  /** How many of a list are such. */
  async function counted<T>(path: string, such: (item: T) => boolean): Promise<number> {
    let count = 0;
    for await (const item of shop().api.all<T>(path)) if (such(item)) count++;
    return count;
  }

  /** The mails of the shop so far. */
  async function caught(): Promise<Summary[]> {
    const { mail } = shop().shop.run;
    if (!mail) throw new Error("there is no mail catcher");
    return (await (await fetch(`${mail.url}/api/mails`)).json()) as Summary[];
  }

  /** An order of three visits, which are delivered when they are paid. @returns its id */
  async function serviceOrder(): Promise<string> {
    const sku = await shop().product({ sku: "VISIT", kind: "service" });
    return (await shop().settled(await shop().place([{ sku, quantity: 3 }]))).id;
  }

  /** How many of an order's first line have come back. */
  async function returned(id: string): Promise<number> {
    const { body } = await shop().api.call<{ lines: { returned: number }[] }>(`/api/orders/${id}`);
    return body.lines[0]?.returned ?? 0;
  }

  async function stepsOf(id: string): Promise<string[]> {
    const { body } = await shop().api.call<{ history: { status: string }[] }>(
      `/api/dead-letters/inventory/${id}`,
    );
    return body.history.map(({ status }) => status);
  }

  return {
    async "/orders"() {
      const sku = await shop().product({ onHand: 50 });
      const reference = `order-${sku}`;
      const body = { ...customer, lines: [{ sku, quantity: 2 }], reference };
      return {
        service: "orders",
        path: "/api/orders",
        body,
        other: { ...body, lines: [{ sku, quantity: 3 }] },
        effects: async () =>
          (await shop().api.call<{ items: unknown[] }>(`/api/orders?reference=${reference}`)).body.items
            .length,
      };
    },
    async "/orders/{id}/cancel"() {
      const sku = await shop().product({ onHand: 5 });
      const { id } = await shop().settled(await shop().place([{ sku, quantity: 1 }]));
      return {
        service: "orders",
        path: `/api/orders/${id}/cancel`,
        body: undefined,
        async effects() {
          const steps = async () => {
            const { body } = await shop().api.call<{ history: { status: string }[] }>(`/api/orders/${id}`);
            return body.history.filter(({ status }) => status === "cancelled").length;
          };
          // It shows when nothing is held any more, which is after the answer.
          await eventually("it is cancelled", async () => (await steps()) > 0, 30_000);
          return steps();
        },
      };
    },
    async "/orders/{id}/returns"() {
      const id = await serviceOrder();
      return {
        service: "orders",
        path: `/api/orders/${id}/returns`,
        body: { lines: [{ sku: "VISIT", quantity: 1 }], reason: "nobody came" },
        other: { lines: [{ sku: "VISIT", quantity: 2 }], reason: "nobody came" },
        effects: () => returned(id),
      };
    },
    async "/orders/{id}/returns/{returnId}/receive"() {
      const id = await serviceOrder();
      const { body } = await shop().api.call<{ returns: { id: string }[] }>(`/api/orders/${id}/returns`, {
        method: "POST",
        body: { lines: [{ sku: "VISIT", quantity: 1 }], reason: "nobody came" },
        // Not with what staff may: then it would be received at once.
        headers: { authorization: `Bearer ${await shop().token("orders:write")}` },
        guest: true,
      });
      return {
        service: "orders",
        path: `/api/orders/${id}/returns/${body.returns[0]?.id}/receive`,
        body: {},
        other: { lines: [] },
        effects: () => returned(id),
      };
    },
    async "/promotions"() {
      const code = `C-${crypto.randomUUID()}`.slice(0, 30);
      const body = { name: "Ten percent", code, kind: "percentage", basisPoints: 1_000 };
      return {
        service: "orders",
        path: "/api/promotions",
        body,
        other: { ...body, name: "Other" },
        effects: () => counted("/api/promotions", (one: { code?: string }) => one.code === code),
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
          (await shop().api.call<{ items: unknown[] }>(`/api/products?search=${sku}`)).body.items.length,
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
          (await shop().api.call<{ items: unknown[] }>(`/api/products?search=${sku}`)).body.items.length,
      };
    },
    async "/carts"() {
      const sku = await shop().product();
      const lines = [{ sku, quantity: 1 }];
      const begin = () => shop().api.call("/api/carts", { method: "POST", body: { lines } });
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
      const sku = await shop().product({ kind: "service", price: gbp(1000) });
      const { id } = await shop().settled(await shop().place([{ sku, quantity: 100 }]));
      return {
        service: "payments",
        path: `/api/payments/${id}/refunds`,
        body: { amount: gbp(10), reason: "chipped" },
        other: { amount: gbp(20), reason: "chipped" },
        async effects() {
          const refunded = async () => (await shop().payment(id)).refunded.amount;
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
      const url = `${receiver().url}${crypto.randomUUID()}`;
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
          const { headers } = await shop().api.call(`/api/webhooks/${id}`);
          return Number(/^"(\d+)"$/.exec(headers.get("etag") ?? "")?.[1]) - 1;
        },
      };
    },
    async "/webhooks/{id}/deliveries/{deliveryId}/redeliver"() {
      const path = `/api/webhooks/${await webhook("order.confirmed")}/deliveries`;
      const sku = await shop().product();
      await shop().place([{ sku, quantity: 1 }]);
      const first = async () =>
        (
          await shop().api.call<{ items: { id: string; status: string; attempts: { status?: number }[] }[] }>(
            path,
          )
        ).body.items[0];
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
    async "/shipments/{id}/dispatch"() {
      const id = await shipment();
      return {
        service: "shipping",
        path: `/api/shipments/${id}/dispatch`,
        body: {},
        other: { carrier: "another" },
        effects: async () => (await shipmentSteps(id)).filter((status) => status === "dispatching").length,
      };
    },
    async "/shipments/{id}/deliver"() {
      const id = await shipment();
      await shop().api.call(`/api/shipments/${id}/dispatch`, { method: "POST" });
      const dispatched = async () => (await shipmentSteps(id)).includes("dispatched");
      await eventually("it is on its way", dispatched, 30_000);
      return {
        service: "shipping",
        path: `/api/shipments/${id}/deliver`,
        body: undefined,
        effects: async () => (await shipmentSteps(id)).filter((status) => status === "delivered").length,
      };
    },
    async "/payments/reconciliations"() {
      const path = "/api/payments/reconciliations";
      const runs = async () =>
        (await shop().api.call<{ items: unknown[] }>(`${path}?limit=100`)).body.items.length;
      const before = await runs();
      return { service: "payments", path, body: undefined, effects: async () => (await runs()) - before };
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
}

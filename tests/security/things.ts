import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestService } from "../../packages/chassis/src/testing/index.ts";
import type { Route } from "./authorisation.ts";
import { order, type Thing } from "./rig.ts";

/** Who is in these tests: who asks, somebody else, a guest, and an admin. */
export type Person = "caller" | "other" | "guest" | "admin";

export interface World {
  id(person: Person): string;
  thing(route: Route, owner: Person): Promise<Thing>;
}

const ids: Record<Person, string> = {
  caller: "u_caller",
  other: "u_other",
  guest: "guest",
  admin: "u_admin",
};
const plain = (person: Person): string => ids[person];
const staff = ["orders:manage", "catalog:write", "inventory:write", "payments:manage", "users:manage", "ops"];
const price = { amount: 100, currency: "GBP" };

/** Fills a service with what its routes are asked about. */
export async function things(service: string, app: TestService<unknown>, data: string): Promise<World> {
  const make = makers[service] ?? (async () => ({ id: plain, thing: async () => ({ params: {} }) }));
  const world = await make(app, data);
  const letters = lettersOf(service, app);
  return {
    id: world.id,
    thing: async (route, owner) => {
      const thing = await world.thing(route, owner);
      return route.path.startsWith("/dead-letters/:")
        ? { params: { ...thing.params, id: await letters() } }
        : thing;
    },
  };
}

type Maker = (app: TestService<unknown>, data: string) => Promise<World>;

const makers: Record<string, Maker> = {
  async catalog(app) {
    let made = 0;
    return {
      id: plain,
      async thing() {
        const sku = `S-${++made}`;
        await must(
          app.request("/products", {
            method: "POST",
            scopes: staff,
            body: { sku, name: "A thing", price, kind: "physical" },
          }),
        );
        return { params: { sku } };
      },
    };
  },

  async carts(app) {
    const product = { sku: "S-1", name: "A thing", price, kind: "physical", version: 1 };
    await send(app, "catalog", "product.created", product);
    return {
      id: plain,
      async thing({ path }, asked) {
        // Only a guest's cart is there to be taken over, and handed to an order by whoever comes.
        const owner = path === "/carts/:id" || path.startsWith("/carts/:id/") ? asked : "guest";
        const as = owner === "guest" ? {} : { scopes: ["orders:write"], caller: plain(owner), user: true };
        const begun = await must(app.request("/carts", { method: "POST", ...as }));
        const { id } = (await begun.json()) as { id: string };
        const line = { method: "PUT", body: { quantity: 1 }, ...as };
        await must(app.request(`/carts/${id}/lines/S-1`, line));
        return { params: { id, cartId: id, sku: "S-1" } };
      },
    };
  },

  async inventory(app) {
    await send(app, "catalog", "product.created", { sku: "S-1", kind: "physical" });
    await send(app, "catalog", "product.stocked", { sku: "S-1", onHand: 10 });
    return { id: plain, thing: async () => ({ params: { sku: "S-1" } }) };
  },

  async orders(app) {
    const product = { sku: "S-1", name: "A thing", price, kind: "physical", version: 1 };
    await send(app, "catalog", "product.created", product);
    // What is delivered as soon as it is paid can come back.
    await send(app, "catalog", "product.created", { ...product, sku: "S-2", kind: "service" });
    let made = 0;
    return {
      id: plain,
      async thing({ path }, owner): Promise<Thing> {
        if (path.startsWith("/promotions/")) {
          const body = { name: "A thing", kind: "percentage", basisPoints: 1 };
          const begun = await must(app.request("/promotions", { method: "POST", scopes: staff, body }));
          return { params: { id: ((await begun.json()) as { id: string }).id } };
        }
        if (path.startsWith("/tax-rates/")) {
          const taxClass = `class-${++made}`;
          const body = { basisPoints: 1, included: true };
          await must(app.request(`/tax-rates/GB/${taxClass}`, { method: "PUT", scopes: staff, body }));
          return { params: { country: "GB", class: taxClass } };
        }
        const returned = path.includes(":returnId");
        const lines = [{ sku: returned ? "S-2" : "S-1", quantity: 1 }];
        const as = owner === "guest" ? {} : { scopes: ["orders:write"], caller: plain(owner), user: true };
        const placed = await must(
          app.request("/orders", { method: "POST", body: { ...order, lines }, ...as }),
        );
        const { id, orderKey } = (await placed.json()) as { id: string; orderKey?: string };
        const key = orderKey === undefined ? {} : { key: orderKey };
        if (!returned) return { params: { id }, ...key };
        await send(app, "inventory", "stock.reserved", { orderId: id });
        await send(app, "payments", "payment.captured", { orderId: id, amount: price, held: price });
        const body = { lines, reason: "too small" };
        const headers: Record<string, string> = orderKey === undefined ? {} : { "order-key": orderKey };
        const asked = await must(
          app.request(`/orders/${id}/returns`, { method: "POST", body, headers, ...as }),
        );
        const { returns } = (await asked.json()) as { returns: { id: string }[] };
        return { params: { id, returnId: returns[0]?.id ?? "" }, ...key };
      },
    };
  },

  async payments(app) {
    let made = 0;
    return {
      id: plain,
      async thing(_, owner) {
        const orderId = `o-${++made}`;
        await send(app, "orders", "order.reserved", {
          orderId,
          ...(owner === "guest" ? {} : { customerId: plain(owner) }),
          total: price,
          payment: { method: "test", token: "tok_ok" },
        });
        return { params: { orderId, provider: "test" } };
      },
    };
  },

  async shipping(app) {
    const rate = { country: "GB", method: "standard" };
    const body = { name: "Standard", prices: [{ upToGrams: null, price }] };
    await must(app.request("/shipping/rates/GB/standard", { method: "PUT", scopes: staff, body }));
    let made = 0;
    return {
      id: plain,
      async thing(_, owner) {
        const orderId = `o-${++made}`;
        const id = `${orderId}-1`;
        await send(app, "orders-confirmed", "order.confirmed", {
          orderId,
          ...(owner === "guest" ? {} : { customerId: plain(owner) }),
          shipment: { id, lines: [{ sku: "S-1", quantity: 1 }], weight: 100 },
        });
        return { params: { id, ...rate, carrier: "test" } };
      },
    };
  },

  async notifications(app) {
    const last = new Map<Person, string>();
    return {
      id: plain,
      async thing(route, owner): Promise<Thing> {
        if (!route.path.startsWith("/webhooks/") || owner === "guest") return { params: {} };
        const as = { scopes: staff, caller: plain(owner), user: true };
        // There may be so many of one owner; the one before may be gone already.
        if (last.has(owner)) await app.request(`/webhooks/${last.get(owner)}`, { method: "DELETE", ...as });
        const body = { url: "https://receiver.invalid/hooks", events: ["order.confirmed"] };
        const made = await must(app.request("/webhooks", { method: "POST", body, ...as }));
        const { id } = (await made.json()) as { id: string };
        last.set(owner, id);
        if (!route.path.includes(":deliveryId")) return { params: { id } };
        const placed = { orderId: "o-1", reference: null, total: price, country: "GB", lines: [] };
        await send(app, "orders-confirmed", "order.confirmed", placed);
        const listed = await must(app.request(`/webhooks/${id}/deliveries`, as));
        const { items } = (await listed.json()) as { items: { id: string }[] };
        return { params: { id, deliveryId: items[0]?.id ?? "none" } };
      },
    };
  },

  async identity(app) {
    let made = 0;
    const register = async (): Promise<string> => {
      const body = {
        email: `person-${++made}@example.com`,
        name: "Person",
        password: `a good word ${made} for it`,
      };
      return ((await (await must(app.request("/users", { method: "POST", body }))).json()) as { id: string })
        .id;
    };
    const known: Record<Person, string> = {
      caller: await register(),
      other: await register(),
      guest: "guest",
      admin: await register(),
    };
    await must(
      app.request(`/users/${known.admin}`, {
        method: "PATCH",
        scopes: staff,
        headers: { "content-type": "application/merge-patch+json", "if-match": "*" },
        body: JSON.stringify({ role: "admin" }),
      }),
    );
    let erased: Person | undefined;
    return {
      id: (person) => known[person],
      async thing({ method }, owner) {
        // Whoever is erased is gone: the next one takes their place.
        if (erased) known[erased] = await register();
        erased = method === "DELETE" ? owner : undefined;
        return { params: { id: known[owner] } };
      },
    };
  },
};

/** A dead letter, where the service hears anything: an event that it cannot read. */
function lettersOf(service: string, app: TestService<unknown>): () => Promise<string> {
  const file = join(import.meta.dir, "../../services", service, "contract/events.json");
  const { receives } = JSON.parse(readFileSync(file, "utf8")) as {
    receives: { topic: string; type: string }[];
  };
  let made = 0;
  return async () => {
    const id = `dead-${++made}`;
    const [heard] = receives;
    if (heard) await send(app, heard.topic, heard.type, null, id);
    return id;
  };
}

async function send(
  app: TestService<unknown>,
  topic: string,
  type: string,
  data: unknown,
  id?: string,
): Promise<void> {
  await must(
    app.request(`/_events/${topic}`, {
      method: "POST",
      body: {
        specversion: "1.0",
        id: id ?? crypto.randomUUID(),
        source: "test",
        type,
        time: "2026-01-01T00:00:00Z",
        data,
      },
    }),
  );
}

async function must(answered: Promise<Response>): Promise<Response> {
  const response = await answered;
  if (!response.ok) throw new Error(`refused: ${response.status} ${await response.text()}`);
  return response;
}

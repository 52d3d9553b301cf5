import { setImmediate as turn } from "node:timers/promises";
import type { TestService } from "chassis/testing";
import type { Fixture } from "./fixtures.ts";

const staff = [
  "orders:read",
  "orders:write",
  "orders:manage",
  "catalog:write",
  "inventory:write",
  "payments:manage",
  "ops",
];
export const skus = [
  "85123A",
  "BANK CHARGES",
  "a/b?c#d%",
  "Grüße 日本",
  "0",
  "__proto__",
  "x.y-z_~",
  "SKU'1\"2\\3",
];
/** What a user's token allows. */
export const customer = ["orders:read", "orders:write"];
/** A user, where nobody keeps any. */
export const someone = "u_someone";
const gbp = (amount: number) => ({ amount, currency: "GBP" });

/** Puts something into a service, as its clients and the other services would. */
export const seeds: Record<string, (made: Fixture) => Promise<void>> = {
  async catalog({ app }) {
    const lines = skus.map((sku, index) => ({
      sku,
      name: `White heart ${index}`,
      category: "Hearts",
      price: gbp(100 + index),
      kind: index === 1 ? "service" : "physical",
      onHand: index === 1 ? undefined : 50,
    }));
    await must(
      app.request("/products/import", {
        method: "POST",
        scopes: staff,
        headers: { "content-type": "application/x-ndjson" },
        body: lines.map((line) => JSON.stringify(line)).join("\n"),
      }),
    );
  },
  async inventory({ app, book }) {
    for (const sku of skus) {
      await event(app, "catalog", "product.created", { sku, kind: "physical" });
      await event(app, "catalog", "product.stocked", { sku, onHand: 1_000 });
    }
    book.orderId = ["o-0", "o-1", "o-2", "o-3"];
    for (const orderId of book.orderId)
      await event(app, "orders-placed", "order.placed", {
        orderId,
        lines: [{ sku: skus[0], quantity: 2, kind: "physical" }],
      });
  },
  async carts({ app, book }) {
    await products(app);
    book.cartId = [];
    const user = { scopes: customer, user: true, caller: book.userId?.[0] ?? someone };
    for (let n = 0; n < 6; n++) {
      const body = { lines: [{ sku: skus[0], quantity: 1 + n }] };
      // The last one is a user's own.
      const begun = await must(app.request("/carts", { method: "POST", body, ...(n === 5 ? user : {}) }));
      book.cartId.push(((await begun.json()) as { id: string }).id);
    }
  },
  async orders({ app, book }) {
    await products(app);
    const asked = {
      lines: [{ sku: skus[0], quantity: 2 }],
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
    };
    const rate = {
      country: "GB",
      method: "standard",
      currency: "GBP",
      upToGrams: null,
      amount: 395,
      version: 1,
    };
    await event(app, "shipping", "rate.set", rate);
    const tax = { basisPoints: 2_000, included: true };
    await must(app.request("/tax-rates/GB/standard", { method: "PUT", body: tax, scopes: staff }));
    book.promotionId = [];
    for (const code of ["CODE", "SPRING", "SUMMER"]) {
      const body = { name: code, code, kind: "percentage", basisPoints: 1_000, limitPerCustomer: 1_000 };
      const begun = await must(app.request("/promotions", { method: "POST", body, scopes: staff }));
      book.promotionId.push(((await begun.json()) as { id: string }).id);
    }
    book.orderId = [];
    for (let n = 0; n < 8; n++) {
      const response = await must(app.request("/orders", { method: "POST", body: asked, scopes: staff }));
      book.orderId.push(((await response.json()) as { id: string }).id);
    }
    for (const orderId of book.orderId.slice(0, 6))
      await event(app, "inventory", "stock.reserved", { orderId });
    for (const orderId of book.orderId.slice(0, 3))
      await event(app, "payments", "payment.captured", { orderId });
  },
  async shipping({ app, book }) {
    const prices = [
      { upToGrams: 1_000, price: gbp(395) },
      { upToGrams: null, price: gbp(995) },
    ];
    for (const path of ["GB/standard", "*/standard", "*/express"])
      await must(
        app.request(`/shipping/rates/${path}`, {
          method: "PUT",
          body: { name: "Post", prices },
          scopes: staff,
        }),
      );
    book.orderId = Array.from({ length: 6 }, (_, n) => `o-${n}`);
    book.shipmentId = [];
    for (const [n, orderId] of book.orderId.entries()) {
      const shipment = { id: `${orderId}-1`, lines: [{ sku: skus[0], quantity: 3 }], weight: 300 };
      book.shipmentId.push(shipment.id);
      await event(app, "orders-confirmed", "order.confirmed", { orderId, customerId: someone, shipment });
      if (n > 2) continue;
      const path = `/shipments/${shipment.id}/dispatch`;
      const by = { carrier: "test", tracking: `AB${n}` };
      await must(app.request(path, { method: "POST", body: by, scopes: staff }));
      if (n > 0) continue;
      const { id: shipmentId, lines } = shipment;
      await event(app, "orders", "order.shipped", { orderId, shipmentId, lines });
    }
  },
  async notifications({ app, book }) {
    const body = { url: "https://receiver.invalid/hooks", events: ["order.confirmed"] };
    book.webhookId = [];
    for (let n = 0; n < 3; n++) {
      const made = await must(app.request("/webhooks", { method: "POST", body, scopes: staff }));
      book.webhookId.push(((await made.json()) as { id: string }).id);
    }
    const order = { orderId: "o-0", reference: null, total: gbp(250), country: "GB", lines: [] };
    await event(app, "orders-confirmed", "order.confirmed", order);
    const listed = await must(app.request(`/webhooks/${book.webhookId[0]}/deliveries`, { scopes: staff }));
    const { items } = (await listed.json()) as { items: { id: string }[] };
    book.deliveryId = items.map(({ id }) => id);
  },
  async identity({ app, book }) {
    book.userId = [];
    for (const name of ["Ada", "Grace", "Alan"]) {
      const body = { name, email: `${name}@people.example`, password: "correct horse battery" };
      const made = await must(app.request("/users", { method: "POST", body }));
      book.userId.push(((await made.json()) as { id: string }).id);
    }
  },
  async payments({ app, book }) {
    book.orderId = Array.from({ length: 6 }, (_, n) => `o-${n}`);
    for (const [n, orderId] of book.orderId.entries()) {
      await event(app, "orders", "order.reserved", {
        orderId,
        total: gbp(1_000),
        payment: { method: "test", token: n < 4 ? "tok_ok" : "tok_declined" },
      });
    }
    for (const orderId of book.orderId) {
      for (let settled = false; !settled; ) {
        await turn();
        const response = await app.request(`/payments/${orderId}`, { scopes: staff });
        settled = /"status":"(captured|declined)"/.test(await response.text());
      }
    }
  },
};

/** What the catalog tells of its products. */
async function products(app: TestService<unknown>): Promise<void> {
  for (const [index, sku] of skus.entries()) {
    const product = { sku, name: `Product ${index}`, price: gbp(250), kind: "physical", version: 1 };
    await event(app, "catalog", "product.created", product);
  }
}

async function event(app: TestService<unknown>, topic: string, type: string, data: unknown): Promise<void> {
  const response = await must(
    app.request(`/_events/${topic}`, {
      method: "POST",
      body: {
        specversion: "1.0",
        id: crypto.randomUUID(),
        source: "fuzz",
        type,
        time: new Date().toISOString(),
        data,
      },
    }),
  );
  const { status } = (await response.json()) as { status: string };
  if (status !== "SUCCESS") throw new Error(`${type} of the fixture was answered ${status}`);
}

async function must(answered: Promise<Response>): Promise<Response> {
  const response = await answered;
  if (!response.ok) throw new Error(`the fixture was refused: ${response.status} ${await response.text()}`);
  return response;
}

/** Outgoing webhooks of a whole shop, received by a server of the test. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { setTimeout as pause } from "node:timers/promises";
import { Webhook as Verifier } from "standardwebhooks";
import { type TestShop, testShop } from "./shop.ts";

interface Received {
  path: string;
  headers: Record<string, string>;
  body: string;
}
interface Registered {
  id: string;
  secret: string;
}
interface Delivery {
  id: string;
  event: { id: string; type: string };
  status: string;
  attempts: { status?: number; error?: string }[];
}

let on: TestShop;
let receiver: Bun.Server<undefined>;
const got: Received[] = [];
/** What a path answers; 204 where nothing is said. */
const answers = new Map<string, number>();

beforeAll(async () => {
  on = await testShop({ WEBHOOK_RETRY_MS: "100,100,100,100,100,100,100,100,100" });
  receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = new URL(request.url).pathname;
      got.push({ path, headers: Object.fromEntries(request.headers), body: await request.text() });
      return new Response(null, { status: answers.get(path) ?? 204 });
    },
  });
}, 200_000);
afterAll(async () => {
  await receiver?.stop(true);
  await on?.stop();
}, 60_000);

async function register(path: string, events: string[]): Promise<Registered> {
  const url = `http://127.0.0.1:${receiver.port}${path}`;
  return (await on.api.call<Registered>("/api/webhooks", { method: "POST", body: { url, events } })).body;
}

/** Waits until a path has been told so many times, in all. */
async function received(path: string, count: number): Promise<Received[]> {
  for (;;) {
    const found = got.filter((one) => one.path === path);
    if (found.length >= count) return found;
    await pause(10);
  }
}

async function deliveries(id: string): Promise<Delivery[]> {
  return (await on.api.call<{ items: Delivery[] }>(`/api/webhooks/${id}/deliveries`)).body.items;
}

/** Waits until every delivery of a webhook has come to an end. */
async function settled(id: string, count: number): Promise<Delivery[]> {
  for (;;) {
    const found = await deliveries(id);
    if (found.length >= count && found.every(({ status }) => status !== "pending")) return found;
    await pause(20);
  }
}

const verify = (secret: string, { body, headers }: Received): unknown =>
  new Verifier(secret).verify(body, headers);

test("an order's events come signed, as its story goes", async () => {
  const { id, secret } = await register("/story", ["order.confirmed", "payment.captured"]);
  const sku = await on.product({ kind: "service" });
  const order = await on.settled(await on.place([{ sku, quantity: 2 }]));
  expect(order.status).toBe("confirmed");
  const told = await received("/story", 2);
  const events = told.map((one) => verify(secret, one) as { type: string; data: { orderId: string } });
  expect(events.map(({ type }) => type).sort()).toEqual(["order.confirmed", "payment.captured"]);
  expect(events.every(({ data }) => data.orderId === order.id)).toBe(true);
  // Nothing of the customer goes out, and nothing that is changed holds.
  for (const { body } of told) expect(body).not.toMatch(/ada@|Ada|Main Street|tok_ok|contact/);
  const [first] = told as [Received];
  expect(() => verify(secret, { ...first, body: `${first.body} ` })).toThrow();
  expect((await settled(id, 2)).map(({ status }) => status)).toEqual(["delivered", "delivered"]);
}, 60_000);

test("a receiver that is down is told later, also by a service that died meanwhile; and once more when asked", async () => {
  const { id, secret } = await register("/down", ["order.confirmed"]);
  answers.set("/down", 503);
  const sku = await on.product();
  await on.place([{ sku, quantity: 1 }]);
  await received("/down", 2);
  await on.shop.kill("notifications");
  await on.shop.ready(60_000);
  answers.delete("/down");
  const [delivery] = await settled(id, 1);
  expect(delivery?.status).toBe("delivered");
  expect(delivery?.attempts[0]).toMatchObject({ status: 503 });
  const before = (await received("/down", 3)).length;

  await on.api.call(`/api/webhooks/${id}/deliveries/${delivery?.id}/redeliver`, { method: "POST" });
  const all = await received("/down", before + 1);
  expect(new Set(all.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(new Set(all.map(({ body }) => body)).size).toBe(1);
  verify(secret, all.at(-1) as Received);
}, 60_000);

test("a new secret signs beside the one before", async () => {
  const { id, secret: before } = await register("/rotated", ["order.confirmed"]);
  const { secret } = (await on.api.call<Registered>(`/api/webhooks/${id}/secret`, { method: "POST" })).body;
  const sku = await on.product();
  await on.place([{ sku, quantity: 1 }]);
  const [told] = (await received("/rotated", 1)) as [Received];
  verify(before, told);
  verify(secret, told);
}, 60_000);

test("is for those who may see the events, and leads to no private network", async () => {
  const body = { url: "https://169.254.169.254/latest/meta-data/", events: ["order.confirmed"] };
  expect(await on.refusal("/api/webhooks", { method: "POST", body })).toEqual({
    status: 422,
    code: "webhook-url-refused",
  });
  expect(await on.refusal("/api/webhooks", { method: "POST", body, guest: true })).toMatchObject({
    status: 401,
  });
});

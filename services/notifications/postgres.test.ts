import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Db, openPostgres } from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import type { DeliveryView, WebhookView } from "./contracts.ts";
import { OrderCancelled, OrderConfirmed } from "./contracts.ts";
import { rig, until } from "./rig.fixture.ts";

// What the other tests show on SQLite, once more where it could differ: on PostgreSQL.

let db: Db;
let on: Awaited<ReturnType<typeof rig>>;
let receiver: Bun.Server<undefined>;
let status = 204;

beforeAll(async () => {
  db = await openPostgres(await (await server()).database());
  on = await rig({ WEBHOOK_RETRY_MS: "1000" }, { db });
  receiver = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(null, { status }) });
}, 120_000);
afterAll(async () => {
  await on?.stop();
  await db?.close();
  await receiver?.stop(true);
}, 60_000);

const ask = (path: string, method = "GET", body?: unknown) =>
  on.app.request(path, { method, body, scopes: ["orders:manage"], caller: "shop" });
const total = { amount: 1_530, currency: "GBP" };
const place = (orderId: string) =>
  on.app.deliver(OrderConfirmed, { orderId, reference: "536365", total, country: "GB", lines: [] });
const deliveries = async (id: string, query = "") =>
  (await (await ask(`/webhooks/${id}/deliveries${query}`)).json()) as {
    items: DeliveryView[];
    nextCursor: string | null;
  };

test("webhooks are told, page by page, disabled, and enabled again", async () => {
  const url = `http://127.0.0.1:${receiver.port}/`;
  const made = await ask("/webhooks", "POST", { url, events: ["order.confirmed"] });
  const { id } = (await made.json()) as WebhookView;
  for (const orderId of ["o-1", "o-2", "o-3"]) await place(orderId);
  await until(
    () => deliveries(id, "?status=delivered"),
    ({ items }) => items.length === 3,
  );
  const first = await deliveries(id, "?limit=2");
  const second = await deliveries(id, `?limit=2&cursor=${first.nextCursor}`);
  expect(new Set([...first.items, ...second.items].map((one) => one.id)).size).toBe(3);
  expect(second.nextCursor).toBeNull();

  status = 410;
  await place("o-4");
  await until(
    () => on.app.store.webhook(id),
    (webhook) => webhook?.status === "disabled",
  );
  const enabled = await ask(`/webhooks/${id}`, "PATCH", { status: "enabled" });
  expect(await enabled.json()).toMatchObject({ status: "enabled", reason: null });
  expect((await ask(`/webhooks/${id}`, "DELETE")).status).toBe(204);
  expect(await on.app.store.deliveries(id, { limit: 10 })).toEqual([]);
}, 60_000);

test("mails wait, go out once, and are forgotten", async () => {
  on.contact({ email: "ada@example.com", name: "Ada", reference: "536365" });
  on.answer(() => "smtp: dial tcp: connection refused");
  await on.app.deliver(OrderCancelled, { orderId: "o-5" }, { id: "event-1" });
  const mail = () => on.app.store.mail("event-1.order-cancelled");
  await until(mail, (one) => one?.tries === 1);
  on.answer(() => undefined);
  on.pass(1_000);
  expect(await until(mail, (one) => one?.status !== "pending")).toMatchObject({ status: "sent", tries: 2 });

  // Each hour goes what has ended a month ago.
  on.pass(31 * 24 * 60 * 60_000);
  await until(mail, (one) => one === undefined);
}, 60_000);

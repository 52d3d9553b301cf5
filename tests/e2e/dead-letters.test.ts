import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Refused } from "../../packages/souk/src/api-client.ts";
import { eventually, type TestShop, testShop } from "./shop.ts";
import { soukOf } from "./souk.ts";

setDefaultTimeout(120_000);

let it: TestShop;

beforeAll(async () => {
  it = await testShop({ EVENT_RETRIES: "2" });
}, 600_000);
afterEach(() => mend());
afterAll(() => it?.stop(), 60_000);

interface Letter {
  id: string;
  service: string;
  status: string;
  reason: string;
  replays: number;
  traceId?: string;
  event: { data: unknown; traceparent?: string };
  history: { status: string; by?: string; note?: string }[];
}

const list = async (query = ""): Promise<Letter[]> => {
  const items: Letter[] = [];
  for await (const letter of it.api.all<Letter>(`/api/dead-letters${query}`)) items.push(letter);
  return items;
};
/** Several services may read one event, and have a letter of it each. */
const inInventorys = async (query = "") =>
  (await list(query)).filter(({ service }) => service === "inventory");
const pathOf = (id: string, service = "inventory") =>
  `/api/dead-letters/${service}/${encodeURIComponent(id)}`;
const show = async (id: string, service?: string) => (await it.api.call<Letter>(pathOf(id, service))).body;
const post = (path: string, body: unknown = {}) => it.api.call<Letter>(path, { method: "POST", body });
/** Waits until the letter is there and has this status; a service may be down meanwhile. */
const becomes = (id: string, status: string, service?: string) =>
  eventually(
    `${id} is ${status}`,
    async () => {
      const letter = await show(id, service).catch((error: unknown) => {
        if (error instanceof Refused) return undefined;
        throw error;
      });
      return letter?.status === status;
    },
    60_000,
  );

/** `npx souk dead-letters …` */
const souk = (...args: string[]) => soukOf(it.shop.home)("dead-letters", ...args);

/** Publishes as the sidecar of orders does for its service. */
async function publish(type: string, body: string, query = ""): Promise<void> {
  const { daprHttpPort } = it.shop.run.services.orders ?? { daprHttpPort: 0 };
  const file = join(it.shop.home.secrets, "orders.json");
  const secrets = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  const answer = await fetch(`http://127.0.0.1:${daprHttpPort}/v1.0/publish/pubsub/orders${query}`, {
    method: "POST",
    headers: { "content-type": type, "dapr-api-token": secrets["dapr-api-token"] ?? "" },
    body,
  });
  expect(answer.status).toBe(204);
}

const orderPlaced = (id: string, data: unknown): Promise<void> =>
  publish(
    "application/cloudevents+json",
    JSON.stringify({ specversion: "1.0", id, source: "orders", type: "order.placed", data }),
  );

function inInventory(sql: string): void {
  const db = new Database(join(it.shop.home.data, "inventory.db"));
  db.run("pragma busy_timeout = 10000");
  db.run(sql);
  db.close();
}

/** From now on inventory cannot reserve for these orders. */
const broken = (orders: string) =>
  inInventory(
    `create trigger broken before insert on reservations when new.order_id like '${orders}'
     begin select raise(abort, 'the shelf is broken'); end`,
  );
const mend = () => inInventory("drop trigger if exists broken");

describe("an event that is malformed", () => {
  test("is a dead letter with its reason, in the API and on the command line", async () => {
    await orderPlaced("malformed-1", { orderId: 7 });
    await becomes("malformed-1", "dead");
    const letter = await show("malformed-1");
    expect(letter.reason).toContain("The data does not fit");
    expect(letter.event.data).toEqual({ orderId: 7 });
    expect((await inInventorys()).map(({ id }) => id)).toContain("malformed-1");
    const shown = await souk("show", "inventory", "malformed-1");
    expect([shown.code, shown.err]).toEqual([0, ""]);
    expect(shown.out).toContain("The data does not fit");
    expect((await souk("list", "inventory")).out).toContain("malformed-1");
  });

  test("is dead again when it is replayed, and discarded with a note that stays", async () => {
    const replayed = await souk("replay", "inventory", "malformed-1");
    expect([replayed.code, replayed.out]).toEqual([
      1,
      expect.stringContaining("dead again: The data does not fit"),
    ]);
    const discarded = await souk("discard", "inventory", "malformed-1", "--note", "a test");
    expect([discarded.code, discarded.err]).toEqual([0, ""]);
    expect((await inInventorys()).map(({ id }) => id)).not.toContain("malformed-1");
    expect((await list("?status=discarded")).map(({ id }) => id)).toEqual(["malformed-1"]);
    expect((await show("malformed-1")).history.at(-1)).toMatchObject({
      by: expect.any(String),
      note: "a test",
    });
    expect(
      await it.refusal(`${pathOf("malformed-1")}/discard`, { method: "POST", body: { note: "again" } }),
    ).toEqual({
      status: 409,
      code: "not-dead",
    });
  });

  test("is a dead letter too where it is no JSON at all, of everybody who reads the topic", async () => {
    await publish("text/plain", "no JSON at all", "?metadata.rawPayload=true");
    const readers = async () =>
      (await list()).filter(({ reason }) => reason.includes("no JSON")).map(({ service }) => service);
    await eventually("all have it", async () => (await readers()).length >= 4, 30_000);
    expect((await readers()).sort()).toEqual(["inventory", "notifications", "payments", "shipping"]);
  });
});

describe("an event whose handler fails until it is mended", () => {
  const fail = async () => {
    const sku = await it.product({ onHand: 5 });
    broken("%");
    const order = await it.place([{ sku, quantity: 2 }]);
    const found = async () =>
      (await inInventorys()).find(({ reason }) => reason.includes("the shelf is broken"));
    await eventually("it is dead", async () => (await found()) !== undefined, 30_000);
    return { sku, order, letter: (await found()) as Letter };
  };

  test("is replayed, and its order goes on; replayed twice, it has no second effect", async () => {
    const { sku, order, letter } = await fail();
    expect(letter).toMatchObject({ service: "inventory", status: "dead", replays: 0 });
    expect(letter.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect((await show(letter.id)).event.traceparent).toContain(letter.traceId ?? "no trace");
    const again = await souk("replay", "inventory", letter.id);
    expect([again.code, again.out]).toEqual([1, expect.stringContaining("the shelf is broken")]);
    mend();
    const replayed = await souk("replay", "inventory", letter.id);
    expect([replayed.code, replayed.err]).toEqual([0, ""]);
    expect(await it.settled(order)).toMatchObject({ status: "confirmed" });
    expect((await souk("replay", "inventory", letter.id)).code).toBe(0);
    expect(await it.stock(sku)).toMatchObject({ onHand: 5, reserved: 2 });
    expect(await show(letter.id)).toMatchObject({ status: "resolved", replays: 3 });
  });

  test("is replayed even when its service is killed in the middle", async () => {
    const { sku, order, letter } = await fail();
    mend();
    expect((await post(`${pathOf(letter.id)}/replay`)).status).toBe(202);
    await it.shop.kill("inventory");
    expect(await it.settled(order, 60_000)).toMatchObject({ status: "confirmed" });
    await becomes(letter.id, "resolved");
    expect(await it.stock(sku)).toMatchObject({ reserved: 2 });
  });

  test("is listed without the services that are down, which are named", async () => {
    await it.shop.halt("payments");
    const { body } = await it.api.call<{ missing: { service: string }[] }>("/api/dead-letters");
    expect(body.missing.map(({ service }) => service)).toEqual(["payments"]);
    const partly = await souk();
    expect([partly.code, partly.err]).toEqual([1, expect.stringContaining("payments is missing")]);
    await it.shop.start("payments");
    await it.shop.ready();
  });
});

describe("three hundred poison events", () => {
  test("delay none of the orders beside them; all are dead letters, page by page", async () => {
    const sku = await it.product({ onHand: 50 });
    broken("poison-%");
    const lines = [{ sku, quantity: 1, kind: "physical" }];
    const ids = Array.from({ length: 300 }, (_, i) => `poison-${i}`);
    await Promise.all(ids.map((id) => orderPlaced(id, { orderId: id, lines })));
    const orders = await Promise.all(Array.from({ length: 20 }, () => it.place([{ sku, quantity: 1 }])));
    for (const order of orders) expect(await it.settled(order)).toMatchObject({ status: "confirmed" });
    const poisoned = async () =>
      (await inInventorys("?type=order.placed")).filter(({ id }) => id.startsWith("poison-"));
    await eventually("all are dead", async () => (await poisoned()).length === 300, 60_000);
    expect(new Set((await poisoned()).map(({ id }) => id)).size).toBe(300);
    expect(await it.stock(sku)).toMatchObject({ reserved: 20 });

    const replayed = await souk("replay", "inventory", "--all", "--type", "order.placed", "--json");
    const { dead } = JSON.parse(replayed.out) as { dead: Letter[] };
    expect([replayed.code, dead.filter(({ id }) => id.startsWith("poison-")).length]).toEqual([1, 300]);
    expect((await show("poison-0")).replays).toBe(1);
  });
});

describe("dead letters", () => {
  test("are for operators only", async () => {
    for (const [method, path] of [
      ["GET", "/api/dead-letters"],
      ["GET", pathOf("malformed-1")],
      ["POST", "/api/dead-letters/replay"],
      ["POST", `${pathOf("malformed-1")}/replay`],
      ["POST", `${pathOf("malformed-1")}/discard`],
    ] as const) {
      expect((await it.refusal(path, { method, guest: true })).status).toBe(401);
      const headers = { authorization: `Bearer ${await tokenOf("orders:manage")}` };
      expect((await it.refusal(path, { method, guest: true, headers })).status).toBe(403);
    }
    expect((await it.refusal(pathOf("nothing"))).status).toBe(404);
    expect((await it.refusal(pathOf("a", "nobody"))).status).toBe(404);
    const unknown = await souk("show", "inventory", "nothing");
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("does not exist")]);
  });

  test("are counted by the service's metrics", async () => {
    const { appPort } = it.shop.run.services.inventory ?? { appPort: 0 };
    const secrets = JSON.parse(readFileSync(join(it.shop.home.secrets, "inventory.json"), "utf8"));
    const headers = { "dapr-api-token": secrets["app-api-token"] };
    const metrics = await (await fetch(`http://127.0.0.1:${appPort}/metrics`, { headers })).text();
    expect(Number(/^souk_dead_letters\{.*\} (\d+)/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(300);
  });
});

/** A token with only this scope. */
async function tokenOf(scope: string): Promise<string> {
  const file = JSON.parse(readFileSync(join(it.shop.home.dir, "dev-client.json"), "utf8"));
  const { clientId, clientSecret, tokenEndpoint } = file as Record<string, string>;
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId ?? "",
    client_secret: clientSecret ?? "",
    scope,
  });
  const answer = await fetch(tokenEndpoint ?? "", { method: "POST", body });
  return ((await answer.json()) as { access_token: string }).access_token;
}

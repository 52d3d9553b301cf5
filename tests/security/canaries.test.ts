import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { sql } from "drizzle-orm";
import { openSqlite } from "drizzle-outbox";
import { secretsOf } from "../../packages/souk/src/home.ts";
import { eventually, type TestShop, testShop } from "../e2e/shop.ts";

// What is personal or secret goes in at every place where it may, also where it is refused and where something breaks;
// then nothing of it may be in what the shop writes: logs of all processes, databases, the broker's disk, problems, metrics.

const mark = randomBytes(6).toString("hex");
/** Each is found wherever it stands, also in the middle of a text, and tells its kind. */
const planted: Record<string, string> = {
  email: `mail-${mark}@canary.example`,
  name: `Nomen-${mark}`,
  street: `Street-${mark}`,
  city: `City-${mark}`,
  postcode: `PC${mark}`,
  payment: `tok_canary_${mark}`,
  card: `4242${parseInt(mark, 16).toString().padStart(16, "0").slice(0, 12)}`,
  password: `word-${mark}-of-pass`,
  "wrong password": `wrong-${mark}-of-pass`,
  "wrong token": `ey-${mark}-bearer`,
  "wrong order key": `key-${mark}-order`,
};
const buyer = {
  customer: { email: planted.email, name: planted.name },
  shippingAddress: {
    name: planted.name,
    line1: planted.street,
    city: planted.city,
    postcode: planted.postcode,
    country: "GB",
  },
};

let shop: TestShop;
/** In an event that no service of the shop would send: it is kept as it came, and shown to nobody but staff. */
const inDeadLetter = `dead-${mark}-letter`;
const said: string[] = [];
/** What was on disk while all was running: a write-ahead log is gone when its database is closed. */
let running: [string, Buffer][] = [];
const answers: { of: string; status: number; text: string }[] = [];
let metrics = "";

async function ask(
  method: string,
  path: string,
  { body, headers = {}, token }: { body?: unknown; headers?: Record<string, string>; token?: string } = {},
): Promise<{ status: number; text: string; json: Record<string, unknown> }> {
  const response = await fetch(shop.shop.url + path, {
    method,
    headers: {
      "content-type": "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  answers.push({
    of: `${method} ${path.replaceAll(encodeURIComponent(planted.email ?? ""), "…")}`,
    status: response.status,
    text,
  });
  return { status: response.status, text, json: text.startsWith("{") ? JSON.parse(text) : {} };
}

/** Secrets lie where secrets lie, the development client's file is for the developer, a caught mail is a mail. */
const kept = (path: string): boolean => /^(secrets|certs|logs|mail)\/|^dev-/.test(path);

/** Everything that is written down, by its place in the shop's folder. */
function written(folder: string, skip: (path: string) => boolean): [string, Buffer][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !skip(relative(folder, path)) && statSync(path).size > 0)
    .map((path) => [relative(folder, path), readFileSync(path)]);
}

const found = (where: [string, Buffer | string][]): string[] =>
  where.flatMap(([place, bytes]) =>
    Object.entries(planted)
      .filter(([, canary]) => bytes.includes(canary))
      .map(([kind]) => `${kind} in ${place}`),
  );

beforeAll(async () => {
  process.env.SOUK_DAPR_LOG_LEVEL = "debug";
  shop = await testShop({ LOG_LEVEL: "trace" }, { say: (...what) => said.push(what.join(" ")) });
  const { home, run } = shop.shop;
  const client = JSON.parse(readFileSync(home.devClient, "utf8")) as {
    clientId: string;
    clientSecret: string;
  };
  planted["client secret"] = client.clientSecret;
  const token = await shop.token();
  planted.token = token;
  planted["token's signature"] = token.split(".")[2] ?? "";
  const sku = await shop.product({ onHand: 100 });
  const lines = [{ sku, quantity: 1 }];
  const order = (over: Record<string, unknown> = {}) => ({
    ...buyer,
    lines,
    payment: { method: "test", token: "tok_ok" },
    ...over,
  });

  // Bought, bought by a guest, declined, tried again by the provider's side.
  const bought = await ask("POST", "/api/orders", {
    body: order(),
    token,
    headers: { "idempotency-key": "a" },
  });
  const guest = await ask("POST", "/api/orders", { body: order(), headers: { "idempotency-key": "b" } });
  planted["order key"] = String(guest.json.orderKey);
  const orders = [bought, guest];
  for (const payment of [planted.payment, "tok_flaky", "tok_declined"])
    orders.push(
      await ask("POST", "/api/orders", {
        body: order({ payment: { method: "test", token: payment } }),
        token,
      }),
    );
  expect(orders.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
  expect(bought.json).toMatchObject(buyer);
  await Promise.all(orders.map(({ json }) => shop.settled({ id: String(json.id) })));
  const [first] = orders.map(({ json }) => String(json.id));

  // The same again, and another with the same key.
  expect(
    (await ask("POST", "/api/orders", { body: order(), token, headers: { "idempotency-key": "a" } })).status,
  ).toBe(202);
  const reused = { body: order({ reference: "x" }), token, headers: { "idempotency-key": "a" } };
  expect((await ask("POST", "/api/orders", reused)).status).toBe(409);

  // Refused: no JSON, wrong types, too much, what does not exist, wrong tokens and keys, in every place.
  const refusals: [number, Promise<{ status: number }>][] = [
    [400, ask("POST", "/api/orders", { body: JSON.stringify(order()).slice(0, -3), token })],
    [
      400,
      ask("POST", "/api/orders", {
        body: order({ customer: { email: planted.name, name: planted.email } }),
        token,
      }),
    ],
    [400, ask("POST", "/api/orders", { body: order({ shippingAddress: planted.street }), token })],
    [
      400,
      ask("POST", "/api/orders", {
        body: order({ payment: { method: planted.payment, token: planted.card } }),
        token,
      }),
    ],
    [400, ask("POST", "/api/orders", { body: order({ card: planted.card }), token })],
    [400, ask("GET", `/api/orders?customer=${encodeURIComponent(planted.email ?? "")}&limit=no`, { token })],
    [401, ask("GET", `/api/orders/${first}`, { token: planted["wrong token"] })],
    [
      401,
      ask("GET", `/api/orders/${first}`, {
        headers: { authorization: `Basic ${btoa(`x:${planted["wrong password"]}`)}` },
      }),
    ],
    [
      404,
      ask("GET", `/api/orders/${guest.json.id}`, {
        headers: { "order-key": planted["wrong order key"] ?? "" },
      }),
    ],
    [
      401,
      ask("POST", "/token", {
        body: new URLSearchParams({
          grant_type: "client_credentials",
          client_id: client.clientId,
          client_secret: planted["wrong password"] ?? "",
        }).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
    ],
  ];
  for (const [wanted, asked] of refusals) expect((await asked).status).toBe(wanted);
  expect(
    (await ask("GET", `/api/orders/${guest.json.id}`, { headers: { "order-key": planted["order key"] } }))
      .status,
  ).toBe(200);
  const list = await ask("GET", `/api/orders?customer=${encodeURIComponent(planted.email ?? "")}`, { token });
  expect((list.json.items as unknown[]).length).toBe(5);

  // A user: registered, twice, wrongly.
  const user = { email: planted.email, name: planted.name, password: planted.password };
  const registered = await ask("POST", "/api/users", { body: user });
  expect(registered.status).toBeLessThan(300);
  await ask("POST", "/api/users", { body: user });
  await ask("POST", "/api/users", { body: { ...user, password: planted.name, role: planted.card } });
  await ask("POST", "/api/users/forgot-password", { body: { email: planted.email } });
  await ask("POST", "/api/users/reset-password", {
    body: { token: planted["wrong token"], password: planted.password },
  });

  // A row that does not open: what breaks inside is logged.
  const db = await openSqlite(join(home.data, "orders.db"));
  await db.query(
    sql`update orders set state = json_set(state, '$.personal', substr(json_extract(state, '$.personal'), 1, 200) || 'AAAA') where id = ${first}`,
  );
  await db.close();
  expect((await ask("GET", `/api/orders/${first}`, { token })).status).toBe(500);

  // Events: one that no handler takes (a retry, in the end a dead letter), one that is no JSON.
  const { appPort } = run.services.orders ?? {};
  const deliver = (body: string) =>
    fetch(`http://127.0.0.1:${appPort}/_events/inventory`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "dapr-api-token": secretsOf(home, "orders")["app-api-token"],
      },
      body,
    }).then((response) => response.text());
  await deliver(`{"specversion":"1.0","id":"x","type":"stock.reserved","data":{"orderId":"${inDeadLetter}"`);
  const event = {
    specversion: "1.0",
    id: `dead-${mark}`,
    type: "stock.reserved",
    source: "inventory",
    topic: "inventory",
  };
  await deliver(JSON.stringify({ ...event, data: inDeadLetter }));
  await eventually("the event is a dead letter", async () =>
    (await ask("GET", "/api/dead-letters", { token })).text.includes(`dead-${mark}`),
  );

  for (const [app, { appPort: port }] of Object.entries(run.services)) {
    const headers = { "dapr-api-token": secretsOf(home, app)["app-api-token"] };
    metrics += await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text();
  }
  metrics += (await ask("GET", "/metrics")).text;
  running = written(home.dir, kept);
  // All that is under way comes to its end, and what is logged is on disk.
  await shop.shop.stop();
}, 180_000);

afterAll(async () => {
  delete process.env.SOUK_DAPR_LOG_LEVEL;
  rmSync(shop.shop.home.dir, { recursive: true, force: true });
});

test("the search finds what is there", () => {
  const needles = Object.entries(planted).map(([kind, canary]): [string, string] => [kind, `a ${canary} b`]);
  expect(found(needles).length).toBeGreaterThanOrEqual(needles.length);
  expect(Object.values(planted).every((canary) => canary.length >= 12)).toBe(true);
  expect(
    answers
      .filter(({ status }) => status < 400)
      .map(({ text }) => text)
      .join(),
  ).toContain(planted.email ?? "");
});

test("no log of any process, and nothing that the runner says", () => {
  const logs = written(shop.shop.home.logs, () => false);
  expect(logs.map(([path]) => path)).toContain("orders.log");
  expect(logs.find(([path]) => path === "orders.log")?.[1].includes("a request failed")).toBe(true);
  const all: [string, Buffer | string][] = [...logs, ["what the runner says", said.join("\n")]];
  expect(found(all)).toEqual([]);
  expect(all.filter(([, text]) => text.includes(inDeadLetter)).map(([path]) => path)).toEqual([]);
});

test("no database, write-ahead log or file of the broker", () => {
  const files = written(shop.shop.home.dir, kept);
  const names = files.map(([path]) => path);
  expect(names.some((path) => path.startsWith("data/orders.db"))).toBe(true);
  expect(names.some((path) => path.startsWith("redis/") && path.includes("aof"))).toBe(true);
  expect(running.some(([path]) => path === "data/orders.db-wal")).toBe(true);
  expect(found([...files, ...running])).toEqual([]);
});

test("no problem, and no metric", () => {
  const problems = answers.filter(({ status }) => status >= 400);
  expect(new Set(problems.map(({ status }) => status))).toEqual(new Set([400, 401, 404, 409, 422, 500]));
  expect(found(problems.map(({ of, text }) => [of, text]))).toEqual([]);
  expect(metrics).toContain("http_server_request_duration_seconds");
  expect(found([["metrics", metrics]])).toEqual([]);
});

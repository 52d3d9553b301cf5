import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";

let it: TestShop;

beforeAll(async () => {
  it = await testShop();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

const product = (sku: string, over: Record<string, unknown> = {}) => ({
  sku,
  name: `Product ${sku}`,
  price: gbp(500),
  kind: "physical",
  ...over,
});
const url = (sku: string) => `/api/products/${encodeURIComponent(sku)}`;
const raw = (path: string, init: RequestInit = {}) => fetch(it.shop.url + path, init);

/** A token with only these scopes. */
async function tokenOf(scope: string): Promise<string> {
  const file = JSON.parse(readFileSync(join(it.shop.home.dir, "dev-client.json"), "utf8")) as Record<
    string,
    string
  >;
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: file.clientId ?? "",
    client_secret: file.clientSecret ?? "",
    scope,
  });
  const { access_token } = (await (
    await fetch(file.tokenEndpoint ?? "", { method: "POST", body })
  ).json()) as {
    access_token: string;
  };
  return access_token;
}

describe("identity", () => {
  test("describes itself, and its keys check its tokens", async () => {
    const { body } = await it.api.call<Record<string, string>>("/.well-known/openid-configuration", {
      guest: true,
    });
    expect(body.issuer).toBe(it.shop.url);
    expect(new URL(body.token_endpoint ?? "").origin).toBe(it.shop.url);
    const keys = (await (await fetch(body.jwks_uri ?? "")).json()) as { keys: object[] };
    expect(keys.keys.length).toBeGreaterThan(0);
    expect(JSON.stringify(keys)).not.toContain('"d"');
  });

  test("gives no token for a wrong secret", async () => {
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: "dev",
      client_secret: "no",
    });
    const response = await raw("/token", { method: "POST", body });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: "invalid_client" });
  });

  test("a bad token is refused, and one without the scope too", async () => {
    const call = (token: string) =>
      raw("/api/payments/ledger", { headers: { authorization: `Bearer ${token}` } });
    const forged = await call("eyJhbGciOiJub25lIn0.e30.");
    expect(forged.status).toBe(401);
    expect(forged.headers.get("www-authenticate")).toContain("invalid_token");
    expect((await call(await tokenOf("catalog:write"))).status).toBe(403);
    expect((await call(await tokenOf("payments:manage"))).status).toBe(200);
    expect((await raw("/api/payments/ledger")).status).toBe(401);
  });
});

describe("products", () => {
  test("are created, read, replaced, patched and deleted, each change guarded by its ETag", async () => {
    const created = await it.api.call<{ sku: string }>("/api/products", {
      method: "POST",
      body: product("P-1"),
    });
    expect(created.status).toBe(201);
    const first = await it.api.call(url("P-1"), { guest: true });
    const etag = first.headers.get("etag") ?? "";
    const fresh = await raw(url("P-1"), { headers: { "if-none-match": etag } });
    expect(fresh.status).toBe(304);

    const put = { method: "PUT", body: product("P-1", { name: "Other" }) };
    expect(await it.refusal(url("P-1"), put)).toMatchObject({ status: 428 });
    expect(await it.refusal(url("P-1"), { ...put, headers: { "if-match": '"999"' } })).toMatchObject({
      status: 412,
    });
    const replaced = await it.api.call(url("P-1"), { ...put, headers: { "if-match": etag } });
    const patched = await it.api.call<{ name: string; price: unknown }>(url("P-1"), {
      method: "PATCH",
      body: { price: { amount: 650 } },
      headers: {
        "if-match": replaced.headers.get("etag") ?? "",
        "content-type": "application/merge-patch+json",
      },
    });
    expect(patched.body).toMatchObject({ name: "Other", price: gbp(650) });
    expect((await it.api.call(url("P-1"), { guest: true })).body).toMatchObject({ price: gbp(650) });
    await it.api.call(url("P-1"), {
      method: "DELETE",
      headers: { "if-match": patched.headers.get("etag") ?? "" },
    });
    expect(await it.refusal(url("P-1"), { guest: true })).toMatchObject({ status: 404 });
  });

  test.each(["BANK CHARGES", "A/B", "50%", "%41", "ä茶", "a?b#c"])("may be called %s", async (sku) => {
    await it.api.call("/api/products", { method: "POST", body: product(sku) });
    expect((await it.api.call<{ sku: string }>(url(sku), { guest: true })).body.sku).toBe(sku);
    await eventually("it has a stock", async () => (await it.stock(sku).catch(() => undefined))?.sku === sku);
  });

  test("are refused when they are wrong, with a pointer", async () => {
    const wrong = await raw("/api/products", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${await tokenOf("catalog:write")}`,
      },
      body: JSON.stringify(product("P-2", { price: { amount: 1.5, currency: "GBP" }, surprise: true })),
    });
    expect(wrong.status).toBe(400);
    expect(wrong.headers.get("content-type")).toContain("application/problem+json");
    const problem = (await wrong.json()) as { errors: { pointer: string }[]; traceId: string; code: string };
    expect(problem.errors.map(({ pointer }) => pointer).sort()).toEqual(["/price/amount", "/surprise"]);
    expect(problem.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(
      await it.refusal("/api/products", { method: "POST", body: product("P-3"), guest: true }),
    ).toMatchObject({
      status: 401,
    });
  });

  test("are found by words, by category, and page by page", async () => {
    const lines = Array.from({ length: 7 }, (_, index) =>
      JSON.stringify(product(`LAMP-${index}`, { name: `Étagère lamp ${index}`, category: "lamps" })),
    );
    const { body } = await it.api.call<{ accepted: number; rejected: { line: number }[] }>(
      "/api/products/import",
      {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: [...lines.slice(0, 3), "{ not json", ...lines.slice(3)].join("\n"),
      },
    );
    expect(body).toMatchObject({ accepted: 7, rejected: [{ line: 4 }] });
    const found: string[] = [];
    for await (const { sku } of it.api.all<{ sku: string }>("/api/products?search=etagere%20lam"))
      found.push(sku);
    expect(found.sort()).toEqual(lines.map((_, index) => `LAMP-${index}`));
    const { body: page } = await it.api.call<{ items: object[]; nextCursor: string }>(
      "/api/products?category=lamps&limit=3",
      { guest: true },
    );
    expect(page.items).toHaveLength(3);
    expect(page.nextCursor).toBeString();
    expect(await it.refusal("/api/products?limit=0", { guest: true })).toMatchObject({ status: 400 });
  });
});

describe("stock", () => {
  test("is set by staff with If-Match; the public sees what is available", async () => {
    const sku = await it.product({ onHand: 8 });
    const seen = await it.api.call<object>(`/api/stock/${sku}`);
    const put = { method: "PUT", body: { onHand: 12 } };
    expect(await it.refusal(`/api/stock/${sku}`, put)).toMatchObject({ status: 428 });
    await it.api.call(`/api/stock/${sku}`, {
      ...put,
      headers: { "if-match": seen.headers.get("etag") ?? "" },
    });
    expect(await it.stock(sku)).toEqual({ sku, onHand: 12, reserved: 0, available: 12 });
    const { body } = await it.api.call(`/api/stock/${sku}`, { guest: true });
    expect(body).toEqual({ sku, available: 12 });
    expect(await it.refusal(`/api/stock/${sku}`, { ...put, guest: true })).toMatchObject({ status: 401 });
    expect(await it.refusal("/api/stock/NO-SUCH-THING")).toMatchObject({ status: 404 });
  });
});

describe("payments", () => {
  test("are read and refunded by staff, never beyond what was captured", async () => {
    const sku = await it.product({ kind: "service", price: gbp(1000) });
    const order = await it.settled(await it.place([{ sku, quantity: 2 }]));
    const path = `/api/payments/${order.id}/refunds`;
    const refund = (amount: number) => ({
      method: "POST",
      body: { amount: gbp(amount), reason: "chipped" },
      headers: { "idempotency-key": `refund-${amount}` },
    });
    expect((await it.api.call(path, refund(500))).status).toBe(202);
    // The same key again is the same refund.
    expect((await it.api.call(path, refund(500))).status).toBe(202);
    await eventually("refunded", async () => (await it.payment(order.id)).refunded.amount === 500);
    expect((await it.refusal(path, refund(1501))).code).toBe("refund-too-large");
    expect(await it.refusal(path, { ...refund(1), guest: true })).toMatchObject({ status: 401 });
    expect(await it.refusal("/api/payments/no-such-order")).toMatchObject({ status: 404 });
    expect((await it.ledger()).balanced).toBe(true);
  }, 60_000);
});

describe("the gateway", () => {
  test("shows a page that says what runs here", async () => {
    const response = await raw("/");
    expect(response.headers.get("content-type")).toContain("text/html");
    expect(response.headers.get("content-security-policy")).not.toContain("unsafe-inline");
    const page = await response.text();
    for (const name of ["identity", "catalog", "inventory", "orders", "payments"])
      expect(page).toContain(name);
  });

  test("names every dependency, and its metrics", async () => {
    const { body } = await it.api.call<{ status: string; dependencies: Record<string, { status: string }> }>(
      "/ready",
      {
        guest: true,
      },
    );
    expect(body.status).toBe("ready");
    expect(Object.keys(body.dependencies)).toEqual(
      expect.arrayContaining(["identity", "catalog", "inventory", "orders", "payments", "sidecar", "broker"]),
    );
    expect((await raw("/health")).status).toBe(200);
    expect(await (await raw("/metrics")).text()).toContain("http_server_request_duration_seconds");
  });

  test("answers what it does not know with a problem", async () => {
    for (const [path, method, status] of [
      ["/nothing", "GET", 404],
      ["/api/nothing", "GET", 404],
      ["/api/products", "DELETE", 405],
      ["/api/orders/..%2f..%2fpayments", "GET", 400],
    ] as const) {
      const response = await raw(path, { method });
      expect([path, response.status]).toEqual([path, status]);
      expect(response.headers.get("content-type")).toContain("application/problem+json");
    }
  });

  test("refuses a body that is too large", async () => {
    const response = await raw("/api/orders", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...customer, reference: "x".repeat(1024 * 1024) }),
    });
    expect(response.status).toBe(413);
  });
});

describe("nothing but the gateway is reached from outside", () => {
  test("a service answers its sidecar alone", async () => {
    const { appPort } = it.shop.run.services.orders ?? { appPort: 0 };
    expect((await fetch(`http://127.0.0.1:${appPort}/orders`)).status).toBe(401);
  });

  test("a sidecar answers its app alone", async () => {
    const { daprHttpPort } = it.shop.run.services.orders ?? { daprHttpPort: 0 };
    const response = await fetch(
      `http://127.0.0.1:${daprHttpPort}/v1.0/invoke/payments/method/payments/ledger`,
    );
    expect(response.status).toBe(401);
  });

  test("one service may not call another, whatever token it shows", async () => {
    const { daprHttpPort } = it.shop.run.services.orders ?? { daprHttpPort: 0 };
    const secrets = JSON.parse(readFileSync(join(it.shop.home.secrets, "orders.json"), "utf8")) as Record<
      string,
      string
    >;
    const response = await fetch(
      `http://127.0.0.1:${daprHttpPort}/v1.0/invoke/payments/method/payments/ledger`,
      {
        headers: {
          "dapr-api-token": secrets["dapr-api-token"] ?? "",
          authorization: `Bearer ${await tokenOf("payments:manage")}`,
        },
      },
    );
    expect(response.status).toBe(403);
  });
});

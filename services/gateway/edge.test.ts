import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { ProductCreated, ProductDeleted, ProductUpdated } from "./contracts.ts";
import type { Memory } from "./edge.ts";
import service from "./service.ts";
import { behind, ways } from "./ways.ts";

interface Got {
  service: string;
  path: string;
  method: string;
  headers: Headers;
  body: string;
}

let app: TestService<Memory>;
let got: Got[] = [];
let answer: (request: Got) => Response | Promise<Response>;
let version = 1;

const answersOf = (request: Got): Response => {
  if (request.path === "/ready")
    return Response.json({ status: "ready", dependencies: { sidecar: { status: "up" } } });
  if (/^\/(openapi|events)\.json$/.test(request.path))
    return new Response(Bun.file(`${import.meta.dir}/../${request.service}/contract${request.path}`));
  const tag = `"${version}"`;
  if (request.headers.get("if-none-match") === tag) {
    return new Response(null, {
      status: 304,
      headers: { etag: tag, "cache-control": "public, s-maxage=10" },
    });
  }
  const headers = { etag: tag, "cache-control": "public, max-age=0, s-maxage=10" };
  return Response.json({ path: request.path, version }, { headers });
};

/** What the sidecar does with a call: it decodes the path once. */
async function invoked(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const [, name = "", path = ""] = /^\/v1\.0\/invoke\/([^/]+)\/method(.*)$/.exec(url.pathname) ?? [];
  const one = {
    service: name,
    path: decodeURIComponent(path) + url.search,
    method: request.method,
    headers: request.headers,
    body: await request.text(),
  };
  if (one.path !== "/ready") got.push(one);
  return answer(one);
}

const daprs = (status: number, errorCode: string, message: string): Response =>
  Response.json({ errorCode, message }, { status });
const last = (): Got => got.at(-1) as Got;

beforeAll(async () => {
  app = await testService(service, { folder: import.meta.dir, others: invoked });
});
afterAll(() => app.stop());
beforeEach(() => {
  got = [];
  version = 1;
  answer = answersOf;
  app.store.cache.forget("catalog", "identity");
});

describe("what goes through", () => {
  test.each([
    ["GET", "/api/orders/1", "orders", "/orders/1"],
    ["GET", "/api/orders?status=placed", "orders", "/orders?status=placed"],
    ["POST", "/api/orders", "orders", "/orders"],
    ["POST", "/api/orders/1/cancel", "orders", "/orders/1/cancel"],
    ["PUT", "/api/products/A%2FB%20%25", "catalog", "/products/A%2FB%20%25"],
    ["GET", "/api/products/%C3%BC", "catalog", "/products/%C3%BC"],
    ["DELETE", "/api/products/A", "catalog", "/products/A"],
    ["PUT", "/api/stock/A", "inventory", "/stock/A"],
    ["GET", "/api/payments/ledger", "payments", "/payments/ledger"],
    ["POST", "/token", "identity", "/token"],
    ["GET", "/jwks", "identity", "/jwks"],
    ["GET", "/.well-known/openid-configuration", "identity", "/.well-known/openid-configuration"],
  ])("%s %s reaches %s as %s", async (method, path, name, target) => {
    const response = await app.edge(path, { method, ...(method === "GET" ? {} : { body: { a: 1 } }) });
    expect(response.status).toBe(200);
    expect(got).toHaveLength(1);
    expect([last().method, last().service, last().path]).toEqual([method, name, target]);
    expect(last().body).toBe(method === "GET" ? "" : '{"a":1}');
  });

  test("carries the headers that belong to the request, and no others", async () => {
    await app.edge("/api/orders", {
      method: "POST",
      body: {},
      scopes: ["orders:manage"],
      headers: {
        "idempotency-key": "k",
        "if-match": '"1"',
        "order-key": "o",
        "webhook-id": "m-1",
        "webhook-timestamp": "1767603600",
        "webhook-signature": "v1,a",
        accept: "application/json",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        host: "shop.test",
        connection: "close, x-secret",
        "dapr-app-id": "payments",
        "dapr-api-token": "mine",
        "x-forwarded-for": "1.2.3.4",
        "x-other": "y",
        cookie: "a=b",
      },
    });
    const { headers } = last();
    for (const [name, value] of Object.entries({
      "idempotency-key": "k",
      "if-match": '"1"',
      "order-key": "o",
      "webhook-id": "m-1",
      "webhook-timestamp": "1767603600",
      "webhook-signature": "v1,a",
      accept: "application/json",
      "content-type": "application/json",
      "x-forwarded-host": "shop.test",
      "x-forwarded-proto": "http",
      "x-forwarded-prefix": "/api",
    })) {
      expect(headers.get(name), name).toBe(value);
    }
    expect(headers.get("authorization")).toStartWith("Bearer ");
    expect(headers.get("traceparent")).toStartWith("00-4bf92f3577b34da6a3ce929d0e0e4736-");
    for (const name of ["dapr-app-id", "x-forwarded-for", "x-other", "cookie", "x-secret"]) {
      expect(headers.get(name), name).toBeNull();
    }
    expect(headers.get("dapr-api-token")).not.toBe("mine");
  });

  test("pages of identity get their cookies and the origin of their forms, and may set cookies; nothing else may", async () => {
    const headers = {
      cookie: "_session=1; souk-session=s; __Host-souk-sign-in=x; caf\u00e9=1",
      origin: "http://shop.test",
    };
    answer = () =>
      new Response("<p>", {
        headers: [
          ["set-cookie", "_session=2"],
          ["set-cookie", "_other=3"],
        ],
      });
    const page = await app.edge("/interaction/i-1", { method: "POST", body: "a=b", headers });
    expect(last().headers.get("cookie")).toBe("_session=1");
    expect(last().headers.get("origin")).toBe("http://shop.test");
    expect(page.headers.getSetCookie()).toEqual(["_session=2", "_other=3"]);
    const other = await app.edge("/api/orders", { headers });
    expect(last().headers.get("cookie")).toBeNull();
    expect(last().headers.get("origin")).toBeNull();
    expect(other.headers.getSetCookie()).toEqual([]);
  });

  test("a request that is too long for a service is the client's mistake", async () => {
    answer = () => new Response(null, { status: 431 });
    const refused = await app.edge("/api/orders", { scopes: ["orders:manage"] });
    expect(refused.status).toBe(431);
    expect(await refused.json()).toMatchObject({ code: "headers-too-large" });
  });

  test("a header that no sidecar could carry is refused, and nothing is sent on", async () => {
    for (const name of ["order-key", "accept-language", "idempotency-key"]) {
      const refused = await app.edge("/api/orders", { headers: { [name]: "caf\u00e9" } });
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ code: "invalid-header" });
    }
    expect(got).toEqual([]);
  });

  test("comes back as the service said it, without what is the sidecar's", async () => {
    answer = () =>
      Response.json(
        { id: "o-1" },
        {
          status: 202,
          headers: {
            location: "/api/orders/o-1",
            etag: '"1"',
            "dapr-x": "1",
            "keep-alive": "timeout=5",
            "access-control-allow-origin": "*",
          },
        },
      );
    const response = await app.edge("/api/orders", { method: "POST", body: {} });
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ id: "o-1" });
    expect(response.headers.get("location")).toBe("/api/orders/o-1");
    expect(response.headers.get("dapr-x")).toBeNull();
    expect(response.headers.get("keep-alive")).toBeNull();
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("a service's refusal is left as it is", async () => {
    const problem = {
      type: "urn:souk:problem:unknown-product",
      status: 422,
      code: "unknown-product",
      detail: "no",
    };
    answer = () =>
      Response.json(problem, { status: 422, headers: { "content-type": "application/problem+json" } });
    const response = await app.edge("/api/orders", { method: "POST", body: {} });
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual(problem);
  });

  test("OAuth's refusals are left as they are, and its client's credentials are not taken for a token", async () => {
    answer = () =>
      Response.json({ error: "invalid_client" }, { status: 401, headers: { "www-authenticate": "Basic" } });
    const response = await app.edge("/token", {
      method: "POST",
      body: "grant_type=client_credentials",
      headers: { authorization: "Basic YTpi" },
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ error: "invalid_client" });
    expect(last().headers.get("authorization")).toBe("Basic YTpi");
  });

  test("a sidecar's refusal of a call for users is not taken for identity's", async () => {
    answer = () => daprs(403, "ERR_DIRECT_INVOKE", "access denied: secret policy");
    const users = await app.edge("/api/users/u_1", { method: "PATCH", body: {} });
    expect(users.status).toBe(502);
    expect(await users.text()).not.toContain("policy");
  });

  test("a large body streams", async () => {
    const chunk = new TextEncoder().encode(`${"x".repeat(1023)}\n`);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent++ < 2_048) controller.enqueue(chunk);
        else controller.close();
      },
    });
    const response = await app.edge("/api/products/import", {
      method: "POST",
      body,
      headers: { "content-type": "application/x-ndjson" },
      scopes: ["catalog:write"],
    });
    expect(response.status).toBe(200);
    expect(last().body).toHaveLength(2_048 * 1_024);
  });

  test("a body that may be long is refused to who has no token before it is read", async () => {
    let read = 0;
    const body = new ReadableStream({ pull: () => void read++ }, { highWaterMark: 0 });
    const response = await app.edge("/api/products/import", { method: "POST", body });
    expect(response.status).toBe(401);
    expect(read).toBeLessThan(3);
    expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
    expect(got).toEqual([]);
  });

  test("server-sent events come as they are sent", async () => {
    let say: (text: string) => void = () => {};
    answer = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            say = (text) => controller.enqueue(new TextEncoder().encode(text));
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      );
    const response = await app.edge("/api/orders/1/events");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (const text of ["data: placed\n\n", "data: reserved\n\n"]) {
      say(text);
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(text);
    }
    await reader.cancel();
  });
});

describe("what does not go through", () => {
  test.each([
    ["GET", "/api/nothing", 404, "not-found"],
    ["GET", "/api/orders/1/secrets", 404, "not-found"],
    ["GET", "/orders", 404, "not-found"],
    ["GET", "/api//orders", 404, "not-found"],
    ["GET", "/v1.0/secrets/secrets/key", 404, "not-found"],
    ["GET", "/_events/catalog", 404, "not-found"],
    ["GET", "/dapr/subscribe", 404, "not-found"],
    ["DELETE", "/api/orders/1", 405, "method-not-allowed"],
    ["OPTIONS", "/api/products", 405, "method-not-allowed"],
    ["GET", "/token", 405, "method-not-allowed"],
    ["POST", "/", 405, "method-not-allowed"],
    ["GET", "/api/products/..%2F..%2Forders", 400, "invalid-path"],
    ["GET", "/api/orders/%00", 400, "invalid-path"],
    ["GET", "/api/orders/%zz", 400, "invalid-path"],
  ])("%s %s: %d %s", async (method, path, status, code) => {
    const response = await app.edge(path, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({ status, code });
    expect(got).toEqual([]);
  });

  test("says what could be done instead", async () => {
    const allowed = async (path: string): Promise<string | null> =>
      (await app.edge(path, { method: "TRACE" })).headers.get("allow");
    expect(await allowed("/api/products/A")).toBe("GET, HEAD, PUT, PATCH, DELETE");
    expect(await allowed("/api/orders/1/cancel")).toBe("POST");
  });

  test("a way by another is refused before anything is sent: a `..` is resolved first", async () => {
    await app.edge("/api/products/../orders/1");
    expect(last()).toMatchObject({ service: "orders", path: "/orders/1" });
    expect((await app.edge("/api/products/%2e%2e/%2e%2e/jwks")).status).toBe(200);
    expect(last()).toMatchObject({ service: "identity", path: "/jwks" });
  });

  test("a token that does not hold: 401", async () => {
    const response = await app.edge("/api/orders", { headers: { authorization: "Basic YTpi" } });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
    expect(got).toEqual([]);
  });

  test("bodies over the limit: 413, announced or not", async () => {
    const over = "x".repeat(1024 * 1024 + 1);
    expect((await app.edge("/api/orders", { method: "POST", body: over })).status).toBe(413);
    const body = new Blob([over]).stream();
    const response = await app.edge("/api/orders", { method: "POST", body });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "body-too-large" });
  });
});

describe("a service that does not answer", () => {
  test.each([
    [
      "is down",
      () => daprs(500, "ERR_DIRECT_INVOKE", "failed to invoke, id: orders, err: connection refused"),
      503,
      "service-unavailable",
    ],
    [
      "is unhealthy",
      () => daprs(503, "ERR_DIRECT_INVOKE", "app is not in a healthy state"),
      503,
      "service-unavailable",
    ],
    [
      "is killed while its sidecar waits for it",
      () => new Response(null, { status: 200, headers: { "x-answered-by": "" } }),
      503,
      "service-unavailable",
    ],
    ["is too slow", () => daprs(500, "ERR_DIRECT_INVOKE", "context deadline exceeded"), 504, "timed-out"],
    [
      "refuses the gateway",
      () => daprs(403, "ERR_DIRECT_INVOKE", "access denied: secret policy"),
      502,
      "bad-answer",
    ],
    ["fails in its own way", () => new Response("<h1>stack trace</h1>", { status: 500 }), 502, "bad-answer"],
  ])(
    "that %s: a problem, never the sidecar's words, and it is asked once",
    async (_what, given, status, code) => {
      answer = given;
      const response = await app.edge("/api/orders", { method: "POST", body: {} });
      expect(response.status).toBe(status);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      const text = await response.text();
      expect(JSON.parse(text)).toMatchObject({ code, instance: "/api/orders" });
      expect(text).not.toMatch(/ERR_|refused|secret|stack/);
      if (status === 503) expect(response.headers.get("retry-after")).toBe("2");
      expect(got).toHaveLength(1);
    },
  );

  test("its products are given from the cache for as long as nothing is known to have changed", async () => {
    await app.edge("/api/products/A");
    answer = () => daprs(500, "ERR_DIRECT_INVOKE", "connection refused");
    expect((await app.edge("/api/products/B")).status).toBe(503);
    expect((await app.edge("/api/products/A")).status).toBe(200);
  });
});

describe("the edge cache", () => {
  const read = async (
    path: string,
    headers = {},
  ): Promise<{ version: number; how: string | null; status: number }> => {
    const response = await app.edge(path, { headers });
    const how = response.headers.get("cache-status");
    return {
      status: response.status,
      how,
      version: response.status === 200 ? ((await response.json()) as { version: number }).version : 0,
    };
  };

  test("answers for a service, with its tag and age", async () => {
    expect(await read("/api/products/A")).toMatchObject({ version: 1, how: "edge; fwd=uri-miss" });
    version = 2;
    expect(await read("/api/products/A")).toMatchObject({ version: 1, how: "edge; hit" });
    expect(await read("/api/products/A", { "if-none-match": '"1"' })).toMatchObject({ status: 304 });
    expect(got).toHaveLength(1);
    const response = await app.edge("/api/products/A");
    expect(response.headers.get("age")).toBe("0");
    expect(response.headers.get("cache-control")).toBe("public, max-age=0, s-maxage=10");
  });

  test("answers HEAD without a body", async () => {
    const response = await app.edge("/api/products/A", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
    expect(response.headers.get("etag")).toBe('"1"');
  });

  test("asks the service without saying who asks: the answer is everybody's", async () => {
    await app.edge("/api/products/A", { scopes: ["catalog:write"], headers: { accept: "text/html" } });
    expect(last().headers.get("authorization")).toBeNull();
    expect(last().headers.get("accept")).not.toBe("text/html");
  });

  test.each([
    [
      "PUT",
      "/api/products/A",
      ["/api/products/A", "/api/products", "/api/products?search=x", "/api/categories"],
    ],
    ["PATCH", "/api/products/A", ["/api/products/A", "/api/products?limit=1"]],
    ["DELETE", "/api/products/A", ["/api/products/A", "/api/products"]],
    ["POST", "/api/products", ["/api/products", "/api/products?category=c"]],
    ["POST", "/api/products/import", ["/api/products/A", "/api/products"]],
    [
      "PUT",
      "/api/products/A%20%2F",
      [
        "/api/products/A%20%2f",
        "/api/products/A%20/".replace("/api/products/A%20/", "/api/products/%41%20%2F"),
      ],
    ],
  ])("%s %s is seen by the next read of %j", async (method, path, reads) => {
    for (const one of reads) expect(await read(one)).toMatchObject({ version: 1 });
    version = 2;
    for (const one of reads) expect(await read(one)).toMatchObject({ version: 1, how: "edge; hit" });
    await app.edge(path, { method, body: {} });
    for (const one of reads) expect(await read(one)).toMatchObject({ version: 2 });
  });

  test("gives up its copy also when it is not known what became of the change", async () => {
    await read("/api/products/A");
    version = 2;
    answer = () => daprs(500, "ERR_DIRECT_INVOKE", "EOF");
    expect((await app.edge("/api/products/A", { method: "PUT", body: {} })).status).toBe(503);
    answer = answersOf;
    expect(await read("/api/products/A")).toMatchObject({ version: 2 });
  });

  const sku = "A";
  test.each([
    ["product.created", () => app.deliver(ProductCreated, { sku }), "/api/products"],
    ["product.updated", () => app.deliver(ProductUpdated, { sku }), "/api/products/A"],
    ["product.updated", () => app.deliver(ProductUpdated, { sku }), "/api/products?search=a"],
    ["product.deleted", () => app.deliver(ProductDeleted, { sku }), "/api/products/A"],
  ])("gives up its copy at %s", async (_type, deliver, path) => {
    await read(path);
    await read("/api/products/other");
    version = 2;
    expect(await deliver()).toBe("SUCCESS");
    expect(await deliver()).toBe("SUCCESS");
    expect(await read(path)).toMatchObject({ version: 2 });
    expect(await read("/api/products/other")).toMatchObject({ version: 1, how: "edge; hit" });
  });

  test("keeps nothing of stock, which changes with every order", async () => {
    await read("/api/stock/A");
    version = 2;
    expect(await read("/api/stock/A")).toMatchObject({ version: 2 });
  });

  test("keeps no refusal", async () => {
    const missing = { status: 404, headers: { "content-type": "application/problem+json" } };
    answer = () => Response.json({ code: "not-found" }, missing);
    expect(await read("/api/products/A")).toMatchObject({ status: 404 });
    answer = answersOf;
    expect(await read("/api/products/A")).toMatchObject({ status: 200 });
  });
});

describe("what every answer carries", () => {
  test.each([
    ["/", {}],
    ["/health", {}],
    ["/api/products", {}],
    ["/api/nothing", {}],
    ["/api/orders", { headers: { authorization: "Bearer !" } }],
  ])("%s: protection, and nothing for other sites", async (path, options) => {
    const { headers } = await app.edge(path, {
      ...options,
      headers: { origin: "https://evil.example", ...("headers" in options ? options.headers : {}) },
    });
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(headers.get("server")).toBeNull();
  });
});

describe("more than a service can take", () => {
  /** A gateway before services that answer nothing until they are let go. */
  async function stuck() {
    const { promise, resolve } = Promise.withResolvers<void>();
    const env = { RATE_LIMITS: "off" };
    const one = await testService(service, { folder: import.meta.dir, others: invoked, env });
    await one.edge("/api/products/A");
    answer = async (request) => {
      if (request.path !== "/ready") await promise;
      return answersOf(request);
    };
    return { one, letGo: resolve };
  }
  const statuses = async (asked: Promise<Response>[]): Promise<Record<number, number>> => {
    const all = (await Promise.all(asked)).map(({ status }) => status);
    return Object.fromEntries(
      [...Map.groupBy(all, (status) => status)].map(([of, some]) => [of, some.length]),
    );
  };

  test("is refused soon, with the time to come back; what was let through is answered", async () => {
    const { one, letGo } = await stuck();
    const ask = () => one.edge("/api/orders", { method: "POST", body: {} });
    const asked = Array.from({ length: 2_000 }, ask);
    const refused = asked.slice(1_064);
    expect(await statuses(refused)).toEqual({ 503: 936 });
    const problem = await (refused[0] as Promise<Response>);
    expect(problem.headers.get("content-type")).toBe("application/problem+json");
    expect(problem.headers.get("retry-after")).toMatch(/^[123]$/);
    expect(await problem.json()).toMatchObject({ code: "overloaded", instance: "/api/orders" });

    const metrics = await (await one.edge("/metrics")).text();
    expect(metrics).toMatch(/souk_gateway_under_way\{to="orders",service="gateway"\} 64/);
    const figure = (name: string) => Number(new RegExp(`${name}{to="orders",.*} (\\d+)`).exec(metrics)?.[1]);
    // On a slow machine some may have waited too long by now.
    expect(figure("souk_gateway_waiting") + figure("souk_gateway_refused_total")).toBe(1_936);
    expect(figure("souk_gateway_refused_total")).toBeGreaterThanOrEqual(936);

    // The way to the others, what is in the cache, and what the gateway says of itself stay open.
    expect((await one.edge("/api/products/A")).headers.get("cache-status")).toContain("hit");
    for (const path of ["/", "/health", "/ready", "/metrics"])
      expect((await one.edge(path)).status).toBe(200);
    letGo();
    const ends = await statuses(asked);
    expect((ends[200] ?? 0) + (ends[503] ?? 0)).toBe(2_000);
    expect(ends[200]).toBeGreaterThanOrEqual(64);
    expect((await ask()).status).toBe(200);
    await one.stop();
  });

  test("a read whose copy is old gets that copy", async () => {
    const now = Date.now;
    let ahead = 0;
    Date.now = () => now() + ahead;
    const { one, letGo } = await stuck();
    const flood = Array.from({ length: 1_064 }, (_, i) => one.edge(`/api/products/${i}`));
    try {
      ahead = 11_000;
      const response = await one.edge("/api/products/A");
      expect([response.status, response.headers.get("cache-status")]).toEqual([
        200,
        "edge; hit; detail=outage",
      ]);
    } finally {
      Date.now = now;
    }
    letGo();
    await Promise.all(flood);
    await one.stop();
  });

  test("bodies that go on as they come have few places, and no queue", async () => {
    const { one, letGo } = await stuck();
    const send = () =>
      one.edge("/api/products/import", {
        method: "POST",
        body: new Blob(["x".repeat(70_000)]).stream(),
        headers: { "content-type": "application/x-ndjson" },
        scopes: ["catalog:write"],
      });
    const first = Array.from({ length: 16 }, send);
    expect((await send()).status).toBe(503);
    letGo();
    expect(await statuses(first)).toEqual({ 200: 16 });
    expect((await send()).status).toBe(200);
    await one.stop();
  });

  test("who follows an order has a place for as long as they listen", async () => {
    const env = { BUN_CONFIG_MAX_HTTP_REQUESTS: "400" };
    const one = await testService(service, { folder: import.meta.dir, others: invoked, env });
    answer = () => new Response(new ReadableStream({}), { headers: { "content-type": "text/event-stream" } });
    const follow = () => one.edge("/api/orders/1/events");
    const places = await Promise.all(Array.from({ length: 100 }, follow));
    expect((await follow()).status).toBe(503);
    await places[7]?.body?.cancel();
    expect((await follow()).status).toBe(200);
    expect((await follow()).status).toBe(503);
    answer = answersOf;
    expect((await one.edge("/api/orders/1")).status).toBe(200);
    await one.stop();
  });
});

describe("what the gateway says of the shop", () => {
  const parts = [...behind, "broker", "sidecar"].sort();
  const fresh = () => testService(service, { folder: import.meta.dir, others: invoked });

  test("ready: every part by name", async () => {
    const one = await fresh();
    const response = await one.edge("/ready");
    expect(response.status).toBe(200);
    const said = (await response.json()) as {
      status: string;
      dependencies: Record<string, { status: string }>;
    };
    expect(said.status).toBe("ready");
    expect(Object.keys(said.dependencies).sort()).toEqual(parts);
    await one.stop();
  });

  test.each([
    [
      "payments",
      (r: Got) => (r.service === "payments" ? daprs(500, "ERR_DIRECT_INVOKE", "refused") : answersOf(r)),
      "it cannot be reached",
    ],
    [
      "orders",
      (r: Got) =>
        r.service === "orders"
          ? Response.json(
              { dependencies: { database: { status: "down", detail: "disk full" } } },
              { status: 503 },
            )
          : answersOf(r),
      "database: disk full",
    ],
    [
      "broker",
      (r: Got) =>
        r.service === "orders"
          ? Response.json({ dependencies: { broker: { status: "down", detail: "3 events wait" } } })
          : answersOf(r),
      "3 events wait",
    ],
  ])("not ready: %s, and why; the page says it too", async (name, given, detail) => {
    answer = given;
    const one = await fresh();
    const response = await one.edge("/ready");
    expect(response.status).toBe(503);
    const { dependencies } = (await response.json()) as {
      dependencies: Record<string, { status: string; detail?: string }>;
    };
    expect(dependencies[name]).toEqual({ status: "down", detail });
    expect(Object.values(dependencies).filter(({ status }) => status === "down")).toHaveLength(1);
    const page = await (await one.edge("/")).text();
    expect(page).toContain(detail);
    expect(page).toContain("Something is down");
    await one.stop();
  });

  test("the page names every part, runs no script, and is allowed its own style only", async () => {
    const response = await app.edge("/");
    expect(response.headers.get("content-type")).toStartWith("text/html");
    const page = await response.text();
    for (const name of parts.filter((part) => part !== "sidecar")) expect(page).toContain(`>${name}</th>`);
    expect(page).toStartWith("<!doctype html>");
    expect(page).toContain('<html lang="en">');
    expect(page).not.toMatch(/<script|style=|onclick/);
    const policy = response.headers.get("content-security-policy") ?? "";
    const sheet = /<style>([\s\S]*)<\/style>/.exec(page)?.[1] ?? "";
    expect(policy).toContain(`'sha256-${new Bun.CryptoHasher("sha256").update(sheet).digest("base64")}'`);
    expect(policy).not.toContain("unsafe");
    for (const [, href] of page.matchAll(/href="([^"]+)"/g))
      expect((await app.edge(href ?? "")).status, href).toBe(200);
  });

  test("what a part says is text on the page", async () => {
    answer = () =>
      Response.json(
        { dependencies: { x: { status: "down", detail: "<script>alert(1)</script>" } } },
        { status: 503 },
      );
    const one = await fresh();
    expect(await (await one.edge("/")).text()).not.toContain("<script>");
    await one.stop();
  });

  test("metrics count by route, not by path", async () => {
    await app.edge("/api/products/with-an-id");
    const text = await (await app.edge("/metrics")).text();
    expect(text).toContain('route="/api/products/:sku"');
    expect(text).not.toContain("with-an-id");
  });
});

test("every way has a path of its own", () => {
  expect(new Set(ways.map(({ path }) => path)).size).toBe(ways.length);
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type RequestOptions, type TestService, testService } from "chassis/testing";
import { deadLetterPaths } from "./dead-letters.ts";
import type { Memory } from "./edge.ts";
import { isOurs } from "./hosts.ts";
import service from "./service.ts";
import { sessionPaths } from "./session-routes.ts";
import { ways } from "./ways.ts";

const others = (request: Request): Response => {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/v1.0/state")) return new Response(null, { status: 204 });
  const headers = { server: "inside", "x-powered-by": "inside", via: "1.1 inside" };
  return Response.json({ a: 1 }, { headers });
};
const gateway = (env: Record<string, string> = {}) =>
  testService(service, { folder: import.meta.dir, others, env: { RATE_LIMITS: "off", ...env } });

/** Every way in, each with every method that it may have and one that it may not. */
const everywhere = [
  ...["/", "/health", "/ready", "/metrics", "/nothing"].map((path) => ({ path, methods: ["GET"] })),
  ...ways,
  ...deadLetterPaths,
  ...sessionPaths,
].flatMap(({ path, methods }) =>
  [...methods, "TRACE"].map((method): [string, string] => [
    method,
    path.replace(/:service/, "orders").replace(/:\w+/g, "x"),
  ]),
);

describe.each(["http://shop.test", "https://shop.test"])("at %s", (publicUrl) => {
  let app: TestService<Memory>;
  beforeAll(async () => {
    app = await gateway({ PUBLIC_URL: publicUrl });
  });
  afterAll(() => app.stop());

  test.each(everywhere)(
    "%s %s answers with every protection, and with nothing about what is behind",
    async (method, path) => {
      const asked: RequestOptions[] = [{}, { scopes: ["ops"] }, { headers: { authorization: "Bearer !" } }];
      for (const options of asked) {
        const { headers, status } = await app.edge(path, {
          method,
          ...(method === "GET" || method === "TRACE" ? {} : { body: {} }),
          ...options,
          headers: { origin: "https://evil.example", ...options.headers },
        });
        const policy = headers.get("content-security-policy") ?? "";
        expect(policy).toContain("default-src 'none'");
        expect(policy).toContain("frame-ancestors 'none'");
        expect(policy).not.toContain("unsafe");
        expect(headers.get("x-content-type-options")).toBe("nosniff");
        expect(headers.get("x-frame-options")).toBe("DENY");
        expect(headers.get("referrer-policy")).toBe("no-referrer");
        expect(headers.get("permissions-policy")).toContain("camera=()");
        expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
        expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
        // Nothing here says that it may be kept.
        expect(headers.get("cache-control"), `${status}`).toBe("no-store");
        expect(headers.get("strict-transport-security") !== null).toBe(publicUrl.startsWith("https:"));
        for (const name of ["server", "x-powered-by", "via", "access-control-allow-origin"])
          expect(headers.get(name)).toBeNull();
      }
    },
  );
});

describe("the Host header", () => {
  const status = async (host: string, env = {}, path = "/api/products"): Promise<number> => {
    const app = await gateway(env);
    const answer = await app.edge(path, { headers: { host } });
    await app.stop();
    return answer.status;
  };

  test.each([
    "shop.test",
    "SHOP.test:8080",
    "shop.test.",
    "localhost:1",
    "127.0.0.1",
    "[::1]:80",
    "a.localhost",
  ])("%s is ours", async (host) => expect(await status(host)).toBe(200));
  test.each(["evil.example", "shop.test.evil.example", "localhost.evil.example", "127.0.0.1.evil.example"])(
    "%s is another's",
    async (host) => expect(await status(host)).toBe(421),
  );
  test.each([
    "a, b",
    "shop.test, shop.test",
    "a/b",
    "u@shop.test",
    "a b",
    "shop.test#",
    "shop.test\\x",
    "",
    "a:b:c",
  ])("%j is none", async (host) => expect(await status(host)).toBe(400));
  test("may be another that is named, and whatever it is for probes", async () => {
    expect(await status("gateway.default.svc", { ALLOWED_HOSTS: "a.example gateway.default.svc" })).toBe(200);
    expect(await status("gateway.default.svc", {}, "/health")).toBe(200);
    expect(isOurs("evil.example", { publicUrl: "http://shop.test", env: { ALLOWED_HOSTS: "" } })).toBe(false);
  });
});

describe("requests under way", () => {
  test("of one network have so many places and no more; who listens keeps theirs until they stop", async () => {
    const app = await testService(service, {
      folder: import.meta.dir,
      others: () =>
        new Response(new ReadableStream({}), { headers: { "content-type": "text/event-stream" } }),
      env: { REQUESTS_AT_ONCE: "5" },
    });
    const follow = () => app.edge("/api/orders/1/events");
    const places: Response[] = [];
    for (let i = 0; i < 5; i++) places.push(await follow());
    const refused = await app.edge("/");
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
      429,
      "too-many-at-once",
    ]);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(app.store.crowd.underWay).toBe(5);
    await places[2]?.body?.cancel();
    expect((await follow()).status).toBe(200);
    expect((await follow()).status).toBe(429);
    await Promise.all(places.map((place) => place.body?.cancel()));
    expect(app.store.crowd.underWay).toBe(1);
    await app.stop();
  });

  test("that fail give their place back as well", async () => {
    const app = await gateway({ REQUESTS_AT_ONCE: "1" });
    for (const path of ["/nothing", "/api/orders/%00", "/"]) await app.edge(path);
    await app.edge("/api/orders", { method: "POST", body: "x".repeat(2_000_000) });
    expect(app.store.crowd.underWay).toBe(0);
    expect((await app.edge("/api/products")).status).toBe(200);
    await app.stop();
  });
});

import { afterEach, describe, expect, test } from "bun:test";
import { type RequestOptions, type TestService, testService } from "chassis/testing";
import { type Budget, budgetOf, budgets, limitsOf } from "./budgets.ts";
import type { Memory } from "./edge.ts";
import { network } from "./limiter.ts";
import service from "./service.ts";
import { sharedState } from "./state.fixture.ts";
import { ways } from "./ways.ts";

const started: TestService<Memory>[] = [];
afterEach(async () => {
  for (const one of started.splice(0)) await one.stop();
});

/** The state store of a sidecar in memory; everything else of the shop answers with nothing. */
const others = (store?: (request: Request) => Promise<Response>) => async (request: Request) => {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/v1.0/state/"))
    return store?.(request) ?? Response.json({ errorCode: "ERR_STATE_STORE_NOT_FOUND" }, { status: 400 });
  return Response.json({ items: [] });
};

async function gateway(
  env: Record<string, string>,
  options: { store?: (request: Request) => Promise<Response>; now?: () => number } = {},
) {
  const one = await testService(service, {
    folder: import.meta.dir,
    others: others(options.store),
    env: { RATE_LIMITS: "off", ...env },
    now: options.now,
  });
  started.push(one);
  return one;
}

const statuses = async (
  one: TestService<Memory>,
  times: number,
  path: string,
  options?: RequestOptions,
): Promise<number[]> => {
  const seen: number[] = [];
  for (let i = 0; i < times; i++) seen.push((await one.edge(path, options)).status);
  return seen;
};

/** Waits until something holds. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error("not in time");
    await Bun.sleep(5);
  }
}

describe("a limit", () => {
  test("is told, and kept for each client on its own", async () => {
    const one = await gateway({ RATE_LIMIT_READS: "address=2 client=3" });
    const ask = (caller?: string) => one.edge("/api/products", caller ? { caller, scopes: ["ops"] } : {});
    const first = await ask();
    expect(first.headers.get("ratelimit-policy")).toBe('"reads-address";q=2;w=60');
    expect(first.headers.get("ratelimit")).toMatch(/^"reads-address";r=1;t=\d+$/);
    await ask();
    const refused = await ask();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("ratelimit")).toContain("r=0");
    expect(refused.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await refused.json()).toMatchObject({ code: "too-many-requests" });
    for (const status of [200, 200, 200, 429]) expect((await ask("one")).status).toBe(status);
    expect((await ask("two")).status).toBe(200);
    expect((await one.edge("/health")).status).toBe(200);
    const metrics = await (await one.edge("/metrics")).text();
    expect(metrics).toMatch(/souk_gateway_limited_total\{limit="reads-address",service="gateway"\} 1/);
  });

  test("slides: who waits as long as they were told gets through again", async () => {
    let now = 1_800_000_000_000;
    const one = await gateway({ RATE_LIMIT_READS: "address=2" }, { now: () => now });
    expect(await statuses(one, 2, "/api/categories")).toEqual([200, 200]);
    const refused = await one.edge("/api/categories");
    expect(refused.status).toBe(429);
    now += (Number(refused.headers.get("retry-after")) - 1) * 1_000;
    expect((await one.edge("/api/categories")).status).toBe(429);
    now += 1_000;
    expect((await one.edge("/api/categories")).status).toBe(200);
  });

  test("of one thing leaves the others as they are", async () => {
    const one = await gateway({
      RATE_LIMIT_SIGN_IN: "address=1",
      RATE_LIMIT_CHECKOUT: "address=1",
      RATE_LIMIT_CHANGES: "address=1",
      RATE_LIMIT_READS: "address=1",
    });
    const post = { method: "POST", body: "a=b" };
    expect(await statuses(one, 2, "/token", post)).toEqual([200, 429]);
    expect(await statuses(one, 2, "/api/orders", post)).toEqual([200, 429]);
    expect(await statuses(one, 2, "/api/orders/1/cancel", post)).toEqual([200, 429]);
    expect(await statuses(one, 2, "/api/categories")).toEqual([200, 429]);
    expect((await one.edge("/interaction/1", post)).status).toBe(429);
  });

  test("of tokens that do not hold stops whoever guesses, and nobody without a token", async () => {
    const one = await gateway({ RATE_LIMIT_BAD_TOKENS: "address=3" });
    const bad = { headers: { authorization: "Bearer nonsense" } };
    expect(await statuses(one, 4, "/api/orders", bad)).toEqual([401, 401, 401, 429]);
    expect((await one.edge("/api/orders", { scopes: ["orders:manage"] })).status).toBe(429);
    expect((await one.edge("/api/products")).status).toBe(200);
  });

  test("holds for an address however many paths there are, also those that lead nowhere", async () => {
    const one = await gateway({ RATE_LIMIT_READS: "address=3" });
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) seen.push((await one.edge(`/nothing/${i}`)).status);
    expect(seen).toEqual([404, 404, 404, 429]);
  });
});

describe("two gateways with one state store", () => {
  const limits = { RATE_LIMIT_READS: "address=10", RATE_LIMIT_SHARED_EVERY_MS: "5" };
  const sharing = async () => {
    const state = sharedState();
    const store = state.answer;
    const now = () => 1_800_000_000_000;
    return [await gateway(limits, { store, now }), await gateway(limits, { store, now }), state] as const;
  };
  const left = async (one: TestService<Memory>): Promise<number> =>
    Number(/r=(\d+)/.exec((await one.edge("/api/categories")).headers.get("ratelimit") ?? "")?.[1]);

  const usedUp = (one: TestService<Memory>, who = network("")): boolean => {
    try {
      one.store.limits.ensure(1_800_000_000_000, "reads", "address", who);
      return false;
    } catch {
      return true;
    }
  };

  test("count together: what one has let through, the other does not", async () => {
    const [first, second] = await sharing();
    expect(await statuses(first, 10, "/api/categories")).toEqual(Array(10).fill(200));
    // It hears of the others when it is asked something itself.
    await second.edge("/api/categories");
    await until(() => usedUp(second));
    expect((await second.edge("/api/categories")).status).toBe(429);
    expect((await first.edge("/api/categories")).status).toBe(429);
    expect((await second.edge("/api/categories", { caller: "one", scopes: ["ops"] })).status).toBe(200);
  });

  test("each adds its own to the other's, and nothing twice", async () => {
    const [first, second, state] = await sharing();
    const left = (one: TestService<Memory>) =>
      one.store.limits.left("reads-address", network(""), 1_800_000_000_000);
    expect(await statuses(first, 4, "/api/categories")).toEqual(Array(4).fill(200));
    await until(() => state.text().includes('"reads-address ":4'));
    expect(await statuses(second, 5, "/api/categories")).toEqual(Array(5).fill(200));
    await until(() => state.text().includes('"reads-address ":9'));
    await until(() => left(second) === 1);
    expect((await first.edge("/api/categories")).status).toBe(200);
    await until(() => left(first) === 0);
    expect(state.text()).toContain('"reads-address ":10');
  });

  test("tell what was counted while they told the rest, even if nothing more comes", async () => {
    const state = sharedState();
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const store = async (request: Request) => {
      asked.resolve();
      await gate.promise;
      return state.answer(request);
    };
    const one = await gateway(limits, { store, now: () => 1_800_000_000_000 });
    await one.edge("/api/categories");
    await asked.promise;
    expect(await statuses(one, 5, "/api/categories")).toEqual(Array(5).fill(200));
    gate.resolve();
    await until(() => state.text().includes('"reads-address ":6'));
  });

  test("one goes on by itself while there is no store, and says so", async () => {
    const one = await gateway(limits);
    const shared = async () =>
      /souk_gateway_limits_shared\{.*\} (\d)/.exec(await (await one.edge("/metrics")).text())?.[1];
    expect(await left(one)).toBe(9);
    await until(async () => (await shared()) === "0");
    expect(await left(one)).toBe(8);
  });
});

test("the limits of checkout can be changed while the gateway runs; what was counted stays counted", async () => {
  const one = await gateway({ RATE_LIMIT_CHECKOUT: "address=4 user=9" });
  const ask = async () => {
    const { status, headers } = await one.edge("/api/orders", { method: "POST", body: {} });
    return [status, headers.get("ratelimit-policy")];
  };
  const policy = (most: number) => `"checkout-address";q=${most};w=60`;
  expect(await ask()).toEqual([200, policy(4)]);
  await one.set("rate-limits.checkout", "address=2");
  expect(await ask()).toEqual([200, policy(2)]);
  expect(await ask()).toEqual([429, policy(2)]);
  // Of nobody else, and what does not fit changes nothing.
  expect((await one.edge("/api/products")).headers.get("ratelimit-policy")).toBeNull();
  await one.set("rate-limits.checkout", "adress=5");
  expect(await ask()).toEqual([429, policy(2)]);
  await one.set("rate-limits.checkout", "address=5");
  expect(await ask()).toEqual([200, policy(5)]);
  await one.set("rate-limits.checkout", "off");
  expect(await ask()).toEqual([200, null]);
  await one.set("rate-limits.checkout", undefined);
  expect(await ask()).toEqual([200, policy(4)]);
});

describe("the settings", () => {
  test("are read, and what is not named keeps its default", () => {
    expect(limitsOf({ env: { RATE_LIMIT_READS: "user=5,client=0" } }, "reads")).toMatchObject({
      address: 3_000,
      user: 5,
      client: 0,
    });
    expect(limitsOf({ env: { RATE_LIMIT_SIGN_IN: "off" } }, "sign-in")).toEqual({});
    expect(limitsOf({ env: { RATE_LIMITS: "off" } }, "checkout")).toEqual({});
    expect(limitsOf({ env: { RATE_LIMITS: "off", RATE_LIMIT_READS: "user=5" } }, "reads")).toEqual({
      user: 5,
    });
    for (const budget of budgets) expect(limitsOf({ env: {} }, budget).address).toBeGreaterThan(0);
  });

  test.each([
    [{ RATE_LIMIT_READS: "5" }, "RATE_LIMIT_READS"],
    [{ RATE_LIMIT_READS: "address=-1" }, "RATE_LIMIT_READS"],
    [{ RATE_LIMIT_READS: "ip=3" }, "RATE_LIMIT_READS"],
    [{ RATE_LIMITS: "none" }, "RATE_LIMITS"],
  ])("%j is refused by name", (env, name) => {
    expect(() => limitsOf({ env }, "reads")).toThrow(name);
  });

  test.each<[string, string, Budget]>([
    ["POST", "/token", "sign-in"],
    ["POST", "/token/introspection", "changes"],
    ["GET", "/auth", "sign-in"],
    ["POST", "/interaction/x/login", "sign-in"],
    ["GET", "/session/sign-in", "sign-in"],
    ["GET", "/session/callback", "sign-in"],
    ["GET", "/session", "reads"],
    ["POST", "/session/sign-out", "changes"],
    ["GET", "/authors", "reads"],
    ["POST", "/api/users", "sign-in"],
    ["PATCH", "/api/users/u_1", "sign-in"],
    ["GET", "/api/users/me", "reads"],
    ["POST", "/forgot-password", "sign-in"],
    ["POST", "/api/orders", "checkout"],
    ["PUT", "/api/carts/c/lines/A", "checkout"],
    ["POST", "/api/quotes", "checkout"],
    ["POST", "/api/orders/1/cancel", "changes"],
    ["DELETE", "/api/products/A", "changes"],
    ["GET", "/api/orders", "reads"],
    ["POST", "/api/payments/webhooks/stripe", "webhooks"],
    ["POST", "/api/shipping/webhooks/royal-mail", "webhooks"],
    ["POST", "/api/webhooks", "changes"],
  ])("%s %s counts as %s", (method, path, budget) => {
    expect(budgetOf(method, path)).toBe(budget);
  });

  test("every way in has a budget of its own kind: what is none of its own is a read or a change", () => {
    const counted = ways.flatMap(({ path, methods }) => methods.map((method) => budgetOf(method, path)));
    expect(new Set(counted)).toEqual(
      new Set<Budget>(["sign-in", "checkout", "reads", "changes", "webhooks"]),
    );
  });
});

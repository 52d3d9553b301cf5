import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { customer, type TestShop, testShop } from "../e2e/shop.ts";
import { allRoutes, cellOf, type Role, rolesFor } from "./authorisation.ts";
import { bodiesOf } from "./rig.ts";
import { publicJwk, rightClaims, token } from "./tokens.ts";

// A sample of the table through a real shop: gateway, sidecars, policies and all. The users' tokens are of an issuer
// that the shop is told to trust.

const keys = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ keys: [publicJwk] }) });
const issuer = `http://127.0.0.1:${keys.port}`;

let it: TestShop;
beforeAll(async () => {
  const trusted = [{ issuer, algorithm: "RS256", jwksUri: `${issuer}/jwks` }];
  it = await testShop({ TRUSTED_ISSUERS: JSON.stringify(trusted) });
}, 240_000);
afterAll(async () => {
  await it?.stop();
  await keys.stop(true);
});

// Dead letters are asked for through the ways that the gateway has to them.
const routes = (await allRoutes()).filter(
  ({ public: path, service }) =>
    path !== undefined && (service === "gateway" || !path.startsWith("/api/dead-letters")),
);
const { people, machines } = rolesFor(routes);
const customers = ["orders:read", "orders:write"];

/** A token as identity would give it. */
function tokenOf(sub: string, scopes: readonly string[], client = "web"): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    sub,
    client_id: client,
    scope: scopes.join(" "),
    iat: now - 5,
    exp: now + 600,
  };
  return token({ claims: { ...rightClaims, ...claims } });
}

interface Asked {
  method?: string;
  body?: unknown;
  as?: string;
  headers?: Record<string, string>;
}

async function ask(path: string, { method = "GET", body, as, headers }: Asked = {}) {
  const response = await fetch(`${it.shop.url}${path}`, {
    method,
    redirect: "manual",
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

describe("two customers and a guest", () => {
  test("reach what is their own: orders, and what became of the money", async () => {
    const sku = await it.product({ onHand: 100 });
    const [ada, eve] = [await tokenOf("u_ada", customers), await tokenOf("u_eve", customers)];
    const place = async (as?: string) => {
      const body = { ...customer, lines: [{ sku, quantity: 1 }] };
      const { status, text } = await ask("/api/orders", { method: "POST", body, as });
      expect(status).toBe(202);
      const order = JSON.parse(text) as { id: string; orderKey?: string };
      expect(await it.settled(order)).toMatchObject({ status: "confirmed" });
      return order;
    };
    const [adas, eves, guests] = [await place(ada), await place(eve), await place()];
    const status = async (path: string, asked: Asked = {}) => (await ask(path, asked)).status;

    for (const path of [`/api/orders/${adas.id}`, `/api/payments/${adas.id}`]) {
      expect([path, await status(path, { as: ada })]).toEqual([path, 200]);
      expect([path, await status(path, { as: eve })]).toEqual([path, 404]);
      const { text } = await ask(path, { as: eve });
      const none = await ask(path.replace(adas.id, "nothing"), { as: eve });
      const bare = (answer: string): string =>
        answer.replaceAll(adas.id, "nothing").replace(/"traceId":"\w+"/, "");
      expect(bare(text)).toBe(bare(none.text));
    }
    expect(await status(`/api/orders/${adas.id}`)).toBe(404);
    expect(await status(`/api/payments/${adas.id}`)).toBe(401);
    expect(await status(`/api/payments/${guests.id}`, { as: eve })).toBe(404);
    const key = { "order-key": guests.orderKey ?? "" };
    expect(await status(`/api/orders/${guests.id}`, { headers: key })).toBe(200);
    expect(await status(`/api/orders/${adas.id}`, { headers: key })).toBe(404);
    expect(await status(`/api/orders/${adas.id}/cancel`, { method: "POST", as: eve })).toBe(404);

    const listed = JSON.parse((await ask("/api/orders?limit=100", { as: eve })).text) as {
      items: { id: string }[];
    };
    expect(listed.items.map(({ id }) => id)).toEqual([eves.id]);
    const staff = await tokenOf("u_staff", people.find(({ name }) => name === "staff")?.scopes ?? []);
    const all = JSON.parse((await ask("/api/orders?limit=100", { as: staff })).text) as {
      items: { id: string }[];
    };
    expect(all.items.map(({ id }) => id)).toEqual(expect.arrayContaining([adas.id, eves.id, guests.id]));
  }, 120_000);

  test("do not say what something costs", async () => {
    const lines = [{ sku: "x", quantity: 1, unitPrice: { amount: 1, currency: "GBP" } }];
    const body = { ...customer, lines };
    const as = await tokenOf("u_ada", customers);
    expect((await ask("/api/orders", { method: "POST", body, as })).status).toBe(403);
    expect((await ask("/api/orders", { method: "POST", body })).status).toBe(403);
  });
});

describe("what the table refuses, the shop refuses", () => {
  test.each([...people, ...machines].map((role) => [role.name, role] as const))(
    "%s",
    async (_, role) => {
      const as = await bearerOf(role);
      const wrong: unknown[] = [];
      let refused = 0;
      for (const route of routes) {
        const wanted = cellOf(role, route);
        // Nothing that would be let through is asked for here: it might do something.
        if (wanted === "yes" || wanted === "own") continue;
        const path = (route.public ?? "").replace(":service", "orders").replace(/:\w+/g, "nothing");
        const body = bodiesOf(route.service)(route, {}, refused);
        const response = await fetch(`${it.shop.url}${path}`, {
          method: route.method,
          redirect: "manual",
          headers: {
            "if-match": "*",
            ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
            ...(body ? { "content-type": body.media } : {}),
          },
          ...(body ? { body: body.text } : {}),
        });
        const [{ status }, text] = [response, await response.text()];
        refused++;
        if (status !== wanted) wrong.push([route.method, path, wanted, status, text.slice(0, 200)]);
      }
      expect(wrong).toEqual([]);
      expect(refused).toBeGreaterThan(3);
    },
    60_000,
  );
});

function bearerOf(role: Role): Promise<string> | undefined {
  if (role.kind === "guest") return undefined;
  return role.kind === "user"
    ? tokenOf(`u_${role.name}`, role.scopes)
    : tokenOf("machine", role.scopes, "machine");
}

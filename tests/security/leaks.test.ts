import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { allRoutes, isItem, type Role, rolesFor, services } from "./authorisation.ts";
import { order, type Rig, rigOf, type Thing } from "./rig.ts";

// Ada and Bob are customers, Grace is a guest. Whatever Bob, Grace or nobody in particular asks, no answer holds
// anything of Ada's, nor tells whether it is there.

const routes = await allRoutes();
const { people } = rolesFor(routes);
const named = (name: string): Role => people.find((role) => role.name === name) as Role;
const bob = named("customer, own");
const guest = named("guest");
const grace = named("guest with its key");
const machine: Role = { name: "machine", kind: "client", scopes: bob.scopes };
const strangers: [string, Role][] = [
  ["another customer", bob],
  ["a guest", guest],
  ["a guest with the key of something else", grace],
  ["a machine with the same scopes", machine],
];

const rigs: Rig[] = [];
afterAll(() => Promise.all(rigs.map((rig) => rig.stop())));
async function open(service: string): Promise<Rig> {
  const rig = await rigOf(service);
  rigs.push(rig);
  return rig;
}

/** What of Ada's must not be in an answer to anybody else. */
const canaries = ["ada@example.com", "Lovelace", "1 Main Street", "u_other"];

interface Seen {
  status: number;
  headers: Record<string, string>;
  text: string;
}

/** An answer without what differs from one request to the next: its trace, and the id that was asked for. */
async function seen(response: Response, { params }: Thing): Promise<Seen> {
  let text = (await response.text()).replace(/"traceId":"[^"]*"/, "");
  // The longest first: one may begin with another.
  const ids = Object.values(params).toSorted((a, b) => b.length - a.length);
  for (const id of ids) text = text.replaceAll(id, "…");
  return { status: response.status, headers: Object.fromEntries(response.headers), text };
}

test("every path with an id that a contract names is asked below", () => {
  const known = new Set(routes.map(({ service, method, path }) => `${service} ${method} ${path}`));
  const missing = services.flatMap((service) => {
    const { paths } = JSON.parse(
      readFileSync(join(import.meta.dir, "../../services", service, "contract/openapi.json"), "utf8"),
    ) as { paths: Record<string, object> };
    return Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .map((method) => `${service} ${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`)
        .filter((name) => path.includes("{") && !known.has(name)),
    );
  });
  expect(missing).toEqual([]);
  expect(routes.filter(isItem).length).toBeGreaterThan(25);
});

describe.each(services.filter((service) => service !== "gateway"))("%s", async (service) => {
  const rig = await open(service);
  const withId = routes.filter((route) => route.service === service && isItem(route));
  if (withId.length === 0) return;

  describe.each(withId.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s",
    (_, route) => {
      test.each(strangers)("tells %s nothing", async (_, role) => {
        const adas = await rig.thing(route, "other");
        const others = await rig.thing(route, "guest");
        const of = { ...adas, ...(others.key === undefined ? {} : { key: others.key }) };
        const answer = await seen(await rig.ask(route, role, of), of);
        for (const canary of canaries) expect(JSON.stringify(answer)).not.toContain(canary);
        if (route.statement.open !== undefined) return;
        expect([401, 403, 404]).toContain(answer.status);
        expect(answer.headers).not.toHaveProperty("etag");
        const none = {
          ...of,
          params: Object.fromEntries(Object.keys(of.params).map((name) => [name, "nothing"])),
        };
        expect(answer).toEqual(await seen(await rig.ask(route, role, none), none));
      });
    },
  );
});

describe("orders", async () => {
  const rig = await open("orders");
  const { app } = rig;
  const customer = (caller: string) => ({ scopes: [...bob.scopes], caller, user: true });
  const ada = customer("u_other");
  const eve = customer("u_eve");
  const place = async (who: object, over: object = {}, headers: Record<string, string> = {}) => {
    const body = { ...order, ...over };
    const response = await app.request("/orders", { method: "POST", body, ...who, headers });
    return {
      status: response.status,
      replayed: response.headers.get("idempotent-replayed"),
      order: (await response.json()) as { id: string; orderKey?: string },
    };
  };
  const read = (id: string, who: object, headers: Record<string, string> = {}, method = "GET") =>
    app.request(`/orders/${id}`, { ...who, headers, method });
  const { order: adas } = await place(ada, { reference: "ada-1" });
  const { order: graces } = await place({}, { customer: { email: "grace@example.com", name: "Grace" } });
  const { order: adasGuest } = await place({});

  const listed = async (query: string, who: object) => {
    const response = await app.request(`/orders${query}`, who);
    const text = await response.text();
    for (const canary of canaries) expect(text).not.toContain(canary);
    return {
      status: response.status,
      ...(JSON.parse(text) as { items: unknown[]; nextCursor: string | null }),
    };
  };

  test.each([
    "",
    "?customer=ada@example.com",
    "?customer=u_other",
    "?customer=guest",
    "?reference=ada-1",
    "?status=placed",
    "?limit=100",
    "?customer=ada@example.com&status=placed&reference=ada-1",
  ])("a list of another shows none of hers: %s", async (query) => {
    expect(await listed(query, eve)).toEqual({ status: 200, items: [], nextCursor: null });
  });

  test("nor whether there are orders of others, and how far they are", async () => {
    const ids = [adas.id, graces.id, "nothing"].join(",");
    const statuses = async (who: object): Promise<unknown> =>
      (await app.request(`/order-statuses?ids=${ids}`, who)).json();
    expect(await statuses(eve)).toEqual({ items: [] });
    expect(await statuses(ada)).toMatchObject({ items: [{ id: adas.id }] });
    const keyed = await app.request(`/order-statuses?ids=${ids}`, {
      headers: { "order-key": graces.orderKey ?? "" },
    });
    expect(keyed.status).toBe(401);
  });

  test("nor from a place that her list or a forger has given", async () => {
    await place(ada);
    const first = (await (await app.request("/orders?limit=1", ada)).json()) as { nextCursor: string };
    const forged = [
      { at: Number.MAX_SAFE_INTEGER, id: "~" },
      { at: Number.MAX_SAFE_INTEGER, id: "", owner: "u_other" },
      { at: Number.MAX_SAFE_INTEGER, id: "' OR 1=1 --" },
    ].map((place) => Buffer.from(JSON.stringify(place)).toString("base64url"));
    for (const cursor of [first.nextCursor, ...forged])
      expect(await listed(`?cursor=${cursor}`, eve)).toEqual({ status: 200, items: [], nextCursor: null });
  });

  test("a list shows what is one's own", async () => {
    const { order: eves } = await place(eve);
    const { items } = (await (await app.request("/orders", eve)).json()) as { items: { id: string }[] };
    expect(items.map(({ id }) => id)).toEqual([eves.id]);
  });

  test("her ETag, or any, says nothing to others", async () => {
    const tag = (await read(adas.id, ada)).headers.get("etag") ?? "";
    expect((await read(adas.id, ada, { "if-none-match": tag })).status).toBe(304);
    for (const match of [tag, "*", `W/${tag}`]) {
      const response = await read(adas.id, eve, { "if-none-match": match });
      expect([response.status, response.headers.get("etag")]).toEqual([404, null]);
    }
  });

  test("HEAD tells as little as GET", async () => {
    const [hers, none] = [await read(adas.id, eve, {}, "HEAD"), await read("nothing", eve, {}, "HEAD")];
    expect([hers.status, Object.fromEntries(hers.headers)]).toEqual([
      none.status,
      Object.fromEntries(none.headers),
    ]);
  });

  test("her Idempotency-Key gives nobody her answer", async () => {
    const key = { "idempotency-key": "the-same" };
    const first = await place(ada, {}, key);
    expect(await place(ada, {}, key)).toMatchObject({ replayed: "true", order: { id: first.order.id } });
    for (const who of [eve, { scopes: ["orders:write"], caller: "u_other-client" }, {}]) {
      const other = await place(who, {}, key);
      expect([other.status, other.replayed]).toEqual([202, null]);
      expect(other.order.id).not.toBe(first.order.id);
    }
    // A client by her name is not her.
    const client = await place({ scopes: ["orders:write"], caller: "u_other" }, {}, key);
    expect(client.replayed).toBeNull();
    const path = `/orders/${adas.id}/cancel`;
    expect((await app.request(path, { method: "POST", ...ada, headers: key })).status).toBe(202);
    expect((await app.request(path, { method: "POST", ...eve, headers: key })).status).toBe(404);
    expect((await app.request(path, { method: "POST", headers: key })).status).toBe(404);
  });

  test("a key opens the one order that it was given out for", async () => {
    const key = { "order-key": graces.orderKey ?? "" };
    expect((await read(graces.id, {}, key)).status).toBe(200);
    for (const id of [adas.id, adasGuest.id, "nothing"]) expect((await read(id, {}, key)).status).toBe(404);
    for (const wrong of ["", "null", "undefined", `${key["order-key"]}x`, key["order-key"].slice(0, -1)])
      expect((await read(graces.id, {}, { "order-key": wrong })).status).toBe(404);
    expect((await read(graces.id, eve, { "order-key": "wrong" })).status).toBe(404);
  });

  test("nobody owns what guests have placed by being called so", async () => {
    // The verifier takes no such token; should one come past it, its holder owns nothing.
    const named = customer("guest");
    expect((await app.request(`/orders/${graces.id}`, named)).status).toBe(403);
    expect((await app.request("/orders", named)).status).toBe(403);
  });

  test("a unit price is for orders:manage alone", async () => {
    const lines = [{ sku: "S-1", quantity: 1, unitPrice: { amount: 1, currency: "GBP" } }];
    for (const who of [ada, {}, { scopes: ["orders:write"], caller: "machine" }])
      expect((await place(who, { lines })).status).toBe(403);
    expect((await place({ scopes: ["orders:manage"] }, { lines })).status).toBe(202);
  });

  test("events that could not be handled are for ops alone, whatever is in them", async () => {
    const [topic, type, id] = ["payments", "payment.captured", "dead-ada"];
    const data = { orderId: 7, email: "ada@example.com" };
    const event = { specversion: "1.0", id, source: "payments", type, data, time: "2026-01-01T00:00:00Z" };
    expect((await app.request(`/_events/${topic}`, { method: "POST", body: event })).status).toBe(200);
    const ops = { scopes: ["ops"] };
    expect(await (await app.request(`/dead-letters/${id}`, ops)).text()).toContain("ada@example.com");
    for (const who of [
      ada,
      eve,
      {},
      { scopes: named("staff").scopes as string[] },
      { scopes: ["orders:manage"] },
    ]) {
      for (const path of ["/dead-letters", `/dead-letters/${id}`, "/dead-letters?status=dead"]) {
        const response = await app.request(path, who);
        expect([401, 403]).toContain(response.status);
        expect(await response.text()).not.toContain("ada@example.com");
      }
    }
  });
});

describe("carts", async () => {
  const { app } = await open("carts");
  const customer = (caller: string) => ({ scopes: [...bob.scopes], caller, user: true });
  const begin = async (who: object): Promise<string> => {
    const response = await app.request("/carts", { method: "POST", body: {}, ...who });
    return ((await response.json()) as { id: string }).id;
  };
  const adas = await begin(customer("u_other"));

  test.each<[string, object]>([
    ["another customer", customer("u_eve")],
    ["a guest who knows its id", {}],
    ["a machine by her name", { scopes: ["orders:manage"], caller: "machine" }],
  ])("hers is not there for %s", async (_, who) => {
    const answers = await Promise.all([
      app.request(`/carts/${adas}`, who),
      app.request(`/carts/${adas}/lines/S-1`, { method: "DELETE", ...who }),
      app.request("/carts/mine/merge", { method: "POST", body: { cartId: adas }, ...who }),
    ]);
    // To merge one has to be somebody.
    const statuses = answers.map(({ status }) => status);
    expect(statuses.slice(0, 2)).toEqual([404, 404]);
    expect([401, 403, 404, 409]).toContain(statuses[2] ?? 0);
    expect((await app.request(`/carts/${adas}`, customer("u_other"))).status).toBe(200);
  });

  test("one's own is one's own", async () => {
    const eves = await (await app.request("/carts/mine", customer("u_eve"))).json();
    expect(eves).not.toMatchObject({ id: adas });
    expect((await app.request("/carts/mine")).status).toBe(401);
  });
});

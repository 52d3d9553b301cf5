import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type RequestOptions, type TestService, testService } from "chassis/testing";
import {
  PaymentDeclined,
  ProductCreated,
  RateRemoved,
  RateSet,
  StockRefused,
  StockReleased,
  StockReserved,
} from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;
let clock: number;
/** What carts was asked, and what it answers. */
let asked: { path: string; body: unknown }[];
let cart: () => Response;

interface Seen {
  id: string;
  code: string;
  detail: string;
  total: { amount: number };
  items: { id: string; code?: string; used: number }[];
  nextCursor: string | null;
  errors: { pointer: string; detail: string }[];
}

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const staff = { scopes: ["catalog:write"] };
const call = async (method: string, path: string, options: RequestOptions = {}) => {
  const response = await shop.request(path, { method, ...options });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === "" ? undefined : JSON.parse(text)) as Seen,
  };
};
const ten = { name: "Ten percent", kind: "percentage", basisPoints: 1_000 };
const begin = async (over: object = {}): Promise<string> => {
  const { status, body } = await call("POST", "/promotions", { ...staff, body: { ...ten, ...over } });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.id;
};
const tax = (place: string, body: object, headers: Record<string, string> = {}) =>
  call("PUT", `/tax-rates/${place}`, { ...staff, body, headers });
const newOrder = (over: Record<string, unknown> = {}) => ({
  lines: [{ sku: "TEA", quantity: 2 }],
  customer: { email: "ada@example.com", name: "Ada" },
  shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: "tok_ok" },
  ...over,
});
const place = (over: Record<string, unknown> = {}, who: RequestOptions = {}) =>
  call("POST", "/orders", { body: newOrder(over), ...who });
const user = (caller: string): RequestOptions => ({
  caller,
  user: true,
  scopes: ["orders:read", "orders:write"],
});
const quote = (over: Record<string, unknown> = {}, who: RequestOptions = {}) =>
  call("POST", "/quotes", { body: { lines: [{ sku: "TEA", quantity: 2 }], country: "GB", ...over }, ...who });
const used = async (id: string) =>
  (await call("GET", "/promotions", staff)).body.items.find((one) => one.id === id)?.used;

beforeEach(async () => {
  clock = Date.parse("2026-03-01T00:00:00Z");
  asked = [];
  cart = () => Response.json({ lines: [{ sku: "TEA", quantity: 2 }] });
  shop = await testService(orders, {
    folder: import.meta.dir,
    now: () => clock,
    async others(request) {
      const path = /\/invoke\/carts\/method(.*)$/.exec(new URL(request.url).pathname)?.[1];
      if (path === undefined) return undefined;
      asked.push({ path, body: await request.json() });
      return cart();
    },
  });
  const products = [
    { sku: "TEA", category: "Tea", taxClass: "reduced", weight: 300 },
    { sku: "MUG", category: "Mugs" },
    { sku: "WRAP", kind: "service" as const },
  ];
  for (const product of products)
    await shop.deliver(ProductCreated, {
      name: product.sku,
      price: gbp(1_000),
      kind: "physical",
      version: 1,
      ...product,
    });
});
afterEach(() => shop.stop());

describe("an order", () => {
  test("without promotions, taxes and shipping is as it always was", async () => {
    const { body } = await place();
    expect(Object.keys(body)).not.toContain("subtotal");
    expect(body).toMatchObject({ total: gbp(2_000) });
    expect(Object.keys((body as unknown as { lines: object[] }).lines[0] ?? {})).toEqual([
      "sku",
      "name",
      "quantity",
      "unitPrice",
      "total",
    ]);
  });

  test("says what was taken off, what tax there is, and what it comes to", async () => {
    const id = await begin({ code: "Tea10", on: { category: "Tea" } });
    await tax("GB/reduced", { basisPoints: 500, included: false });
    await tax("GB/standard", { basisPoints: 2_000, included: true });
    const lines = [
      { sku: "TEA", quantity: 2 },
      { sku: "MUG", quantity: 1 },
    ];
    const { status, body } = await place({ lines, codes: ["tEA10"] });
    expect([status, body]).toEqual([
      202,
      expect.objectContaining({
        lines: [
          expect.objectContaining({
            unitPrice: gbp(1_000),
            total: gbp(2_000),
            discount: gbp(200),
            tax: gbp(90),
          }),
          expect.objectContaining({ total: gbp(1_000), discount: gbp(0), tax: gbp(167) }),
        ],
        subtotal: gbp(3_000),
        discount: gbp(200),
        tax: gbp(257),
        shipping: gbp(0),
        total: gbp(2_890),
        promotions: [{ id, name: "Ten percent", code: "Tea10", amount: gbp(200) }],
      }),
    ]);
    const read = await call("GET", `/orders/${body.id}`, { scopes: ["orders:manage"] });
    expect(read.body).toMatchObject({ discount: gbp(200), total: gbp(2_890) });
    expect((await shop.published())[0]).toMatchObject({ type: "order.placed", data: { total: gbp(2_890) } });
    expect(await used(id)).toBe(1);
  });

  test("that is given away costs nothing, and needs no money to be confirmed", async () => {
    await begin({ code: "FREE", basisPoints: 10_000 });
    const { body } = await place({ codes: ["FREE"] });
    expect(body).toMatchObject({ subtotal: gbp(2_000), discount: gbp(2_000), total: gbp(0) });
    await shop.deliver(StockReserved, { orderId: body.id });
    const read = await call("GET", `/orders/${body.id}`, { scopes: ["orders:manage"] });
    expect(read.body).toMatchObject({ status: "confirmed" });
  });

  test("goes to a country with taxes of its own", async () => {
    await tax("FR/reduced", { basisPoints: 550, included: false });
    expect((await place()).body.total).toEqual(gbp(2_000));
    const shippingAddress = { ...newOrder().shippingAddress, country: "FR" };
    expect((await place({ shippingAddress })).body.total).toEqual(gbp(2_110));
  });

  test("gets what is automatic, where staff has not named the price", async () => {
    const id = await begin();
    expect((await place()).body).toMatchObject({ total: gbp(1_800), promotions: [{ id, amount: gbp(200) }] });
    const lines = [{ sku: "TEA", quantity: 2, unitPrice: gbp(900) }];
    expect((await place({ lines }, { scopes: ["orders:manage"] })).body.total).toEqual(gbp(1_800));
    expect(await used(id)).toBe(1);
  });

  test.each<[string, object, string, string]>([
    ["unknown", {}, "NOBODY", "does not hold"],
    ["switched off", { active: false }, "X", "does not hold"],
    ["not yet begun", { from: "2026-03-02T00:00:00Z" }, "X", "does not hold"],
    ["over", { until: "2026-02-28T00:00:00Z" }, "X", "does not hold"],
    ["for something else", { on: { skus: ["MUG"] } }, "X", "is for nothing in this order"],
    ["below its minimum", { on: { minimum: gbp(2_001) } }, "X", "needs goods worth 2001 GBP"],
  ])("is refused with a code that is %s", async (_, over, code, detail) => {
    await begin({ code: "X", ...over });
    for (const answer of [await place({ codes: [code] }), await quote({ codes: [code] })]) {
      expect([answer.status, answer.body.code]).toEqual([422, "promotion-not-applicable"]);
      expect(answer.body.errors).toEqual([{ pointer: "/codes/0", detail: expect.stringContaining(detail) }]);
    }
    expect(await shop.published()).toEqual([]);
  });

  test("of a code that comes to its end is taken until then", async () => {
    await begin({ code: "X", until: "2026-03-01T00:00:10Z" });
    expect((await place({ codes: ["X"] })).status).toBe(202);
    clock += 10_000;
    expect((await place({ codes: ["X"] })).status).toBe(422);
  });
});

describe("shipping", () => {
  const rate = { country: "GB", method: "post", currency: "GBP", upToGrams: 1_000, amount: 395, version: 1 };
  const set = async (...rates: object[]) => {
    for (const one of rates) await shop.deliver(RateSet, { ...rate, ...one });
    clock += 500;
  };

  test("is charged by country, method and weight, and taxed by its own class", async () => {
    await set({}, { upToGrams: null, amount: 995 }, { country: "*", upToGrams: null, amount: 2_000 });
    const shippingMethod = "post";
    const { body } = await place({ shippingMethod });
    expect(body).toMatchObject({ subtotal: gbp(2_000), shipping: gbp(395), total: gbp(2_395), tax: gbp(0) });
    const heavy = [{ sku: "TEA", quantity: 4 }];
    expect((await place({ shippingMethod, lines: heavy })).body).toMatchObject({ shipping: gbp(995) });
    const abroad = { ...newOrder().shippingAddress, country: "FR" };
    expect((await place({ shippingMethod, shippingAddress: abroad })).body).toMatchObject({
      shipping: gbp(2_000),
    });
    await tax("GB/shipping", { basisPoints: 2_000, included: false });
    expect((await quote({ shippingMethod })).body).toMatchObject({
      shipping: gbp(474),
      tax: gbp(79),
      total: gbp(2_474),
    });
  });

  test("costs nothing where nothing is sent, and without a method", async () => {
    await set({});
    const lines = [{ sku: "WRAP", quantity: 1 }];
    expect((await place({ shippingMethod: "post", lines })).body).toMatchObject({
      shipping: gbp(0),
      total: gbp(1_000),
    });
    expect((await place()).body).not.toHaveProperty("shipping");
  });

  test("goes by the newest that shipping has said, in whatever order it comes", async () => {
    await set({ amount: 500, version: 3 }, { amount: 400, version: 2 });
    expect((await quote({ shippingMethod: "post" })).body).toMatchObject({ shipping: gbp(500) });
    await shop.deliver(RateRemoved, { ...rate, version: 4 });
    await set({ version: 3 });
    const gone = await quote({ shippingMethod: "post" });
    expect([gone.status, gone.body.code]).toEqual([422, "unknown-shipping-method"]);
    expect(gone.body.errors[0]).toMatchObject({
      pointer: "/shippingMethod",
      detail: expect.stringContaining("600 g to GB in GBP"),
    });
  });
});

describe("a limit", () => {
  test("holds for all, and is given back by an order that comes to nothing", async () => {
    const id = await begin({ code: "X", limit: 2 });
    const first = (await place({ codes: ["X"] }, user("u-1"))).body.id;
    const second = (await place({ codes: ["X"] }, user("u-2"))).body.id;
    const refused = await place({ codes: ["X"] }, user("u-3"));
    expect([refused.status, refused.body.errors]).toEqual([
      422,
      [{ pointer: "/codes/0", detail: "the code is used up" }],
    ]);
    await shop.deliver(StockRefused, { orderId: first });
    expect(await used(id)).toBe(1);
    await shop.deliver(StockRefused, { orderId: first });
    expect(await used(id)).toBe(1);
    expect((await place({ codes: ["X"] }, user("u-3"))).status).toBe(202);

    // Cancelled: counted until it is true all the way.
    await call("POST", `/orders/${second}/cancel`, { scopes: ["orders:manage"] });
    expect(await used(id)).toBe(2);
    await shop.deliver(StockReleased, { orderId: second });
    expect(await used(id)).toBe(1);
  });

  test("of each customer knows users by their id, guests by their address however they write it", async () => {
    await begin({ code: "X", limitPerCustomer: 1 });
    const codes = ["X"];
    const bob = { customer: { email: "bob@example.com", name: "Bob" } };
    expect((await place({ codes }, user("u-1"))).status).toBe(202);
    const again = await place({ codes }, user("u-1"));
    expect(again.body.errors[0]?.detail).toContain("as often as one customer may");
    expect((await place({ codes }, user("u-2"))).status).toBe(202);
    expect((await place({ codes, ...bob })).status).toBe(202);
    expect((await place({ codes, customer: { ...bob.customer, email: "BOB@example.com" } })).status).toBe(
      422,
    );
    // A machine orders for many.
    const machine = { scopes: ["orders:manage"] };
    expect((await place({ codes, ...bob }, machine)).status).toBe(422);
    expect((await place({ codes }, machine)).status).toBe(202);
    expect((await quote({ codes, email: "bob@example.com" })).status).toBe(422);
    expect((await quote({ codes }, user("u-1"))).status).toBe(422);
    expect((await quote({ codes }, user("u-9"))).status).toBe(200);
  });

  test("of what is automatic ends it without refusing anything", async () => {
    await begin({ limit: 1 });
    expect((await place()).body.total).toEqual(gbp(1_800));
    expect((await place()).body.total).toEqual(gbp(2_000));
  });

  test("is given back when the money is refused", async () => {
    const id = await begin({ limit: 1 });
    const orderId = (await place()).body.id;
    await shop.deliver(StockReserved, { orderId });
    await shop.deliver(PaymentDeclined, { orderId, reason: "payment-declined" });
    expect(await used(id)).toBe(1);
    await shop.deliver(StockReleased, { orderId });
    expect(await used(id)).toBe(0);
  });

  test("is counted from the first order on, also when it is set later", async () => {
    const id = await begin({ code: "X" });
    await place({ codes: ["X"] });
    const body = { ...ten, code: "X", limit: 1 };
    const changed = await call("PUT", `/promotions/${id}`, {
      ...staff,
      body,
      headers: { "if-match": '"1"' },
    });
    expect([changed.status, changed.headers.get("etag")]).toEqual([200, '"2"']);
    expect((await place({ codes: ["X"] })).status).toBe(422);
  });
});

describe("a quote", () => {
  test("says every part, and uses nothing up", async () => {
    const id = await begin({ code: "X", limit: 1 });
    for (let time = 0; time < 3; time++) {
      const { status, body, headers } = await quote({ codes: ["X"] });
      expect(status).toBe(200);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(body).toEqual({
        lines: [
          {
            sku: "TEA",
            name: "TEA",
            quantity: 2,
            unitPrice: gbp(1_000),
            total: gbp(2_000),
            discount: gbp(200),
            tax: gbp(0),
          },
        ],
        subtotal: gbp(2_000),
        discount: gbp(200),
        tax: gbp(0),
        shipping: gbp(0),
        total: gbp(1_800),
        promotions: [{ id, name: "Ten percent", code: "X", amount: gbp(200) }],
      } as never);
    }
    expect(await used(id)).toBe(0);
    expect(await shop.published()).toEqual([]);
  });

  test("without anything says that there is nothing", async () => {
    const nothing = { discount: gbp(0), tax: gbp(0) };
    const { body } = await quote();
    expect(body).toMatchObject({ ...nothing, lines: [nothing], subtotal: gbp(2_000), total: gbp(2_000) });
    expect(body).toMatchObject({ shipping: gbp(0), promotions: [] });
  });

  test("of a cart asks carts what is in it", async () => {
    const { body } = await quote({ lines: undefined, cartId: "c-1" }, user("u-ada"));
    expect(body.total).toEqual(gbp(2_000));
    expect(asked).toEqual([{ path: "/checkouts/c-1/lines", body: { owner: "u-ada" } }]);
    cart = () => Response.json({ code: "not-found" }, { status: 404 });
    expect((await quote({ lines: undefined, cartId: "c-1" })).body.code).toBe("unknown-cart");
    cart = () => new Response(null, { status: 500 });
    expect((await quote({ lines: undefined, cartId: "c-1" })).status).toBe(503);
  });

  test.each<[object, number, string]>([
    [{ lines: undefined }, 400, "/lines"],
    [{ cartId: "c-1" }, 400, "/lines"],
    [{ country: "gb" }, 400, "/country"],
    [{ email: "no" }, 400, "/email"],
    [{ codes: Array.from({ length: 11 }, () => "X") }, 400, "/codes"],
    [{ lines: [{ sku: "NO", quantity: 1 }] }, 422, "/lines/0/sku"],
    [{ shippingMethod: "owl" }, 422, "/shippingMethod"],
    [{ lines: [{ sku: "TEA", quantity: 1, unitPrice: gbp(1) }] }, 403, "/lines/0/unitPrice"],
  ])("refuses %j with %i at %s", async (over, status, pointer) => {
    const answer = await quote(over as Record<string, unknown>);
    expect(answer.status).toBe(status);
    expect(answer.body.errors.map((error) => error.pointer)).toContain(pointer);
  });
});

describe("promotions", () => {
  test("are begun, read, changed and ended by staff", async () => {
    const body = {
      ...ten,
      code: "X",
      on: { skus: ["TEA"], minimum: gbp(1) },
      from: "2026-01-01T00:00:00Z",
      limit: 3,
    };
    const begun = await call("POST", "/promotions", { ...staff, body });
    const { id } = begun.body;
    const shown = { ...body, id, active: true, from: "2026-01-01T00:00:00.000Z" };
    expect([begun.status, begun.headers.get("etag"), begun.headers.get("location")]).toEqual([
      201,
      '"1"',
      `/api/promotions/${id}`,
    ]);
    expect(begun.body).toEqual(shown as never);
    const path = `/promotions/${id}`;
    expect((await call("GET", path, staff)).body).toEqual(shown as never);
    const listed = (await call("GET", "/promotions?code=x", staff)).body;
    expect(listed).toEqual({ items: [{ ...shown, used: 0 }], nextCursor: null } as never);

    const other = { name: "A pound", kind: "amount", amount: gbp(100), active: false };
    expect((await call("PUT", path, { ...staff, body: other })).status).toBe(428);
    const match = { "if-match": '"1"' };
    const changed = await call("PUT", path, { ...staff, body: other, headers: match });
    expect(changed.body).toEqual({ ...other, id, on: {} } as never);
    expect((await call("PUT", path, { ...staff, body: other, headers: match })).status).toBe(412);
    expect((await call("DELETE", path, { ...staff, headers: match })).status).toBe(412);
    expect((await call("DELETE", path, { ...staff, headers: { "if-match": '"2"' } })).status).toBe(204);
    expect((await call("GET", path, staff)).status).toBe(404);
  });

  test("are listed newest first, page by page", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 3; index++) {
      clock += 1;
      ids.unshift(await begin({ code: `C${index}` }));
    }
    const first = (await call("GET", "/promotions?limit=2", staff)).body;
    const second = (await call("GET", `/promotions?limit=2&cursor=${first.nextCursor}`, staff)).body;
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
  });

  test("share no code, which is free again when its promotion has ended", async () => {
    const id = await begin({ code: "X" });
    const taken = await call("POST", "/promotions", { ...staff, body: { ...ten, code: "x" } });
    expect([taken.status, taken.body.code, taken.body.errors[0]?.pointer]).toEqual([
      409,
      "code-taken",
      "/code",
    ]);
    const at = await Promise.all(
      [1, 2, 3].map(() => call("POST", "/promotions", { ...staff, body: { ...ten, code: "y" } })),
    );
    expect(at.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    await place({ codes: ["X"] });
    await call("DELETE", `/promotions/${id}`, { ...staff, headers: { "if-match": "*" } });
    const anew = await begin({ code: "X" });
    expect(await used(anew)).toBe(0);
  });

  test("end while an order that uses them is under way, which ends as any other", async () => {
    const id = await begin({ code: "X" });
    const orderId = (await place({ codes: ["X"] })).body.id;
    await call("DELETE", `/promotions/${id}`, { ...staff, headers: { "if-match": "*" } });
    expect(await shop.deliver(StockRefused, { orderId })).toBe("SUCCESS");
    expect((await call("GET", `/orders/${orderId}`, { scopes: ["orders:manage"] })).body).toMatchObject({
      status: "rejected",
      discount: gbp(200),
    });
  });

  test.each<[object, number, string]>([
    [{ basisPoints: 0 }, 400, "/basisPoints"],
    [{ basisPoints: 10_001 }, 400, "/basisPoints"],
    [{ kind: "gift" }, 400, "/kind"],
    [{ kind: "amount" }, 400, "/amount"],
    [{ amount: gbp(1) }, 400, "/amount"],
    [{ code: "a b" }, 400, "/code"],
    [{ limit: 0 }, 400, "/limit"],
    [{ on: { skus: [] } }, 400, "/on/skus"],
    [{ on: { minimum: 5 } }, 400, "/on/minimum"],
    [{ from: "tomorrow" }, 400, "/from"],
    [{ from: "2026-13-45T00:00:00Z" }, 400, "/from"],
    [{ from: "2027-02-29T00:00:00Z" }, 422, "/from"],
    [{ until: "2026-04-31T00:00:00Z" }, 422, "/until"],
    [{ from: "2026-02-01T00:00:00Z", until: "2026-02-01T00:00:00Z" }, 422, "/until"],
  ])("of %j are refused with %i at %s", async (over, status, pointer) => {
    const answer = await call("POST", "/promotions", { ...staff, body: { ...ten, ...over } });
    expect(answer.status).toBe(status);
    expect(answer.body.errors.map((error) => error.pointer)).toContain(pointer);
  });
});

describe("tax rates", () => {
  test("are set, read, listed, changed and taken away by staff", async () => {
    const body = { basisPoints: 500, included: true };
    const set = await tax("GB/reduced", body);
    expect([set.status, set.headers.get("etag"), set.headers.get("location")]).toEqual([
      201,
      '"1"',
      "/api/tax-rates/GB/reduced",
    ]);
    expect(set.body).toEqual({ country: "GB", class: "reduced", ...body } as never);
    expect((await tax("GB/reduced", body)).status).toBe(428);
    expect((await tax("GB/reduced", { ...body, basisPoints: 0 }, { "if-match": '"1"' })).status).toBe(200);
    await tax("DE/standard", body);
    await tax("DE/reduced", body);
    const first = (await call("GET", "/tax-rates?limit=2", staff)).body;
    const rest = (await call("GET", `/tax-rates?cursor=${first.nextCursor}`, staff)).body;
    expect([...first.items, ...rest.items]).toMatchObject([
      { country: "DE", class: "reduced" },
      { country: "DE", class: "standard" },
      { country: "GB", class: "reduced", basisPoints: 0 },
    ] as never);
    const gone = await call("DELETE", "/tax-rates/GB/reduced", { ...staff, headers: { "if-match": '"2"' } });
    expect(gone.status).toBe(204);
    expect((await call("GET", "/tax-rates/GB/reduced", staff)).status).toBe(404);
    expect(
      (await call("DELETE", "/tax-rates/GB/reduced", { ...staff, headers: { "if-match": "*" } })).status,
    ).toBe(404);
    expect((await tax("GB/reduced", body)).headers.get("etag")).toBe('"4"');
  });

  test.each([
    ["GB/standard", { basisPoints: -1, included: true }, "/basisPoints"],
    ["GB/standard", { basisPoints: 10_001, included: true }, "/basisPoints"],
    ["GB/standard", { basisPoints: 1 }, "/included"],
  ])("%s with %j is refused at %s", async (path, body, pointer) => {
    const answer = await tax(path, body);
    expect([answer.status, answer.body.errors[0]?.pointer]).toEqual([400, pointer]);
  });
});

test.each(["gb/standard", "GB/Standard", "*/standard"])("there is no tax rate %s", async (path) => {
  expect((await tax(path, { basisPoints: 1, included: true })).status).toBe(404);
});

test("who means a version of a tax rate means one that is there", async () => {
  const body = { basisPoints: 1, included: true };
  expect((await tax("GB/standard", body, { "if-match": "*" })).status).toBe(404);
});

test.each([
  ["GET", "/promotions"],
  ["POST", "/promotions"],
  ["GET", "/promotions/x"],
  ["PUT", "/promotions/x"],
  ["DELETE", "/promotions/x"],
  ["GET", "/tax-rates"],
  ["GET", "/tax-rates/GB/standard"],
  ["PUT", "/tax-rates/GB/standard"],
  ["DELETE", "/tax-rates/GB/standard"],
])("%s %s is for staff", async (method, path) => {
  expect((await call(method, path)).status).toBe(401);
  expect((await call(method, path, { scopes: ["orders:manage"] })).status).toBe(403);
});

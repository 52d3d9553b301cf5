import { afterAll, beforeAll, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { sql } from "drizzle-orm";
import { type Db, openPostgres } from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import catalog from "./service.ts";
import type { Store } from "./store.ts";

// What the other tests show on SQLite, once more where it could differ: on PostgreSQL, in a language (Czech) that
// takes "ch" for a letter after "h".

let db: Db;
let shop: TestService<Store>;

const scopes = ["catalog:write"];
const product = (sku: string, name: string, category?: string) => ({
  sku,
  name,
  ...(category === undefined ? {} : { category }),
  price: { amount: 255, currency: "GBP" },
  kind: "physical",
  images: ["https://images.example/1.jpg"],
});
const put = async (...products: object[]): Promise<unknown> => {
  const response = await shop.request("/products/import", {
    method: "POST",
    body: products.map((each) => JSON.stringify(each)).join("\n"),
    headers: { "content-type": "application/x-ndjson" },
    scopes,
  });
  return response.json();
};
const skus = async (query: string) => {
  const { items } = (await (await shop.request(`/products?${query}`)).json()) as { items: { sku: string }[] };
  return items.map(({ sku }) => sku);
};

beforeAll(async () => {
  const { database } = await server();
  const made = new URL(await database());
  const admin = await openPostgres(made.href);
  const czech = `czech${made.pathname.slice(1)}`;
  await admin.query(
    sql.raw(`create database ${czech} template template0 locale_provider icu icu_locale 'cs-CZ' locale 'C'`),
  );
  await admin.close();
  made.pathname = `/${czech}`;
  db = await openPostgres(made.href);
  shop = await testService(catalog, { folder: import.meta.dir, db });
}, 30_000);
afterAll(async () => {
  await shop.stop();
  await db.close();
});

test("products are found by the beginnings of their words, whatever the language of the database", async () => {
  await put(
    product("1", "Chair", "Chairs"),
    product("2", "Cushion", "Chairs"),
    product("3", "Hat stand"),
    product("4", "Crème brûlée dish"),
  );
  expect(await skus("search=c")).toEqual(["1", "2", "4"]);
  expect(await skus("search=ch")).toEqual(["1", "2"]);
  expect(await skus("search=h")).toEqual(["3"]);
  expect(await skus("search=cha%20cush")).toEqual(["2"]);
  expect(await skus("search=brulee&category=Chairs")).toEqual([]);
  expect(await skus("category=Chairs")).toEqual(["1", "2"]);
  expect(await (await shop.request("/categories")).json()).toEqual({
    items: [{ category: "Chairs", products: 2 }],
    nextCursor: null,
  });
  const [first, second] = [
    await shop.request("/products?search=c&limit=2"),
    await shop.request("/products?limit=2"),
  ];
  for (const [response, query] of [
    [first, "search=c&"],
    [second, ""],
  ] as const) {
    const { nextCursor } = (await response.json()) as { nextCursor: string };
    expect((await skus(`${query}limit=2&cursor=${nextCursor}`)).at(-1)).toBe("4");
  }
});

test("a product is created, changed by one of two, deleted and created again", async () => {
  const path = "/products/A%2FB";
  const change = (name: string) =>
    shop.request(path, {
      method: "PATCH",
      body: { name, category: null },
      headers: { "if-match": '"1"' },
      scopes,
    });
  expect(
    (await shop.request("/products", { method: "POST", body: product("A/B", "First", "X"), scopes })).status,
  ).toBe(201);
  expect(
    (await shop.request("/products", { method: "POST", body: product("A/B", "First"), scopes })).status,
  ).toBe(409);
  const answers = await Promise.all([change("Second"), change("Third")]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  const { name: _, ...rest } = product("A/B", "");
  expect(await (await shop.request(path)).json()).toMatchObject(rest);
  const gone = await shop.request(path, { method: "DELETE", headers: { "if-match": '"2"' }, scopes });
  expect(gone.status).toBe(204);
  expect(await put(product("A/B", "Fourth"))).toMatchObject({ accepted: 1 });
  expect((await shop.request(path)).headers.get("etag")).toBe('"4"');
});

test("imports beside each other lose nothing", async () => {
  const many = (name: string) => Array.from({ length: 300 }, (_, i) => product(`P${i}`, `${name} ${i}`));
  const reports = await Promise.all([put(...many("One")), put(...many("Two"))]);
  expect(reports).toMatchObject([{ accepted: 300 }, { accepted: 300 }]);
  const versions = (await shop.published())
    .filter(({ subject }) => subject?.startsWith("P"))
    .map(({ data }) => (data as { version: number }).version);
  expect(versions.filter((version) => version === 1)).toHaveLength(300);
  expect(versions.filter((version) => version === 2)).toHaveLength(300);
});

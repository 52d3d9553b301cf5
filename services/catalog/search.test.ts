import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import fc from "fast-check";
import type { Product } from "./product.ts";
import catalog from "./service.ts";
import type { Store } from "./store.ts";
import { searched, words } from "./words.ts";

let shop: TestService<Store>;

const product = (sku: string, name: string, category?: string, description?: string): Product => ({
  sku,
  name,
  ...(category === undefined ? {} : { category }),
  ...(description === undefined ? {} : { description }),
  price: { amount: 100, currency: "GBP" },
  kind: "physical",
  images: [],
});

const stock: Product[] = [
  product("10", "White hanging heart T-light holder", "Candles"),
  product("11", "Red heart mug", "Kitchen", "For tea, of white porcelain"),
  product("12", "Mug tree", "Kitchen"),
  product("13", "Tea towel", "Kitchen", "Printed with a muggle’s heart"),
  product("14", "Crème brûlée dish", "Cuisine française"),
  product("85123A", "Postcard"),
  product("BANK CHARGES", "Charges of the bank", undefined, "50% of nothing_at all"),
];

interface Listed {
  items: Product[];
  nextCursor: string | null;
}

const list = async (query: Record<string, string>): Promise<Listed> =>
  (await (await shop.request(`/products?${new URLSearchParams(query)}`)).json()) as Listed;
const skus = async (query: Record<string, string>) => (await list(query)).items.map(({ sku }) => sku);
const put = (products: Product[]) =>
  shop.request("/products/import", {
    method: "POST",
    body: products.map((each) => JSON.stringify(each)).join("\n"),
    headers: { "content-type": "application/x-ndjson" },
    scopes: ["catalog:write"],
  });

beforeAll(async () => {
  shop = await testService(catalog, { folder: import.meta.dir });
  await put(stock);
});
afterAll(() => shop.stop());

describe("a search", () => {
  test.each<[string, string[]]>([
    ["mug", ["11", "12", "13"]],
    ["MUG", ["11", "12", "13"]],
    ["  mu  ", ["11", "12", "13"]],
    ["heart white", ["10", "11"]],
    ["white heart", ["10", "11"]],
    ["t-light", ["10"]],
    ["creme BRULEE", ["14"]],
    ["crème brûlée", ["14"]],
    ["francaise", ["14"]],
    ["kitchen tree", ["12"]],
    ["85123", ["85123A"]],
    ["bank charges", ["BANK CHARGES"]],
    ["muggles", ["13"]],
    ["50%", ["BANK CHARGES"]],
    ["nothing_at", ["BANK CHARGES"]],
    ["' or 1=1 --", []],
    ["art", []],
    ["heart elephant", []],
    ["%", []],
    ["…", []],
  ])("for %j finds %j", async (search, expected) => {
    expect(await skus({ search })).toEqual(expected);
  });

  test("puts first what has the word in its name, and the whole word before its beginning", async () => {
    expect(await skus({ search: "tea" })).toEqual(["13", "11"]);
    expect(await skus({ search: "char" })).toEqual(["BANK CHARGES"]);
  });

  test("within a category", async () => {
    expect(await skus({ search: "heart", category: "Kitchen" })).toEqual(["11", "13"]);
    expect(await skus({ search: "heart", category: "kitchen" })).toEqual([]);
  });

  test("of no words is no search", async () => {
    expect(await skus({ search: " " })).toHaveLength(stock.length);
  });

  test("is refused when it is too long", async () => {
    expect((await shop.request(`/products?search=${"a".repeat(201)}`)).status).toBe(400);
  });

  test("finds each product by the beginnings of any of its words, and nothing else", async () => {
    const begins = (each: Product, asked: string[]) => {
      const own = words(`${each.sku} ${each.name} ${each.category ?? ""} ${each.description ?? ""}`);
      return asked.every((begin) => own.some((word) => word.startsWith(begin)));
    };
    const texts = stock.flatMap(({ sku, name, category = "", description = "" }) => [
      sku,
      name,
      category,
      description,
    ]);
    const part = fc
      .tuple(fc.constantFrom(...texts.flatMap((text) => text.split(" "))), fc.integer({ min: 1, max: 8 }))
      .map(([word, length]) => word.slice(0, length));
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 3 }), async (parts) => {
        const search = parts.join(" ");
        const asked = searched(search);
        fc.pre(asked.length > 0);
        const expected = stock.filter((each) => begins(each, asked)).map(({ sku }) => sku);
        expect((await skus({ search, limit: "100" })).sort()).toEqual(expected.sort());
      }),
    );
  });
});

describe("a list", () => {
  test("goes through all in pages, each once", async () => {
    const queries: Record<string, string>[] = [
      {},
      { search: "h" },
      { category: "Kitchen" },
      { search: "t", category: "Kitchen" },
    ];
    for (const query of queries) {
      const all = await skus({ ...query, limit: "100" });
      const seen: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page: Listed = await list({
          ...query,
          limit: "1",
          ...(cursor === undefined ? {} : { cursor }),
        });
        seen.push(...page.items.map(({ sku }) => sku));
        cursor = page.nextCursor;
      }
      expect(seen).toEqual(all);
      expect(all.length).toBeGreaterThan(1);
    }
  });

  test("of a category is in the order of the SKUs", async () => {
    expect(await skus({ category: "Kitchen" })).toEqual(["11", "12", "13"]);
    expect(await skus({ category: "None" })).toEqual([]);
  });

  test("may be kept as long as it holds", async () => {
    const first = await shop.request("/products?category=Kitchen");
    const tag = first.headers.get("etag") ?? "";
    expect(first.headers.get("cache-control")).toContain("public");
    const again = await shop.request("/products?category=Kitchen", { headers: { "if-none-match": tag } });
    expect(again.status).toBe(304);
    const other = await shop.request("/products?category=Candles", { headers: { "if-none-match": tag } });
    expect(other.status).toBe(200);
  });

  test.each([
    "limit=0",
    "limit=101",
    "limit=x",
    "limit=",
    "cursor=x",
    "cursor=e30",
    "unknown=1",
    "search=a&search=b",
  ])("refuses %s", async (query) => {
    const refused = await shop.request(`/products?${query}`);
    expect(refused.status).toBe(400);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
  });
});

test("the categories in use, each with the number of its products", async () => {
  const items = [
    { category: "Candles", products: 1 },
    { category: "Cuisine française", products: 1 },
    { category: "Kitchen", products: 3 },
  ];
  const whole = await shop.request("/categories");
  expect(whole.headers.get("etag")).toBeTruthy();
  expect(await whole.json()).toEqual({ items, nextCursor: null });
  const first = (await (await shop.request("/categories?limit=2")).json()) as { nextCursor: string };
  expect(first).toMatchObject({ items: items.slice(0, 2) });
  const rest = await shop.request(`/categories?limit=2&cursor=${first.nextCursor}`);
  expect(await rest.json()).toEqual({ items: items.slice(2), nextCursor: null });
});

test("a product that has changed is found by what it is now", async () => {
  await put([product("20", "Green lantern", "Garden")]);
  await put([product("20", "Blue lamp", "Garden")]);
  expect(await skus({ search: "lantern" })).toEqual([]);
  expect(await skus({ search: "lamp garden" })).toEqual(["20"]);
});

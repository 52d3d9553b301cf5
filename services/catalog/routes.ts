import {
  accepted,
  allow,
  body,
  cacheable,
  type Env,
  etag,
  idempotent,
  idempotentStream,
  ndjson,
  notFound,
  open,
  Problem,
  page,
  parsed,
  problems,
  query,
  readWindow,
  requireMatch,
  router,
  says,
  transact,
} from "chassis";
import type { Change } from "drizzle-outbox";
import type { Context } from "hono";
import type { InferOutput } from "valibot";
import {
  CategoryList,
  CategoryQuery,
  ImportLine,
  ImportReport,
  NewProduct,
  ProductList,
  ProductPatch,
  ProductQuery,
  ProductView,
  Replacement,
} from "./contracts.ts";
import { mergePatch } from "./merge-patch.ts";
import { create, type Entry, type Product, put, remove, replace } from "./product.ts";
import type { Place } from "./queries.ts";
import type { Store } from "./store.ts";

// A browser asks each time whether its copy still holds; a shared cache that is not told of changes may be 10 s late.
const shared = "public, max-age=0, s-maxage=10";

/** An import reports so many refused lines one by one; how many there were in all it says besides. */
const mostReported = 10_000;

export const routes = router<Store>()
  .get(
    "/products",
    says("Browse and search", { 200: ProductList, ...problems(400) }),
    open("what is for sale is public"),
    query(ProductQuery),
    async (c) => {
      const { search, category, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isPlace);
      const found = await c.var.kit.store.products({ search, category, after, limit: limit + 1 });
      const place = ({ rank, sku }: Place): Place => ({ rank, sku });
      return cacheable(
        c,
        page(found, limit, place, ({ product }) => product),
        shared,
      );
    },
  )
  .get(
    "/categories",
    says("The categories in use, each with the number of its products", {
      200: CategoryList,
      ...problems(400),
    }),
    open("what is for sale is public"),
    query(CategoryQuery),
    async (c) => {
      const { limit, after } = readWindow(c.req.valid("query"), isName);
      const found = await c.var.kit.store.categories({ after, limit: limit + 1 });
      return cacheable(
        c,
        page(
          found,
          limit,
          ({ category }) => category,
          (row) => row,
        ),
        shared,
      );
    },
  )
  .get(
    "/products/:sku",
    says("Read a product", { 200: ProductView, ...problems(404) }),
    open("what is for sale is public"),
    async (c) => {
      const { version, product } = listed(await c.var.kit.store.load(c.req.param("sku")), c.req.param("sku"));
      return cacheable(c, product, shared, etag(version));
    },
  )
  .post(
    "/products",
    says("List a new product", { 201: ProductView, ...problems(400, 401, 403, 409, 415) }),
    allow("catalog:write"),
    body(NewProduct),
    idempotent(),
    (c) => {
      const { store } = c.var.kit;
      const product = c.req.valid("json");
      return transact(c, async () => {
        const before = await store.load(product.sku);
        const { entry, change } = store.change(before, accepted(create(before, product)));
        const location = `/api/products/${encodeURIComponent(product.sku)}`;
        return { change, status: 201, body: product, headers: { location, etag: etag(entry.version) } };
      });
    },
  )
  .put(
    "/products/:sku",
    says("Replace a product", { 200: ProductView, ...problems(400, 401, 403, 404, 412, 415, 428) }),
    allow("catalog:write"),
    body(Replacement),
    (c) => {
      const sku = c.req.param("sku");
      const asked = c.req.valid("json");
      return replacing(c, sku, () => withSku(asked, sku));
    },
  )
  .patch(
    "/products/:sku",
    says("Change a product (RFC 7396)", { 200: ProductView, ...problems(400, 401, 403, 404, 412, 415, 428) }),
    allow("catalog:write"),
    body(ProductPatch, "application/merge-patch+json"),
    async (c) => {
      const sku = c.req.param("sku");
      // As it was sent: the schema takes an array for an object without members, a merge does not.
      const patch: unknown = JSON.parse((await c.req.text()) || "{}");
      return replacing(c, sku, (product) => {
        const patched = parsed(
          Replacement,
          mergePatch(product, patch),
          "The product would not be whole any more",
        );
        return withSku(patched, sku);
      });
    },
  )
  .delete(
    "/products/:sku",
    says("Take a product off the catalog", { 204: null, ...problems(401, 403, 404, 412, 428) }),
    allow("catalog:write"),
    (c) => {
      const { store } = c.var.kit;
      const sku = c.req.param("sku");
      return transact(c, async () => {
        const before = listed(await store.load(sku), sku);
        requireMatch(c, before.version);
        return { change: store.change(before, accepted(remove(before, sku))).change, status: 204 };
      });
    },
  )
  .post(
    "/products/import",
    says(
      "Create or update many products: NDJSON, one a line",
      { 200: ImportReport, ...problems(400, 401, 403, 409, 413, 415) },
      { "application/x-ndjson": ImportLine },
    ),
    allow("catalog:write"),
    idempotentStream(),
    async (c) => {
      const { store } = c.var.kit;
      const report: InferOutput<typeof ImportReport> = { accepted: 0, rejected: [], rejectedCount: 0 };
      for await (const { values, refused } of ndjson(c, ImportLine)) {
        const lines = values.map(({ value: { onHand, ...product } }) => ({ product, onHand }));
        await transact(c, async () => ({ change: await putAll(lines, store), status: 204 }));
        report.accepted += lines.length;
        report.rejectedCount += refused.length;
        report.rejected.push(...refused.slice(0, mostReported - report.rejected.length));
      }
      return c.json(report);
    },
  );

/** Puts `wanted` in the place of the product that the caller has read. */
function replacing(
  c: Context<Env<Store>>,
  sku: string,
  wanted: (product: Product) => Product,
): Promise<Response> {
  const { store } = c.var.kit;
  return transact(c, async () => {
    const before = listed(await store.load(sku), sku);
    requireMatch(c, before.version);
    const decided = accepted(replace(before, wanted(before.product)));
    const { entry, change } = store.change(before, decided);
    return { change, status: 200, body: listed(entry, sku).product, headers: { etag: etag(entry.version) } };
  });
}

/** What some lines of an import come to, one after the other: they may be of the same product. */
async function putAll(lines: { product: Product; onHand?: number }[], store: Store): Promise<Change> {
  const entries = await store.loadAll(lines.map(({ product }) => product.sku));
  const changes = lines.map(({ product, onHand }) => {
    const before = entries.get(product.sku);
    const { entry, change } = store.change(before, put(before, product, onHand));
    entries.set(product.sku, entry);
    return change;
  });
  return {
    writes: changes.flatMap(({ writes = [] }) => writes),
    events: changes.flatMap(({ events = [] }) => events),
  };
}

function listed(entry: Entry | undefined, sku: string): Extract<Entry, { status: "listed" }> {
  if (entry?.status === "listed") return entry;
  throw notFound(`The product ${sku}`);
}

function withSku<P extends { sku?: string }>(asked: P, sku: string): P & { sku: string } {
  if (asked.sku === undefined || asked.sku === sku) return { ...asked, sku };
  throw new Problem(400, {
    code: "invalid-body",
    detail: "A product keeps its SKU",
    errors: [{ pointer: "/sku", detail: `leave it out, or say ${sku}` }],
  });
}

const isName = (value: unknown): value is string => typeof value === "string";

const isPlace = (value: unknown): value is Place =>
  typeof value === "object" &&
  value !== null &&
  "rank" in value &&
  "sku" in value &&
  Number.isSafeInteger(value.rank) &&
  typeof value.sku === "string";

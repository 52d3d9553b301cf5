import {
  accepted,
  allow,
  body,
  type Caller,
  cacheable,
  etag,
  notFound,
  open,
  page,
  problems,
  query,
  readWindow,
  requireMatch,
  router,
  says,
  transact,
} from "chassis";
import { NewLevel, StaffStock, Stock, StockList, StockQuery } from "./contracts.ts";
import { publicView, staffView } from "./queries.ts";
import { set } from "./stock.ts";
import type { Store } from "./store.ts";

const staff = ["inventory:write", "orders:manage", "ops"];

export const routes = router<Store>()
  .get(
    "/stock",
    says("List stock by SKU", { 200: StockList, ...problems(400, 401, 403) }),
    allow(...staff),
    query(StockQuery),
    async (c) => {
      const { limit, after } = readWindow(c.req.valid("query"), isPlace);
      const levels = await c.var.kit.store.list({ after: after?.sku, limit: limit + 1 });
      return cacheable(
        c,
        page(levels, limit, ({ sku }) => ({ sku }), staffView),
        "private, no-cache",
      );
    },
  )
  .get(
    "/stock/:sku",
    says("Read a product's stock: what is available, and for staff also why", {
      200: Stock,
      ...problems(404),
    }),
    open("what is available is public; what lies behind it is shown to staff"),
    async (c) => {
      const level = found(await c.var.kit.store.level(c.req.param("sku")));
      const answer = isStaff(c.var.caller)
        ? cacheable(c, staffView(level), "private, no-cache", etag(level.version))
        : cacheable(c, publicView(level), "public, no-cache", etag(level.version));
      answer.headers.set("vary", "authorization");
      return answer;
    },
  )
  .put(
    "/stock/:sku",
    says("Set what is on hand", { 200: StaffStock, ...problems(400, 401, 403, 404, 409, 412, 415, 428) }),
    allow("inventory:write"),
    body(NewLevel),
    async (c) => {
      const { onHand } = c.req.valid("json");
      const { store, now } = c.var.kit;
      return transact(c, async () => {
        const before = found(await store.level(c.req.param("sku")));
        requireMatch(c, before.version);
        const { level, change } = store.adjust(before, accepted(set(before, onHand)));
        const after = found(level);
        const jobs = change.writes ? store.tellSoon([after.sku], now()) : [];
        return {
          change: { ...change, jobs },
          status: 200,
          body: staffView(after),
          headers: { etag: etag(after.version) },
        };
      });
    },
  );

const isStaff = ({ scopes }: Caller): boolean => staff.some((scope) => scopes.has(scope));

function found<T>(level: T | undefined): T {
  if (level === undefined) throw notFound("Stock of a product with this SKU");
  return level;
}

const isPlace = (value: unknown): value is { sku: string } =>
  typeof value === "object" && value !== null && "sku" in value && typeof value.sku === "string";

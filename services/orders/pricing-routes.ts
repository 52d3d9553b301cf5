import {
  accepted,
  allow,
  body,
  cacheable,
  type Env,
  etag,
  idempotent,
  isPlace,
  notFound,
  type Outcome,
  open,
  Problem,
  page,
  problems,
  query,
  readWindow,
  requireMatch,
  router,
  says,
  transact,
} from "chassis";
import type { Context } from "hono";
import { type InferOutput, is, safeParse } from "valibot";
import { unbuyable } from "./acceptable.ts";
import { contents } from "./carts.ts";
import {
  NewPromotion,
  NewTaxRate,
  PromotionList,
  PromotionQuery,
  PromotionView,
  QuoteRequest,
  QuoteView,
  TaxKey,
  TaxRateList,
  TaxRateQuery,
  TaxRateView,
} from "./pricing-contracts.ts";
import type { KeptPromotion, KeptTaxRate } from "./pricing-store.ts";
import { promotionView, quoteView } from "./pricing-view.ts";
import { type Promotion, promotionOf } from "./promotion.ts";
import { quote } from "./quote.ts";
import type { Store } from "./store.ts";

type C = Context<Env<Store>>;

/** What orders are priced by, and what one would cost. */
export const pricingRoutes = router<Store>()
  .get(
    "/promotions",
    says("List promotions, newest first, and how many orders use each", {
      200: PromotionList,
      ...problems(400, 401, 403),
    }),
    allow("catalog:write"),
    query(PromotionQuery),
    async (c) => {
      const { code, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isPlace);
      const kept = await c.var.kit.store.pricing.promotions({ code, after, limit: limit + 1 });
      const place = ({ createdAt, promotion }: KeptPromotion) => ({ at: createdAt, id: promotion.id });
      return cacheable(
        c,
        page(kept, limit, place, ({ promotion, used }) => ({ ...promotionView(promotion), used })),
        uncached,
      );
    },
  )
  .post(
    "/promotions",
    says("Begin a promotion", { 201: PromotionView, ...problems(400, 401, 403, 409, 415, 422) }),
    allow("catalog:write"),
    body(NewPromotion),
    idempotent(),
    (c) => {
      const { store, id: newId, now } = c.var.kit;
      const promotion = accepted(promotionOf(newId(), c.req.valid("json")));
      return changing(c, async () => {
        await free(c, promotion);
        return {
          change: { writes: store.pricing.keepPromotion(undefined, promotion, now()) },
          status: 201,
          body: promotionView(promotion),
          headers: { location: `/api/promotions/${promotion.id}`, etag: etag(1) },
        };
      });
    },
  )
  .get(
    "/promotions/:id",
    says("Read a promotion", { 200: PromotionView, ...problems(401, 403, 404) }),
    allow("catalog:write"),
    async (c) => {
      const { promotion, version } = known(await c.var.kit.store.pricing.promotion(c.req.param("id")));
      return cacheable(c, promotionView(promotion), uncached, etag(version));
    },
  )
  .put(
    "/promotions/:id",
    says("Replace a promotion; what has been used of it stays counted", {
      200: PromotionView,
      ...problems(400, 401, 403, 404, 409, 412, 415, 422, 428),
    }),
    allow("catalog:write"),
    body(NewPromotion),
    (c) => {
      const { pricing } = c.var.kit.store;
      const promotion = accepted(promotionOf(c.req.param("id"), c.req.valid("json")));
      return changing(c, async () => {
        const before = known(await pricing.promotion(promotion.id));
        requireMatch(c, before.version);
        await free(c, promotion);
        return {
          change: { writes: pricing.keepPromotion(before, promotion, before.createdAt) },
          status: 200,
          body: promotionView(promotion),
          headers: { etag: etag(before.version + 1) },
        };
      });
    },
  )
  .delete(
    "/promotions/:id",
    says("End a promotion, and forget it", { 204: null, ...problems(401, 403, 404, 412, 428) }),
    allow("catalog:write"),
    (c) => {
      const { pricing } = c.var.kit.store;
      return changing(c, async () => {
        const { promotion, version } = known(await pricing.promotion(c.req.param("id")));
        requireMatch(c, version);
        return { change: { writes: pricing.dropPromotion(promotion.id, version) }, status: 204 };
      });
    },
  )
  .get(
    "/tax-rates",
    says("List tax rates, by country and class", { 200: TaxRateList, ...problems(400, 401, 403) }),
    allow("catalog:write"),
    query(TaxRateQuery),
    async (c) => {
      const { limit, after } = readWindow(c.req.valid("query"), isTaxKey);
      const kept = await c.var.kit.store.pricing.taxRates(after, limit + 1);
      const place = ({ rate }: KeptTaxRate) => ({ country: rate.country, class: rate.class });
      return cacheable(
        c,
        page(kept, limit, place, ({ rate }) => rate),
        uncached,
      );
    },
  )
  .get(
    "/tax-rates/:country/:class",
    says("Read a tax rate", { 200: TaxRateView, ...problems(401, 403, 404) }),
    allow("catalog:write"),
    async (c) => {
      const { rate, version } = set(await c.var.kit.store.pricing.taxRate(taxKey(c)));
      return cacheable(c, rate, uncached, etag(version));
    },
  )
  .put(
    "/tax-rates/:country/:class",
    says("Set the tax on goods of a class that go to a country; a new rate needs no If-Match", {
      200: TaxRateView,
      201: TaxRateView,
      ...problems(400, 401, 403, 404, 412, 415, 428),
    }),
    allow("catalog:write"),
    body(NewTaxRate),
    (c) => {
      const { pricing } = c.var.kit.store;
      const rate = { ...taxKey(c), ...c.req.valid("json") };
      return changing(c, async () => {
        const before = await pricing.taxRate(rate);
        const isNew = before === undefined || before.deleted;
        // Who means a version means a rate that is there.
        if (c.req.header("if-match") !== undefined) set(before);
        if (!isNew) requireMatch(c, before.version);
        const location = `/api/tax-rates/${rate.country}/${rate.class}`;
        return {
          change: { writes: pricing.keepTaxRate(before, rate) },
          status: isNew ? 201 : 200,
          body: rate,
          headers: { etag: etag((before?.version ?? 0) + 1), ...(isNew ? { location } : {}) },
        };
      });
    },
  )
  .delete(
    "/tax-rates/:country/:class",
    says("Take a tax rate away: no tax", { 204: null, ...problems(401, 403, 404, 412, 428) }),
    allow("catalog:write"),
    (c) => {
      const { pricing } = c.var.kit.store;
      return changing(c, async () => {
        const before = set(await pricing.taxRate(taxKey(c)));
        requireMatch(c, before.version);
        return { change: { writes: pricing.keepTaxRate(before, before.rate, true) }, status: 204 };
      });
    },
  )
  .post(
    "/quotes",
    says("What an order would cost. Nothing is placed, and nothing is kept", {
      200: QuoteView,
      ...problems(400, 403, 409, 415, 422, 503),
    }),
    open("it tells no more than placing the order would"),
    body(QuoteRequest),
    async (c) => {
      const asked = c.req.valid("json");
      const { kit, caller } = c.var;
      const { store } = kit;
      const refused = unbuyable(asked, { mayPrice: caller.scopes.has("orders:manage") });
      if (refused) throw new Problem(refused.status, refused);
      const lines = await store.withProducts(await contents(kit, caller, asked));
      const { email, ...wanted } = asked;
      const customers = () => store.countedUnder(caller, email);
      const offer = await store.pricing.offer(lines, { ...wanted, at: kit.now(), customers });
      return c.json(quoteView(accepted(quote(lines, offer))), 200, { "cache-control": "no-store" });
    },
  );

const uncached = "private, no-cache";

/** Commits a change of what orders are priced by, which holds from then on. */
async function changing(c: C, work: () => Promise<Outcome>): Promise<Response> {
  const answer = await transact(c, work);
  c.var.kit.store.pricing.forget();
  return answer;
}

/** @throws {Problem} 409 when another promotion has the code */
async function free(c: C, { id, code }: Promotion): Promise<void> {
  if (code === undefined) return;
  const taken = await c.var.kit.store.pricing.idOfCode(code);
  if (taken === undefined || taken === id) return;
  throw new Problem(409, {
    code: "code-taken",
    detail: "Another promotion has this code",
    errors: [{ pointer: "/code", detail: `is that of ${taken}` }],
  });
}

function known(kept: KeptPromotion | undefined): KeptPromotion {
  if (kept === undefined) throw notFound("A promotion with this id");
  return kept;
}

/** @throws {Problem} 404: what can be no country or no class has no rate */
function taxKey(c: C): InferOutput<typeof TaxKey> {
  const { success, output } = safeParse(TaxKey, c.req.param());
  if (!success) throw noRate();
  return output;
}

const noRate = (): Problem => notFound("A tax rate of this country and class");

function set(kept: KeptTaxRate | undefined): KeptTaxRate {
  if (kept === undefined || kept.deleted) throw noRate();
  return kept;
}

const isTaxKey = (value: unknown): value is InferOutput<typeof TaxKey> => is(TaxKey, value);
